//! Derived values: their names and types, so that rules can compare counters. Their filters are resolved with the
//! rules.

use super::columns::{self, Class};
use super::fields::refuse_name;
use super::lines::Lines;
use super::places::{Part, Places};
use crate::diag::{Collector, Diagnostic};
use crate::model::{Derived, DerivedKind, EntityId, Expr, Field, Model, Ty};
use crate::names;
use crate::phrase::{DerivedForm, Word};

pub fn resolve(
    model: &mut Model,
    id: EntityId,
    lines: &Lines,
    places: &mut Places,
    errors: &Collector,
) {
    let mut derived = Vec::new();
    for (name, phrase) in &lines.derived {
        places.put(id, Part::Derived, &name.it, name.span);
        refuse_name(name, errors);
        let kind = match &phrase.kind {
            DerivedForm::Flag(_) => Some(DerivedKind::Flag { expr: Expr::Nobody }),
            DerivedForm::Count { has, .. } => has_index(model, id, has, errors)
                .map(|has| DerivedKind::Count { has, filter: None }),
            DerivedForm::Sum { has, field, .. } => {
                numeric(model, id, has, field, errors).map(|has| DerivedKind::Sum {
                    has,
                    field: field.it.clone(),
                    filter: None,
                })
            }
            DerivedForm::Avg { has, field, .. } => {
                numeric(model, id, has, field, errors).map(|has| DerivedKind::Avg {
                    has,
                    field: field.it.clone(),
                    filter: None,
                })
            }
        };
        for (span, word) in [
            (phrase.sort, "sort"),
            (phrase.filter, "filter"),
            (phrase.delta, "delta"),
        ] {
            if let Some(span) = span {
                places.put(id, Part::Modifier, &format!("{} {word}", name.it), span);
            }
        }
        let (sort, filter) = (phrase.sort.is_some(), phrase.filter.is_some());
        let delta = phrase.delta.is_some();
        derived.extend(kind.map(|kind| Derived {
            name: name.it.clone(),
            kind,
            sort,
            filter,
            delta,
        }));
    }
    model.entities[id].derived = derived;
}

fn has_index(model: &Model, id: EntityId, has: &Word, errors: &Collector) -> Option<usize> {
    let this = &model.entities[id];
    let found = this.has.iter().position(|h| h.name == has.it);
    if found.is_none() {
        errors.push(
            Diagnostic::at(has.span, format!("`{}` has no `{}`", this.name, has.it)).help(
                names::suggest(
                    &has.it,
                    this.has.iter().map(|h| h.name.as_str()),
                    "names in `has`",
                ),
            ),
        );
    }
    found
}

/// The largest absolute value of a summed field: nine million rows of it fit into a bigint.
const SUMMED_MAX: i64 = 1_000_000_000_000;

/// Whether millions of values that callers choose can be summed in a bigint. Sums of `int` and `decimal` can.
fn is_summable(field: &Field) -> bool {
    match field.ty {
        Ty::Bigint { min, max } | Ty::Money { min, max } => {
            let is_small = |bound: Option<i64>| {
                bound.is_some_and(|n| n.unsigned_abs() <= SUMMED_MAX.unsigned_abs())
            };
            field.system || (is_small(min) && is_small(max))
        }
        _ => true,
    }
}

/// The child's field must be a required or optional number, and a sum of it must fit into a bigint.
fn numeric(
    model: &Model,
    id: EntityId,
    has: &Word,
    field: &Word,
    errors: &Collector,
) -> Option<usize> {
    let index = has_index(model, id, has, errors)?;
    let child = &model.entities[model.entities[id].has[index].child];
    let numbers = child
        .fields
        .iter()
        .filter(|f| columns::class(&f.ty) == Class::Number)
        .map(|f| f.name.as_str());
    if let Some(found) = child
        .field(&field.it)
        .filter(|f| columns::class(&f.ty) == Class::Number)
    {
        if !is_summable(found) {
            errors.push(
                Diagnostic::at(
                    field.span,
                    format!("a sum of `{}` may not fit into a bigint", field.it),
                )
                .help(format!(
                    "one caller's values could make the statements of all others fail: write bounds that are at most {SUMMED_MAX} away from 0, as in `(0..{SUMMED_MAX})`"
                )),
            );
        }
        return Some(index);
    }
    errors.push(
        Diagnostic::at(
            field.span,
            format!("`{}` has no number `{}`", child.name, field.it),
        )
        .help(names::suggest(&field.it, numbers, "numbers")),
    );
    None
}
