//! Lists of children that a body creates together with the object: their items, and the answer that contains them too.

use super::{
    schema::{self, Body},
    types::reference,
    words::spaced,
};
use crate::emit::actions::Action;
use crate::model::{Entity, EntityId, Has, Model};
use crate::names::pascal;
use serde_json::{Map, Value, json};

/// Lists that a body of this entity may contain, each with its greatest length.
pub fn lists(entity: &Entity) -> impl Iterator<Item = (&Has, u32)> {
    let creates = Action::Create.open(entity).is_some();
    let all = entity.has.iter().filter(move |_| creates);
    all.filter_map(|has| Some((has, has.create_with?)))
}

/// `CreatedEvent`: the answer to a create that contains more than the object. `None` if it doesn't.
pub fn answer(entity: &Entity) -> Option<String> {
    let has_lists = lists(entity).next().is_some();
    has_lists.then(|| format!("Created{}", pascal(&entity.name)))
}

/// The lists as properties of the body that creates the object.
pub fn properties(model: &Model, id: EntityId) -> Map<String, Value> {
    let entity = &model.entities[id];
    let property = |(has, max): (&Has, u32)| {
        let items = reference(&item(model, entity, has));
        let list = json!({"type": "array", "maxItems": max, "items": items});
        (has.name.clone(), list)
    };
    lists(entity).map(property).collect()
}

/// The schemas that these lists need in addition, by name.
pub fn schemas(model: &Model, id: EntityId) -> Vec<(String, Value)> {
    let entity = &model.entities[id];
    let items = lists(entity).map(|(has, _)| {
        let via = model.entities[has.child].relation(&has.via);
        let body = schema::body_within(model, has.child, Body::Create, via);
        (item(model, entity, has), body)
    });
    let answer = answer(entity).map(|name| (name, created(model, id)));
    items.chain(answer).collect()
}

/// `CreateTicketTypeOfEvent`; with the name of the relation if the child has several to the entity.
fn item(model: &Model, entity: &Entity, has: &Has) -> String {
    let child = &model.entities[has.child];
    let name = format!("Create{}Of{}", pascal(&child.name), pascal(&entity.name));
    let first = lists(entity).find(|(other, _)| other.child == has.child);
    match first {
        Some((first, _)) if first.name != has.name => format!("{name}As{}", pascal(&has.via)),
        _ => name,
    }
}

fn created(model: &Model, id: EntityId) -> Value {
    let entity = &model.entities[id];
    let property = |(has, max): (&Has, u32)| {
        let description = format!(
            "The {} that were created with it, in the order of the body. Missing if the body had none or the caller can't see them.",
            spaced(&has.name)
        );
        let items = reference(&pascal(&model.entities[has.child].name));
        let list =
            json!({"type": "array", "maxItems": max, "description": description, "items": items});
        (has.name.clone(), list)
    };
    let properties: Map<String, Value> = lists(entity).map(property).collect();
    json!({
        "allOf": [
            reference(&pascal(&entity.name)),
            {"type": "object", "properties": properties},
        ],
    })
}
