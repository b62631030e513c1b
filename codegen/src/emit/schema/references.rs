//! Foreign keys: plain, with a relation that must be equal on both sides, and to live rows only.
//!
//! A live row never refers to an archived one. Parents carry `live_id` (null while archived, unique) and
//! children a generated column that refers to it while they are live themselves. Archiving a parent changes
//! a key, so it waits for whoever is attaching a child, and the other way round.

use super::{
    names::{self, live_column, target_column},
    object::{constraint, index},
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OfWhat, OnArchive, Relation};
use crate::objects::{Kind, Object};
use std::sync::Arc;

/// One relation and one of its targets.
pub struct Reference<'m> {
    pub relation: &'m Relation,
    pub target: EntityId,
}

pub fn of<'m>(_model: &'m Model, entity: &'m Entity) -> impl Iterator<Item = Reference<'m>> {
    entity.belongs.iter().flat_map(|relation| {
        relation
            .targets
            .iter()
            .map(move |&target| Reference { relation, target })
    })
}

/// The column that holds ids of this target only: `city_id`, `host_community_id`.
pub fn column(relation: &Relation, target: &Entity) -> String {
    if relation.polymorphic {
        target_column(relation, target)
    } else {
        relation.id_column()
    }
}

/// The column whose value must be the `live_id` of a row of `target`; `None` where archiving the target
/// does not concern the child.
pub fn live(child: &Entity, relation: &Relation, target: &Entity) -> Option<String> {
    let column = column(relation, target);
    match (target.lifecycle, child.lifecycle) {
        (Lifecycle::SoftDelete, Lifecycle::SoftDelete) => Some(live_column(&column)),
        // It has no status of its own: whatever it refers to is live, for it is let go otherwise.
        (Lifecycle::SoftDelete, Lifecycle::Mutable) if relation.on_archive == OnArchive::Detach => {
            Some(column)
        }
        _ => None,
    }
}

pub fn has_live_children(model: &Model, id: EntityId) -> bool {
    let target = &model.entities[id];
    children(model, id).iter().any(|&child| {
        let child = &model.entities[child];
        of(model, child).any(|r| r.target == id && live(child, r.relation, target).is_some())
    })
}

/// Entities that refer to this one, in order. Found for all entities at once.
pub fn children(model: &Model, id: EntityId) -> Vec<EntityId> {
    let find = || {
        let mut found = vec![Vec::new(); model.entities.len()];
        for (child, entity) in model.entities.iter().enumerate() {
            for reference in of(model, entity) {
                let of_target: &mut Vec<EntityId> = &mut found[reference.target];
                if of_target.last() != Some(&child) {
                    of_target.push(child);
                }
            }
        }
        Arc::new(found)
    };
    let key = ("children", 0, 0, OfWhat::Read);
    model.memo.once(key, Arc::default(), find)[id].clone()
}

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let mut objects = keys(model, id);
    for Reference { relation, target } in of(model, entity) {
        objects.extend(foreign_keys(model, entity, relation, target));
        objects.extend(indexes(model, entity, relation, target));
    }
    objects
}

/// What foreign keys of other tables refer to, besides the primary key.
fn keys(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let mut keys: Vec<Vec<String>> = Vec::new();
    if has_live_children(model, id) {
        keys.push(vec!["live_id".into()]);
    }
    for child in children(model, id) {
        let child = &model.entities[child];
        for reference in of(model, child).filter(|r| r.target == id) {
            let same = same_columns(reference.relation, entity);
            let key: Vec<String> = std::iter::once("id".to_owned()).chain(same).collect();
            if key.len() > 1 && !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys.iter()
        .map(|columns| {
            let rest = format!("unique ({})", columns.join(", "));
            constraint(
                Kind::Constraint,
                &table,
                &names::unique(entity, columns),
                &rest,
            )
        })
        .collect()
}

/// Columns that must be equal on both sides, as far as the target has that relation.
fn same_columns(relation: &Relation, target: &Entity) -> Vec<String> {
    relation
        .same
        .iter()
        .filter_map(|name| target.relation(name))
        .map(Relation::id_column)
        .collect()
}

fn foreign_keys(
    model: &Model,
    entity: &Entity,
    relation: &Relation,
    target: EntityId,
) -> Vec<Object> {
    let (table, target) = (names::table(entity), &model.entities[target]);
    let column = column(relation, target);
    let foreign = |name: String, own: String, theirs: String| {
        let rest = format!(
            "foreign key ({own}) references {} ({theirs})",
            names::table(target)
        );
        constraint(Kind::ForeignKey, &table, &name, &rest)
    };
    let mut found = Vec::new();
    let same = same_columns(relation, target);
    // A composite key with a null in it is not checked.
    let may_be_null = relation
        .same
        .iter()
        .any(|name| entity.relation(name).is_none_or(|r| r.optional));
    if same.is_empty() || may_be_null {
        found.push(foreign(
            names::foreign_key(entity, &column, &[]),
            column.clone(),
            "id".into(),
        ));
    }
    if !same.is_empty() {
        let name = names::foreign_key(entity, &column, &relation.same);
        let with = |first: &str| format!("{first}, {}", same.join(", "));
        found.push(foreign(name, with(&column), with("id")));
    }
    if let Some(live) = live(entity, relation, target) {
        found.push(foreign(
            names::foreign_key(entity, &live_column(&column), &[]),
            live,
            "live_id".into(),
        ));
    }
    found
}

/// By reference and id, as nested lists page; and by live reference, which archiving a parent looks through.
fn indexes(model: &Model, entity: &Entity, relation: &Relation, target: EntityId) -> Vec<Object> {
    let (table, target) = (names::table(entity), &model.entities[target]);
    let column = column(relation, target);
    let sparse = |column: &str| format!(" where {column} is not null");
    let rest = if relation.polymorphic || relation.optional {
        sparse(&column)
    } else {
        String::new()
    };
    let name = names::index(entity, std::slice::from_ref(&column));
    let mut found = vec![index(
        &table,
        &name,
        false,
        &format!("({column}, id){rest}"),
    )];
    if let Some(live) = live(entity, relation, target).filter(|live| *live != column) {
        let name = names::index(entity, std::slice::from_ref(&live));
        found.push(index(
            &table,
            &name,
            false,
            &format!("({live}){}", sparse(&live)),
        ));
    }
    found
}
