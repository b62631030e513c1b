//! Schemas with a name of their own, so that client generators create one type for each: enums and unions.

use super::{
    action,
    schema::expandable,
    types::{self, reference},
};
use crate::{
    emit::entity::types::{enum_name, type_name},
    model::{Entity, EntityId, Model, Relation, Ty},
    names::pascal,
};
use serde_json::{Map, Value, json};

/// The enums of an entity, and the unions of the possible targets of its relations, with their names.
pub fn all(model: &Model, id: EntityId, allowed_actions: &[String]) -> Vec<(String, Value)> {
    let entity = &model.entities[id];
    let mut named = Vec::new();
    for field in &entity.fields {
        if let Ty::Enum { values } | Ty::States { values } = &field.ty {
            named.push((enum_name(entity, &field.name), types::choice(values)));
        }
    }
    for relation in &entity.belongs {
        if relation.polymorphic {
            named.push((type_name(entity, relation), kinds(model, relation)));
        }
        if expandable(model, relation) && open_targets(model, relation).count() > 1 {
            named.push((union(entity, relation), one_of(model, relation)));
        }
    }
    if !allowed_actions.is_empty() {
        named.push((action(entity), types::choice(allowed_actions)));
    }
    if !is_by_id(entity) {
        named.push((sort(entity), orders(&sorted_by(entity))));
    }
    let expand = expands(model, id);
    if !expand.is_empty() {
        named.push((self::expand(entity), types::choice(&expand)));
    }
    named
}

/// `EventHost`
pub fn union(entity: &Entity, relation: &Relation) -> String {
    enum_name(entity, &relation.name)
}

/// `EventAllowedAction`
pub fn action(entity: &Entity) -> String {
    enum_name(entity, "allowed_action")
}

/// `EventSort`; lists that can only be sorted by id share one schema.
pub fn sort(entity: &Entity) -> String {
    match is_by_id(entity) {
        true => BY_ID.to_owned(),
        false => enum_name(entity, "sort"),
    }
}

pub const BY_ID: &str = "SortById";

/// The schema with the name [`BY_ID`].
pub fn by_id() -> Value {
    orders(&[])
}

pub fn is_by_id(entity: &Entity) -> bool {
    sorted_by(entity).is_empty()
}

/// `EventExpand`
pub fn expand(entity: &Entity) -> String {
    enum_name(entity, "expand")
}

/// What `expand` may name: relations, the first of several children, and the actions that an answer with one object has
/// anyway.
pub fn expands(model: &Model, id: EntityId) -> Vec<&str> {
    let entity = &model.entities[id];
    let open = (entity.belongs.iter()).filter(|relation| expandable(model, relation));
    let firsts = entity.firsts.iter().map(|first| first.name.as_str());
    let acts = !action::allowed(model, id).is_empty();
    (open.map(|relation| relation.name.as_str()))
        .chain(firsts)
        .chain(acts.then_some("allowed_actions"))
        .collect()
}

/// The targets of a relation that the API shows.
pub fn open_targets<'m>(model: &'m Model, relation: &Relation) -> impl Iterator<Item = &'m Entity> {
    let targets = relation
        .targets
        .iter()
        .map(|target| &model.entities[*target]);
    targets.filter(|target| !target.internal)
}

fn kinds(model: &Model, relation: &Relation) -> Value {
    let names: Vec<&str> = (relation.targets.iter())
        .map(|target| model.entities[*target].name.as_str())
        .collect();
    types::choice(&names)
}

/// A union of several kinds of object, discriminated by `object`.
fn one_of(model: &Model, relation: &Relation) -> Value {
    let mut kinds = Vec::new();
    let mut mapping = Map::new();
    for target in open_targets(model, relation) {
        let schema = reference(&pascal(&target.name));
        mapping.insert(target.name.clone(), schema["$ref"].clone());
        kinds.push(schema);
    }
    json!({
        "oneOf": kinds,
        "discriminator": {"propertyName": "object", "mapping": mapping},
    })
}

fn sorted_by(entity: &Entity) -> Vec<&str> {
    let fields = (entity.fields.iter().filter(|field| field.sort)).map(|field| &field.name);
    let derived =
        (entity.derived.iter().filter(|derived| derived.sort)).map(|derived| &derived.name);
    fields.chain(derived).map(String::as_str).collect()
}

/// `starts_at` and `-starts_at`. Since no language allows a minus in a name, client generators are given names to use. Both
/// have an ending, because every enum of Kotlin has a `name` of its own.
fn orders(by: &[&str]) -> Value {
    let (mut values, mut names) = (Vec::new(), Vec::new());
    for name in by.iter().copied().chain(["id"]) {
        values.extend([name.to_owned(), format!("-{name}")]);
        names.extend([format!("{name}_asc"), format!("{name}_desc")]);
    }
    json!({"type": "string", "enum": values, "x-enum-varnames": names})
}
