//! Foreign keys: plain ones, ones with a relation that must be equal on both sides, and ones to live rows only.
//!
//! A live row never refers to an archived one. Parents have `live_key` (true, or null while archived), which is unique
//! together with the id. Children have `live_ref`, true while they are live themselves, and refer to both columns at
//! once. Archiving a parent thereby changes a key, so it waits for transactions that insert a child, and they wait for
//! it. There is one such column for all references of a row instead of one for each, so that one index by reference
//! serves both keys.

use super::{
    columns::{LIVE_KEY, LIVE_REF, OPEN_KEY},
    later,
    names::{self, live_column, target_column},
    object::{constraint, index},
    uniques,
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OfWhat, OnArchive, Relation};
use crate::objects::{Kind, Object};
use std::sync::Arc;

/// A relation and one of its targets.
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

/// The column with the ids of this target only: `city_id`, `host_community_id`.
pub fn column(relation: &Relation, target: &Entity) -> String {
    if relation.polymorphic {
        target_column(relation, target)
    } else {
        relation.id_column()
    }
}

/// Whether the reference must be to a live row as long as the child is live. False if archiving the target doesn't
/// affect the child.
pub fn is_live(child: &Entity, relation: &Relation, target: &Entity) -> bool {
    match (target.lifecycle, child.lifecycle) {
        (Lifecycle::SoftDelete, Lifecycle::SoftDelete) => true,
        (Lifecycle::SoftDelete, Lifecycle::Mutable) => relation.on_archive == OnArchive::Detach,
        _ => false,
    }
}

pub fn has_live_parents(model: &Model, id: EntityId) -> bool {
    let child = &model.entities[id];
    of(model, child).any(|r| is_live(child, r.relation, &model.entities[r.target]))
}

pub fn has_live_children(model: &Model, id: EntityId) -> bool {
    let target = &model.entities[id];
    children(model, id).iter().any(|&child| {
        let child = &model.entities[child];
        of(model, child).any(|r| r.target == id && is_live(child, r.relation, target))
    })
}

/// Whether there are children that must be to live rows, and may follow an archived one later, or may not.
fn has_children_of(model: &Model, id: EntityId, is_later: bool) -> bool {
    let target = &model.entities[id];
    children(model, id).iter().any(|&child| {
        let entity = &model.entities[child];
        of(model, entity).any(|r| {
            r.target == id
                && is_live(entity, r.relation, target)
                && later::follows(model, child, r.relation, id) == is_later
        })
    })
}

/// Entities that refer to this one, in order. Computed for all entities at once and remembered.
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
        objects.extend(foreign_keys(model, id, relation, target));
        let column = column(relation, &model.entities[target]);
        // Internal rows are not listed by a reference, so any index that begins with it suffices; each further index
        // would slow every write down.
        if !(entity.internal && uniques::is_led_by(model, id, &column)) {
            objects.push(by_reference(model, entity, relation, target));
        }
    }
    objects
}

/// Unique keys for foreign keys of other tables, besides the primary key.
fn keys(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let mut keys: Vec<Vec<String>> = Vec::new();
    for (key, is_later) in [(LIVE_KEY, false), (OPEN_KEY, true)] {
        if has_children_of(model, id, is_later) {
            keys.push(vec!["id".into(), key.into()]);
        }
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

/// The relations that must be equal on both sides, as far as the target has them.
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
    id: EntityId,
    relation: &Relation,
    target_id: EntityId,
) -> Vec<Object> {
    let (entity, target) = (&model.entities[id], &model.entities[target_id]);
    let table = names::table(entity);
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
    // PostgreSQL doesn't check a composite key that contains a null.
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
    if is_live(entity, relation, target) {
        found.push(foreign(
            names::foreign_key(entity, &live_column(&column), &[]),
            format!("{column}, {LIVE_REF}"),
            match later::follows(model, id, relation, target_id) {
                true => format!("id, {OPEN_KEY}"),
                false => format!("id, {LIVE_KEY}"),
            },
        ));
    }
    found
}

/// An index by reference and id, the order of nested lists. Archiving a parent uses it too.
fn by_reference(model: &Model, entity: &Entity, relation: &Relation, target: EntityId) -> Object {
    let (table, target) = (names::table(entity), &model.entities[target]);
    let column = column(relation, target);
    let rest = if relation.polymorphic || relation.optional {
        format!(" where {column} is not null")
    } else {
        String::new()
    };
    let name = names::index(entity, std::slice::from_ref(&column));
    index(&table, &name, false, &format!("({column}, id){rest}"))
}
