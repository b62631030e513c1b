//! `on end`: what is good only as long as the row that it refers to is active.
//!
//! A row has ended once it is suspended or archived, a session once it is revoked. What comes after does not bring
//! anything back: a member who is let in again signs in again. It is a trigger, so that no way of ending a row can
//! forget what hangs on it. Another trigger refuses what would begin to hang on a row that has ended, also when the two
//! happen at once.

use super::{
    columns::{ARCHIVED_WITH, goes_along},
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    references::{self, Reference},
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OnEnd, Relation};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let mut found = of_parent(model, id);
    found.extend(begin(model, id));
    found
}

fn of_parent(model: &Model, id: EntityId) -> Vec<Object> {
    let parent = &model.entities[id];
    let steps: Vec<String> = (model.entities.iter())
        .flat_map(|child| references::of(model, child).map(move |r| (child, r)))
        .filter(|(_, reference)| reference.target == id)
        .filter_map(|(child, Reference { relation, .. })| step(model, child, relation, parent))
        .collect();
    let Some(ended) = ended(model, id).filter(|_| !steps.is_empty()) else {
        return Vec::new();
    };
    let (roles, table) = (Roles(&model.app), names::table(parent));
    let function = format!("{table}_end_children");
    let when = format!(
        "after update on {table}\n  for each row when ({ended})\n  execute function {function}()"
    );
    vec![
        trigger_function(
            roles,
            &table,
            &function,
            Some(roles.counter()),
            "What is good only while a row is active ends with it.",
            format!("begin\n{}\n  return null;\nend", steps.join("\n")),
        ),
        trigger(&table, "0_end_children", &when),
    ]
}

/// When a row of this entity ends; `None` for those that never do.
pub fn ended(model: &Model, id: EntityId) -> Option<&'static str> {
    if model.sessions == Some(id) {
        return Some("new.revoked_at is not null and old.revoked_at is null");
    }
    (model.entities[id].lifecycle == Lifecycle::SoftDelete)
        .then_some("new.status <> 'active' and old.status = 'active'")
}

/// Nothing begins on a row that has ended. The row is locked until the transaction is over: whoever ends it then finds
/// what has begun. After the insert, because columns of one target are computed by then.
fn begin(model: &Model, id: EntityId) -> Vec<Object> {
    let child = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(child));
    let mut found = Vec::new();
    for Reference { relation, target } in references::of(model, child) {
        let parent = &model.entities[target];
        let (Some(good), true) = (good(model, target), is_over_by_then(child, relation)) else {
            continue;
        };
        let column = references::column(relation, parent);
        let function = format!("{table}_begin_on_{column}");
        let body = format!(
            "begin\n  perform from {} p where p.id = new.{column} and {good} for share;\n  if not found then\n    {}\n  end if;\n  return null;\nend",
            names::table(parent),
            refusal(model, child, target, &column),
        );
        found.push(trigger_function(
            roles,
            &table,
            &function,
            Some(roles.counter()),
            "Nothing begins on what has ended.",
            body,
        ));
        for (word, event, changed) in [
            ("insert", "insert".to_owned(), String::new()),
            (
                "update",
                format!("update of {column}"),
                format!(" and new.{column} is distinct from old.{column}"),
            ),
        ] {
            let when = format!(
                "after {event} on {table}\n  for each row when (new.{column} is not null{changed})\n  execute function {function}()"
            );
            let name = names::fit(format!("{}_begin_on_{column}_{word}", child.plural));
            found.push(trigger(&table, &name, &when));
        }
    }
    found
}

/// The end of the other row ends this one too. A required time is set each time, and is no end.
fn is_over_by_then(child: &Entity, relation: &Relation) -> bool {
    match &relation.on_end {
        Some(OnEnd::Archive) => true,
        Some(OnEnd::Set(field)) => child.field(field).is_some_and(|field| field.optional),
        None => false,
    }
}

/// Of a parent `p` that has not ended.
fn good(model: &Model, id: EntityId) -> Option<&'static str> {
    if model.sessions == Some(id) {
        return Some("p.revoked_at is null");
    }
    (model.entities[id].lifecycle == Lifecycle::SoftDelete).then_some("p.status = 'active'")
}

/// Callers are told what they would be told by their next request; others that there is no such row.
fn refusal(model: &Model, child: &Entity, parent: EntityId, column: &str) -> String {
    if model.sessions == Some(parent) {
        return "raise exception 'session_revoked' using errcode = '28000';".to_owned();
    }
    if model.identity == parent {
        return "raise exception 'account_suspended' using errcode = '28000';".to_owned();
    }
    format!(
        "raise exception 'it has ended' using errcode = '23503', constraint = {};",
        quote(&names::foreign_key(child, column, &[]))
    )
}

/// Times that the trigger sets.
pub fn set(entity: &Entity) -> Vec<String> {
    let mut found = Vec::new();
    for relation in &entity.belongs {
        if let Some(OnEnd::Set(field)) = &relation.on_end
            && !found.contains(field)
        {
            found.push(field.clone());
        }
    }
    found
}

fn step(model: &Model, child: &Entity, relation: &Relation, parent: &Entity) -> Option<String> {
    let table = names::table(child);
    let column = references::column(relation, parent);
    Some(match relation.on_end.as_ref()? {
        OnEnd::Set(field) => {
            let once = child.field(field).is_some_and(|field| field.optional);
            let once = if once {
                format!(" and {field} is null")
            } else {
                String::new()
            };
            format!("  update {table} set {field} = now() where {column} = new.id{once};")
        }
        OnEnd::Archive => {
            let mut sets = vec!["status = 'archived'".to_owned()];
            if goes_along(model, child) {
                // Also where another parent took it along: that one does not bring it back.
                sets.push(format!("{ARCHIVED_WITH} = null"));
            }
            let mut which = String::new();
            if relation.optional && !relation.polymorphic {
                // The ended row may be thrown away some day.
                sets.push(format!("{column} = null"));
            } else {
                which.push_str(" and status <> 'archived'");
            }
            format!(
                "  update {table} set {} where {column} = new.id{which};",
                sets.join(", ")
            )
        }
    })
}
