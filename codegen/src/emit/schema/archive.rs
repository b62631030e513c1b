//! What happens to children when a row is archived: they go along, or they let go.
//!
//! The triggers run before the foreign key to live rows is checked (see [`TRIGGER`]), so what they miss is
//! refused. They miss nothing: archiving waits for sessions that are attaching a child, and then sees it.

use super::{
    names::{self, Roles},
    object::{trigger, trigger_function},
    references::{self, Reference},
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OnArchive, Relation};
use crate::objects::Object;

/// Triggers on one event fire in the order of their names; those of foreign keys are called `RI_…`.
const TRIGGER: &str = "0_archive_children";

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let parent = &model.entities[id];
    if parent.lifecycle != Lifecycle::SoftDelete {
        return Vec::new();
    }
    let steps: Vec<String> = (model.entities.iter())
        .flat_map(|child| references::of(model, child).map(move |r| (child, r)))
        .filter(|(_, reference)| reference.target == id)
        .filter_map(|(child, Reference { relation, .. })| step(child, relation, parent))
        .collect();
    if steps.is_empty() {
        return Vec::new();
    }
    let roles = Roles(&model.app);
    let table = names::table(parent);
    let function = format!("{table}_archive_children");
    let body = format!("begin\n{}\n  return null;\nend", steps.join("\n"));
    let doc = "Children of an archived row are archived with it or detached from it.";
    let when = format!(
        "after update of status on {table}\n  for each row when (new.status = 'archived' and old.status <> 'archived')\n  \
         execute function {function}()"
    );
    vec![
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
        trigger(&table, TRIGGER, &when),
    ]
}

fn step(child: &Entity, relation: &Relation, parent: &Entity) -> Option<String> {
    let table = names::table(child);
    let column = references::column(relation, parent);
    match (relation.on_archive, child.lifecycle) {
        (OnArchive::Cascade, Lifecycle::SoftDelete) => Some(format!(
            "  update {table} set status = 'archived' where {column} = new.id and status <> 'archived';"
        )),
        // Archived children too: they could not be restored otherwise.
        (OnArchive::Detach, Lifecycle::SoftDelete | Lifecycle::Mutable) => {
            let columns = relation.type_column().into_iter().chain([relation.id_column()]);
            let emptied: Vec<String> = columns.map(|c| format!("{c} = null")).collect();
            Some(format!("  update {table} set {} where {column} = new.id;", emptied.join(", ")))
        }
        _ => None,
    }
}
