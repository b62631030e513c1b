//! Refuses uses of fields and relations with a `read` rule that would show their values to everybody.
//!
//! Rules, `when`, `check`, `keep` and `unique` may read them: these are evaluated with other privileges than the
//! caller's, and the caller learns only whether they hold. Values that others can read must not be made from them.

use super::Of;
use crate::emit::columns::{self, Column, Source};
use crate::model::{Derived, DerivedKind, Entity, Expr, Ty};
use crate::resolve::Part;

/// The columns that the caller may read are told as bits of a `bigint`.
const READ_MAX: usize = 62;

pub fn check(of: &Of) {
    slugs(of);
    not_too_many(of);
    for derived in &of.entity.derived {
        if let Some((what, whose)) = told_by(of, derived) {
            of.refuse(
                Part::Derived,
                &derived.name,
                format!(
                    "`{}` would tell everybody what the `read` rule of {what} hides",
                    derived.name
                ),
                format!("remove the line, or the `read` rule in `{whose}`"),
            );
        }
    }
}

fn not_too_many(of: &Of) {
    if of.entity.internal {
        return;
    }
    let columns = columns::row(of.entity);
    let mut guarded = columns.iter().filter(|c| c.read_rule().is_some());
    if let Some((part, name)) = guarded.nth(READ_MAX).and_then(place) {
        of.refuse(
            part,
            name,
            format!("more than {READ_MAX} columns with a `read` rule in one entity"),
            "group them in one `object`, or move them to an entity whose rows have the `read` rule",
        );
    }
}

fn place<'a>(column: &Column<'a>) -> Option<(Part, &'a str)> {
    match column.source {
        Source::Field(field) => Some((Part::Field, &field.name)),
        Source::TypeOf(relation) | Source::IdOf(relation) => Some((Part::Relation, &relation.name)),
        _ => None,
    }
}

fn slugs(of: &Of) {
    for field in &of.entity.fields {
        let Ty::Slug { from: Some(from) } = &field.ty else {
            continue;
        };
        let Some(source) = of.entity.field(from) else {
            continue;
        };
        if source.read.is_some() && source.read != field.read {
            of.refuse(
                Part::Field,
                &field.name,
                format!(
                    "`{}` would tell everybody what the `read` rule of `{from}` hides",
                    field.name
                ),
                format!(
                    "give `{}` the same `read` rule, or make it of another field",
                    field.name
                ),
            );
        }
    }
}

/// The private column that a derived value would reveal, and the entity that the column belongs to.
fn told_by<'a>(of: &'a Of, derived: &'a Derived) -> Option<(String, &'a str)> {
    let (has, field, filter) = match &derived.kind {
        DerivedKind::Flag { expr } => {
            let column = private_column(of.entity, expr)?;
            return Some((format!("`{column}`"), &of.entity.name));
        }
        DerivedKind::Count { has, filter } => (has, None, filter),
        DerivedKind::Sum { has, field, filter } | DerivedKind::Avg { has, field, filter } => {
            (has, Some(field), filter)
        }
    };
    let has = &of.entity.has[*has];
    let child = &of.cx.model.entities[has.child];
    let private = |column: &&String| child.is_private(column);
    let via = child.relation(&has.via).filter(|via| via.read.is_some());
    let told = via
        .map(|via| via.name.clone())
        .or_else(|| field.filter(private).cloned())
        .or_else(|| private_column(child, filter.as_ref()?));
    told.map(|column| {
        (
            format!("`{column}` in `{}`", child.name),
            child.name.as_str(),
        )
    })
}

/// The first column of an expression that has a `read` rule.
fn private_column(entity: &Entity, expr: &Expr) -> Option<String> {
    let named = expr.columns();
    named.into_iter().find(|column| entity.is_private(column))
}
