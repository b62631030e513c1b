//! `on end`: rows that are valid only as long as the row that they refer to is active.
//!
//! A row ends when it is suspended or archived, a session when it is revoked. The rows that end with it don't come
//! back with it: a member who is unsuspended has to sign in again. A trigger does this, so that no way of ending a row
//! can miss them. Another trigger refuses new rows that refer to one that has ended, even if both happen at the same
//! time.

use super::{
    columns::{ARCHIVED_WITH, goes_along},
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    references::{self, Reference},
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OnEnd, Relation};
use crate::objects::Object;

/// Triggers fire in the order of their names: this one before `0_archive_children`, which empties the references of
/// `on archive detach`, by which the rows that end are found.
const FIRST: &str = "00_end_children";

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let mut found = of_parent(model, id);
    found.extend(begin(model, id));
    found
}

/// The condition under which an update ends a row of this entity; `None` if rows never end.
pub fn ended(model: &Model, id: EntityId) -> Option<&'static str> {
    if model.sessions == Some(id) {
        return Some("new.revoked_at is not null and old.revoked_at is null");
    }
    (model.entities[id].lifecycle == Lifecycle::SoftDelete)
        .then_some("new.status <> 'active' and old.status = 'active'")
}

/// Times that the trigger sets: names of fields.
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
            "Ends the children that may not outlive the row.",
            format!("begin\n{}\n  return null;\nend", steps.join("\n")),
        ),
        trigger(&table, FIRST, &when),
    ]
}

/// Refuses new rows that refer to one that has ended. The other row is locked until the transaction ends, so a
/// transaction that ends it sees the new row. The trigger runs after the insert, because the columns for single
/// targets are computed by then.
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
            "Refuses new children of a row that has ended.",
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
        if relation.on_end == Some(OnEnd::Archive) && !is_emptied(relation) {
            found.extend(restored(model, child, target, &column, good));
        }
    }
    found
}

/// Refuses to restore a row while the one that it refers to has ended. Whoever restores it is somebody else, and gets no
/// error about an account or a session.
fn restored(
    model: &Model,
    child: &Entity,
    target: EntityId,
    column: &str,
    good: &str,
) -> [Object; 2] {
    let (roles, table) = (Roles(&model.app), names::table(child));
    let function = format!("{table}_restored_on_{column}");
    let body = format!(
        "begin\n  perform from {} p where p.id = new.{column} and {good} for share;\n  if not found then\n    {}\n  end if;\n  return null;\nend",
        names::table(&model.entities[target]),
        gone(child, column),
    );
    let doc = "Refuses to restore children of a row that has ended.";
    let when = format!(
        "after update of status on {table}\n  for each row when (new.{column} is not null and old.status = 'archived' and new.status <> 'archived')\n  execute function {function}()"
    );
    let name = names::fit(format!("{}_restored_on_{column}", child.plural));
    [
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
        trigger(&table, &name, &when),
    ]
}

/// Whether the end of the other row ends this one too. Setting a required time, which happens at each end, doesn't end
/// the row.
fn is_over_by_then(child: &Entity, relation: &Relation) -> bool {
    match &relation.on_end {
        Some(OnEnd::Archive) => true,
        Some(OnEnd::Set(field)) => child.field(field).is_some_and(|field| field.optional),
        None => false,
    }
}

/// Whether the end of the other row removes the reference to it as well, because the ended row may be deleted for good
/// some day.
fn is_emptied(relation: &Relation) -> bool {
    relation.optional && !relation.polymorphic
}

/// The condition that the parent `p` has not ended.
fn good(model: &Model, id: EntityId) -> Option<&'static str> {
    if model.sessions == Some(id) {
        return Some("p.revoked_at is null");
    }
    (model.entities[id].lifecycle == Lifecycle::SoftDelete).then_some("p.status = 'active'")
}

/// If the account or session has ended, callers get the error that their next request would get; otherwise, that the
/// row doesn't exist.
fn refusal(model: &Model, child: &Entity, parent: EntityId, column: &str) -> String {
    if model.sessions == Some(parent) {
        return "raise exception 'session_revoked' using errcode = '28000';".to_owned();
    }
    if model.identity == parent {
        return "raise exception 'account_suspended' using errcode = '28000';".to_owned();
    }
    gone(child, column)
}

fn gone(child: &Entity, column: &str) -> String {
    format!(
        "raise exception 'it has ended' using errcode = '23503', constraint = {};",
        quote(&names::foreign_key(child, column, &[]))
    )
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
            let along = goes_along(model, child);
            if along {
                // Done even if the row was archived together with another parent, so that restoring that parent
                // doesn't restore this row.
                sets.push(format!("{ARCHIVED_WITH} = null"));
            }
            let which = match (is_emptied(relation), along) {
                (true, _) => {
                    sets.push(format!("{column} = null"));
                    String::new()
                }
                (false, true) => {
                    format!(" and (status <> 'archived' or {ARCHIVED_WITH} is not null)")
                }
                (false, false) => " and status <> 'archived'".to_owned(),
            };
            format!(
                "  update {table} set {} where {column} = new.id{which};",
                sets.join(", ")
            )
        }
    })
}
