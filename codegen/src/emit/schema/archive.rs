//! What happens to children when a row is archived: they go along, or they let go.
//!
//! Triggers on one event fire in the order of their names, and those of foreign keys are called `RI_…`: ours
//! begin with a digit to run before the reference to live rows is checked, so what they miss is refused.
//! They miss nothing: archiving waits for sessions that are attaching a child, and then sees it.

use super::{
    columns::ARCHIVED_WITH,
    names::{self, Roles},
    object::{trigger, trigger_function},
    references::{self, Reference},
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OnArchive, Relation};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let parent = &model.entities[id];
    if parent.lifecycle != Lifecycle::SoftDelete {
        return Vec::new();
    }
    let children: Vec<(&Entity, &Relation)> = (references::children(model, id).into_iter())
        .map(|child| &model.entities[child])
        .flat_map(|child| references::of(model, child).map(move |r| (child, r)))
        .filter(|(_, reference)| reference.target == id)
        .map(|(child, Reference { relation, .. })| (child, relation))
        .collect();
    let archive = children
        .iter()
        .filter_map(|(child, relation)| archive(child, relation, parent))
        .collect();
    let restore = children
        .iter()
        .filter_map(|(child, relation)| restore(child, relation, parent))
        .collect();
    let mut found = pair(
        model,
        parent,
        "archive",
        archive,
        "new.status = 'archived' and old.status <> 'archived'",
    );
    found.extend(pair(
        model,
        parent,
        "restore",
        restore,
        "new.status <> 'archived' and old.status = 'archived'",
    ));
    found
}

/// A trigger and its function, where there is something to do.
fn pair(
    model: &Model,
    parent: &Entity,
    verb: &str,
    steps: Vec<String>,
    condition: &str,
) -> Vec<Object> {
    if steps.is_empty() {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), names::table(parent));
    let function = format!("{table}_{verb}_children");
    let body = format!("begin\n{}\n  return null;\nend", steps.join("\n"));
    let doc = match verb {
        "archive" => "Children of an archived row are archived with it or detached from it.",
        _ => "What was archived with a row comes back with it.",
    };
    let when = format!(
        "after update of status on {table}\n  for each row when ({condition})\n  execute function {function}()"
    );
    vec![
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
        trigger(&table, &format!("0_{verb}_children"), &when),
    ]
}

fn archive(child: &Entity, relation: &Relation, parent: &Entity) -> Option<String> {
    let table = names::table(child);
    let column = references::column(relation, parent);
    match (relation.on_archive, child.lifecycle) {
        // A suspended row stays archived when the others come back.
        (OnArchive::Cascade, Lifecycle::SoftDelete) => Some(format!(
            "  update {table} set status = 'archived', {ARCHIVED_WITH} = case when status = 'active' then new.id end\n    \
             where {column} = new.id and status <> 'archived';"
        )),
        // Archived children too: they could not be restored otherwise.
        (OnArchive::Detach, Lifecycle::SoftDelete | Lifecycle::Mutable) => {
            let columns = relation
                .type_column()
                .into_iter()
                .chain([relation.id_column()]);
            let emptied: Vec<String> = columns.map(|c| format!("{c} = null")).collect();
            Some(format!(
                "  update {table} set {} where {column} = new.id;",
                emptied.join(", ")
            ))
        }
        _ => None,
    }
}

fn restore(child: &Entity, relation: &Relation, parent: &Entity) -> Option<String> {
    let table = names::table(child);
    let column = references::column(relation, parent);
    let along =
        relation.on_archive == OnArchive::Cascade && child.lifecycle == Lifecycle::SoftDelete;
    along.then(|| {
        format!(
            "  update {table} set status = 'active', {ARCHIVED_WITH} = null\n    \
             where {column} = new.id and {ARCHIVED_WITH} = new.id and status = 'archived';"
        )
    })
}
