//! Privileges by column: which role may use a column in which statement. No role may delete rows, except the job role
//! those of internal entities that are no history.

use super::{
    columns::{OPEN_KEY, columns, derived_columns, ended_columns},
    endings, held, jobs, later,
    names::{self, Roles, target_column},
    object::{grants, on_columns},
};
use crate::model::{Entity, EntityId, Field, Lifecycle, Model, Relation, Ty};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let roles = Roles(&model.app);
    let table = names::table(entity);
    let mut found = Vec::new();
    found.extend(grants(&table, &roles.app(), &app(model, entity)));
    found.extend(grants(&table, &roles.job(), &jobs::privileges(model, id)));
    found.extend(grants(&table, &roles.authz(), &authz(model, id)));
    found.extend(grants(&table, &roles.counter(), &counter(model, id)));
    found
}

/// Columns that the body of a create may contain.
pub fn insertable(entity: &Entity) -> Vec<String> {
    if !entity.writable() || entity.access.create.is_none() {
        return Vec::new();
    }
    let relations = entity
        .belongs
        .iter()
        .filter(|r| !r.of_caller() && !r.system);
    let fields = entity.fields.iter().filter(|f| in_body(f));
    relations
        .flat_map(relation_columns)
        .chain(fields.map(|f| f.name.clone()))
        .collect()
}

/// Columns that the body of an update may contain.
pub fn updatable(entity: &Entity) -> Vec<String> {
    if !entity.writable()
        || entity.access.update.is_none()
        || entity.lifecycle == Lifecycle::AppendOnly
    {
        return Vec::new();
    }
    let relations = entity
        .belongs
        .iter()
        .filter(|r| r.movable && !r.of_caller() && !r.system);
    let fields = entity.fields.iter().filter(|f| in_body(f) && !f.fixed);
    relations
        .flat_map(relation_columns)
        .chain(fields.map(|f| f.name.clone()))
        .collect()
}

/// Columns that requests may update, by `update` or any other action.
pub fn updates(entity: &Entity) -> Vec<String> {
    let mut columns = updatable(entity);
    if !entity.writable() || entity.lifecycle == Lifecycle::AppendOnly {
        return columns;
    }
    let access = &entity.access;
    if entity.lifecycle == Lifecycle::SoftDelete
        && (access.delete.is_some() || access.suspend.is_some())
    {
        columns.insert(0, "status".into());
    }
    for transition in &entity.transitions {
        for column in transition.columns() {
            if !columns.iter().any(|known| known == column) {
                columns.push(column.to_owned());
            }
        }
    }
    columns
}

fn in_body(field: &Field) -> bool {
    !field.system && !matches!(field.ty, Ty::States { .. })
}

fn relation_columns(relation: &Relation) -> Vec<String> {
    relation
        .type_column()
        .into_iter()
        .chain([relation.id_column()])
        .collect()
}

fn app(model: &Model, entity: &Entity) -> Vec<String> {
    if entity.internal {
        return Vec::new();
    }
    [
        on_columns("select", &shown(model, entity)),
        on_columns("insert", &insertable(entity)),
        on_columns("update", &updates(entity)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Columns that requests may select: all but those with a read rule and those that only the database needs.
fn shown(model: &Model, entity: &Entity) -> Vec<String> {
    let mut shown = vec!["id".to_owned()];
    if entity.lifecycle == Lifecycle::SoftDelete {
        shown.push("status".into());
    }
    for relation in entity.belongs.iter().filter(|r| r.read.is_none()) {
        shown.extend(relation_columns(relation));
        if relation.polymorphic {
            shown.extend(
                relation
                    .targets
                    .iter()
                    .map(|&t| target_column(relation, &model.entities[t])),
            );
        }
    }
    shown.extend(
        entity
            .fields
            .iter()
            .filter(|f| f.read.is_none())
            .map(|f| f.name.clone()),
    );
    let derived: Vec<String> = entity.derived.iter().map(|d| d.name.clone()).collect();
    let id = model
        .entities
        .iter()
        .position(|e| std::ptr::eq(e, entity))
        .expect("an entity of this model");
    let all = columns(model, id);
    shown.extend(
        all.iter()
            .filter(|c| derived.contains(&c.name))
            .map(|c| c.name.clone()),
    );
    // Rules evaluated as the request role read these columns; no statement returns them.
    shown.extend(ended_columns(entity));
    let kept = ["version", "created_at", "updated_at"];
    shown.extend(
        all.into_iter()
            .filter(|c| kept.contains(&c.name.as_str()))
            .map(|c| c.name),
    );
    shown
}

/// The role reads everything in order to decide on access. It writes only the role assignment of a creator.
fn authz(model: &Model, id: EntityId) -> Vec<String> {
    let mut privileges = vec!["select".to_owned()];
    if id == model.assignments && model.entities.iter().any(|e| e.creator.is_some()) {
        privileges.push("insert".into());
    }
    privileges
}

/// The role writes derived columns, and changes children when their parent is archived.
fn counter(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let mut updated = derived_columns(model, id);
    if entity.lifecycle == Lifecycle::SoftDelete {
        updated.insert(0, "status".into());
    }
    if later::has_any(model, id) {
        updated.push(OPEN_KEY.into());
    }
    updated.extend(endings::set(entity));
    if entity.lifecycle != Lifecycle::AppendOnly {
        updated.extend(
            entity
                .belongs
                .iter()
                .filter(|r| r.optional)
                .flat_map(relation_columns),
        );
    }
    // Locking a row requires the privilege to update it.
    if updated.is_empty() && entity.lifecycle == Lifecycle::Mutable && held::is_held(model, id) {
        updated.push("updated_at".into());
    }
    std::iter::once("select".to_owned())
        .chain(on_columns("update", &updated))
        .collect()
}
