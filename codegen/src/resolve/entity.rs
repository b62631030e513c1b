//! Last stage for one entity: every rule it has, and its lists of columns.

use super::access;
use super::columns;
use super::lines::Lines;
use super::places::{Part, Places};
use super::rules::{Kind, Resolver};
use crate::diag::Diagnostic;
use crate::model::*;
use crate::names;
use crate::phrase::{DerivedForm, FieldModifier, RelationModifier, Word};

/// What this stage found out, put into the model when all entities are done.
#[derive(Default)]
pub struct Parts {
    /// read, write, check by field.
    fields: Vec<[Option<Expr>; 3]>,
    relations: Vec<Option<Expr>>,
    derived: Vec<Option<Expr>>,
    unique: Vec<Vec<String>>,
    exclude: Vec<Exclude>,
    index: Vec<Vec<String>>,
    checks: Vec<NamedExpr>,
    transitions: Vec<Transition>,
    conditions: Vec<NamedExpr>,
    access: Option<Access>,
    creator: Option<usize>,
    hooks: Vec<Hook>,
}

impl Parts {
    pub fn put_into(self, entity: &mut Entity) {
        for (field, [read, write, check]) in entity.fields.iter_mut().zip(self.fields) {
            (field.read, field.write, field.check) = (read, write, check);
        }
        for (relation, read) in entity.belongs.iter_mut().zip(self.relations) {
            relation.read = read;
        }
        for (derived, expr) in entity.derived.iter_mut().zip(self.derived) {
            match (&mut derived.kind, expr) {
                (DerivedKind::Flag { expr: flag }, Some(expr)) => *flag = expr,
                (
                    DerivedKind::Count { filter, .. }
                    | DerivedKind::Sum { filter, .. }
                    | DerivedKind::Avg { filter, .. },
                    expr,
                ) => {
                    *filter = expr;
                }
                (DerivedKind::Flag { .. }, None) => {}
            }
        }
        entity.unique = self.unique;
        entity.exclude = self.exclude;
        entity.index = self.index;
        entity.checks = self.checks;
        entity.transitions = self.transitions;
        entity.conditions = self.conditions;
        entity.creator = self.creator;
        entity.hooks = self.hooks;
        if let Some(access) = self.access {
            entity.access = access;
        }
    }
}

pub fn rules(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Parts {
    let mut parts = Parts {
        fields: lines
            .fields
            .iter()
            .map(|(_, phrase)| field_rules(r, id, &phrase.modifiers))
            .collect(),
        ..Parts::default()
    };
    for (_, phrase) in &lines.belongs {
        let read = phrase.modifiers.iter().find_map(|m| match &m.it {
            RelationModifier::Read(rule) => Some(rule),
            _ => None,
        });
        parts
            .relations
            .push(read.and_then(|rule| r.rule(id, rule, Kind::Access)));
    }
    for (_, phrase) in &lines.derived {
        let child = |has: &Word| {
            r.model.entities[id]
                .has
                .iter()
                .find(|h| h.name == has.it)
                .map(|h| h.child)
        };
        parts.derived.push(match &phrase.kind {
            DerivedForm::Flag(rule) => r.rule(id, rule, Kind::Moment),
            DerivedForm::Count { has, filter }
            | DerivedForm::Sum { has, filter, .. }
            | DerivedForm::Avg { has, filter, .. } => filter
                .as_ref()
                .and_then(|rule| r.rule(child(has)?, rule, Kind::Stored)),
        });
    }
    for (name, rule) in &lines.check {
        places.put(id, Part::Check, &name.it, name.span);
        let expr = r.rule(id, rule, Kind::Stored);
        parts.checks.extend(expr.map(|expr| NamedExpr {
            name: name.it.clone(),
            expr,
        }));
    }
    let spec = lines.spec;
    for (lists, part) in [(&spec.unique, Part::Unique), (&spec.index, Part::Index)] {
        for words in lists {
            let Some(columns) = column_list(r, id, words) else {
                continue;
            };
            let span = words
                .first()
                .map(|w| w.span)
                .into_iter()
                .chain(words.last().map(|w| w.span))
                .reduce(|a, b| a.to(b));
            if let Some(span) = span {
                places.put(id, part, &columns.join(","), span);
            }
            if part == Part::Unique {
                parts.unique.push(columns)
            } else {
                parts.index.push(columns)
            }
        }
    }
    for phrase in &spec.exclude {
        let columns = column_list(r, id, &phrase.it.columns);
        let ends = column_list(r, id, &[phrase.it.from.clone(), phrase.it.to.clone()]);
        if let (Some(columns), Some([from, to])) = (columns, ends.as_deref()) {
            places.put(id, Part::Exclude, from, phrase.span);
            parts.exclude.push(Exclude {
                columns,
                from: from.clone(),
                to: to.clone(),
            });
        }
    }
    for (name, phrase) in &spec.transitions {
        places.put(id, Part::Transition, &name.it, name.span);
        parts
            .transitions
            .extend(access::transition(r, id, name, phrase));
    }
    if let Some(access) = &spec.access {
        for (index, (name, rule)) in access.conditions.iter().enumerate() {
            places.put(id, Part::Condition, &name.it, name.span);
            let expr = r.condition(id, index, rule).unwrap_or(Expr::Nobody);
            parts.conditions.push(NamedExpr {
                name: name.it.clone(),
                expr,
            });
        }
    }
    parts.access = Some(access::access(r, id, lines, places));
    parts.creator = spec.creator.as_ref().and_then(|role| {
        places.put(id, Part::Key, "creator", role.span);
        r.role(role)
    });
    parts.hooks = access::hooks(r, id, lines, places);
    for (key, span) in [
        ("page", spec.page.as_ref().map(|p| p.span)),
        ("audit", spec.audit_off),
        ("internal", spec.internal),
    ] {
        if let Some(span) = span {
            places.put(id, Part::Key, key, span);
        }
    }
    if let Some(access) = &spec.access {
        places.put(id, Part::Key, "access", access.span);
    }
    if let Some(module) = &spec.module {
        places.put(id, Part::Key, "module", module.span);
    }
    parts
}

fn field_rules(
    r: &Resolver,
    id: EntityId,
    modifiers: &[crate::phrase::At<FieldModifier>],
) -> [Option<Expr>; 3] {
    let mut rules = [None, None, None];
    for modifier in modifiers {
        match &modifier.it {
            FieldModifier::Read(rule) => rules[0] = r.rule(id, rule, Kind::Access),
            FieldModifier::Write(rule) => rules[1] = r.rule(id, rule, Kind::Access),
            FieldModifier::Check(rule) => rules[2] = r.rule(id, rule, Kind::Stored),
            _ => {}
        }
    }
    rules
}

/// Names of fields and relations → columns; a relation to one of several is its pair.
fn column_list(r: &Resolver, id: EntityId, words: &[Word]) -> Option<Vec<String>> {
    let this = &r.model.entities[id];
    let mut list = Vec::new();
    for word in words {
        if let Some(relation) = this.relation(&word.it) {
            list.extend(relation.type_column());
            list.push(relation.id_column());
        } else if let Some(column) = columns::find(r.model, id, &word.it) {
            list.push(column.name);
        } else {
            r.errors.push(
                Diagnostic::at(
                    word.span,
                    format!("`{}` has no field or relation `{}`", this.name, word.it),
                )
                .help(names::suggest(&word.it, columns::known(this), "fields")),
            );
            return None;
        }
    }
    Some(list)
}
