//! `on end`: what is good only as long as the row that it refers to is active.
//!
//! A row has ended once it is suspended or archived, a session once it is revoked. What comes after does not bring
//! anything back: a member who is let in again signs in again. It is a trigger, so that no way of ending a row can
//! forget what hangs on it.

use super::{
    columns::{ARCHIVED_WITH, goes_along},
    names::{self, Roles},
    object::{trigger, trigger_function},
    references::{self, Reference},
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OnEnd, Relation};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
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
