//! The checks that the guard of a table makes for each action: it must start from an allowed state, have its own
//! effect, and have no other.

use super::{
    grants::updatable,
    held, names,
    object::{quote, quoted_list},
    parents::readable_parent,
    predicate::{Sql, all, any, atom, not},
    rules::{Context, Scope, literal, predicate, type_is},
};
use crate::model::{
    Assigned, Change, Entity, EntityId, Lifecycle, Model, Relation, Set, Transition, Ty,
};

pub(super) fn changed(entity: &Entity, columns: &[String]) -> Sql {
    any(columns.iter().map(|c| {
        atom(format!(
            "{} is distinct from {}",
            plain(entity, "new", c),
            plain(entity, "old", c)
        ))
    }))
}

/// A column of a row for comparisons. Types of extensions are cast to text, because their operators are not in the
/// empty search path.
pub(super) fn plain(entity: &Entity, row: &str, column: &str) -> String {
    let extension = entity.field(column).is_some_and(|f| f.ty == Ty::Point);
    if extension {
        format!("{row}.{column}::text")
    } else {
        format!("{row}.{column}")
    }
}

pub(super) fn cases(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let mut cases = Vec::new();
    if !updatable(entity).is_empty() {
        cases.push(case("update", update_checks(model, id)));
    }
    if entity.lifecycle == Lifecycle::SoftDelete {
        for (action, from, to) in super::policies::STATUS_ACTIONS {
            // A caller doesn't choose the status of a restored row: see `sec.keep_status`.
            let wrong = match action {
                "restore" => "old.status <> 'archived' or new.status = 'archived'".to_owned(),
                _ => format!("old.status <> '{from}' or new.status <> '{to}'"),
            };
            cases.push(case(
                action,
                refuse(&wrong, "not this status", "42501", None),
            ));
        }
    }
    cases.extend(
        entity
            .transitions
            .iter()
            .map(|t| case(&t.name, transition_checks(model, id, t))),
    );
    cases
}

pub(super) fn refuse(
    condition: &str,
    message: &str,
    errcode: &str,
    constraint: Option<&str>,
) -> String {
    let constraint = constraint.map_or(String::new(), |c| format!(", constraint = {}", quote(c)));
    format!(
        "      if {condition} then\n        raise exception {} using errcode = '{errcode}'{constraint};\n      end if;\n",
        quote(message)
    )
}

/// Notes a field that the caller may not set. [`refuse_fields`] reads these notes and reports all fields in one error.
pub(super) fn refuse_field(condition: &str, field: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    format!(
        "{pad}if {condition} then\n{pad}  v_refused := array_append(v_refused, {});\n{pad}end if;\n",
        quote(field)
    )
}

pub(super) const REFUSED: &str = "  v_refused text[] := '{}';\n";

/// Raises an error if [`refuse_field`] noted any field.
pub(super) fn refuse_fields(indent: usize) -> String {
    let pad = " ".repeat(indent);
    format!(
        "{pad}if v_refused <> '{{}}' then\n{pad}  raise exception 'fields %', array_to_string(v_refused, ' ') using errcode = '42501';\n{pad}end if;\n"
    )
}

fn case(action: &str, body: String) -> String {
    let body = if body.is_empty() {
        "      null;\n".to_owned()
    } else {
        body
    };
    format!("    when {} then\n{body}", quote(action))
}

fn transition_checks(model: &Model, id: EntityId, transition: &Transition) -> String {
    let entity = &model.entities[id];
    let named = |kind: &str| names::guard(entity, &transition.name, kind);
    let mut text = String::new();
    if let Change::State { field, from, to } = &transition.change {
        let wrong = format!("old.{field} not in ({})", quoted_list(from));
        text.push_str(&refuse(
            &wrong,
            "not from this state",
            "23514",
            Some(&named("from")),
        ));
        text.push_str(&refuse(
            &format!("new.{field} <> {}", quote(to)),
            "not this state",
            "42501",
            None,
        ));
    }
    for Set { column, value } in transition.sets() {
        let new = plain(entity, "new", column);
        let wrong = match value {
            // `is not true`, so that a null, which `sec.uid()` is for anonymous callers, is refused too.
            Assigned::Me => format!("({new} = sec.uid()) is not true"),
            Assigned::Value(value) => format!("{new} is distinct from {}", literal(value)),
        };
        text.push_str(&refuse(&wrong, "not this value", "42501", None));
    }
    if let Some(when) = &transition.when {
        let scope = Scope {
            entity: id,
            alias: "old",
            context: Context::Row,
        };
        let holds = match held::when(transition) {
            Some(_) => atom(format!("{}(old.id)", held::name(entity, transition))),
            None => predicate(model, scope, when),
        };
        text.push_str(&refuse(
            &not(holds).block(8),
            "not now",
            "23514",
            Some(&named("when")),
        ));
    }
    if transition.reason {
        text.push_str(&refuse(
            "sec.reason() is null",
            "a reason is required",
            "23514",
            Some(&named("reason")),
        ));
    }
    text
}

fn update_checks(model: &Model, id: EntityId) -> String {
    let entity = &model.entities[id];
    let columns = updatable(entity);
    let mut text = String::new();
    for field in entity.fields.iter().filter(|f| columns.contains(&f.name)) {
        if let Some(rule) = &field.write {
            let scope = Scope {
                entity: id,
                alias: "old",
                context: Context::Row,
            };
            let wrong = all([
                changed(entity, std::slice::from_ref(&field.name)),
                not(predicate(model, scope, rule)),
            ]);
            text.push_str(&refuse_field(&wrong.block(8), &field.name, 6));
        }
    }
    if !text.is_empty() {
        text.push_str(&refuse_fields(6));
    }
    for relation in entity
        .belongs
        .iter()
        .filter(|r| columns.contains(&r.id_column()))
    {
        text.push_str(&moved(model, id, relation));
    }
    text
}

/// A reference that stays the same may have become unreadable meanwhile; a new one must be to a readable row.
fn moved(model: &Model, id: EntityId, relation: &Relation) -> String {
    let entity = &model.entities[id];
    let columns: Vec<String> = relation
        .type_column()
        .into_iter()
        .chain([relation.id_column()])
        .collect();
    let scope = Scope {
        entity: id,
        alias: "new",
        context: Context::Row,
    };
    relation
        .targets
        .iter()
        .map(|&target| {
            let column = super::references::column(relation, &model.entities[target]);
            let wrong = all([
                changed(entity, &columns),
                type_is(model, scope, relation, target),
                atom(format!("new.{} is not null", relation.id_column())),
                not(readable_parent(model, scope, relation, target)),
            ]);
            let name = names::foreign_key(entity, &column, &[]);
            refuse(
                &wrong.block(8),
                &format!("reference {}", relation.name),
                "23503",
                Some(&name),
            )
        })
        .collect()
}
