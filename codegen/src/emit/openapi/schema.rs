//! The schemas of one entity: the object, its list, and the bodies that create, replace and change it.

use super::{
    common::is_patched,
    example, named,
    names::title,
    note, together,
    types::{self, nullable, reference, with},
    words,
};
use crate::{
    emit::{
        actions::Action,
        columns::{self, Column, Source},
        entity::types::{enum_name, type_name},
    },
    model::{DerivedKind, Entity, EntityId, Field, First, Model, Relation, Ty},
    names::pascal,
};
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Create,
    Replace,
    Patch,
}

/// The columns that a body may contain.
pub fn inputs(entity: &Entity, body: Body) -> Vec<Column<'_>> {
    match body {
        Body::Create => columns::create(entity),
        Body::Replace | Body::Patch => columns::update(entity),
    }
}

/// `Event`: the object in an answer, and inside other objects.
pub fn row(model: &Model, id: EntityId, allowed_actions: &[String]) -> Value {
    let entity = &model.entities[id];
    let mut required = Vec::new();
    let mut properties = Map::new();
    properties.insert(
        "object".to_owned(),
        json!({"type": "string", "const": entity.name}),
    );
    for column in columns::row(entity) {
        if column.read_rule().is_none() {
            required.push(column.name());
        }
        let property = answered(model, id, column);
        let property = match example::of_property(model, id, column) {
            Some(example) => with(property, json!({"example": example})),
            None => property,
        };
        properties.insert(column.name(), property);
    }
    if !allowed_actions.is_empty() {
        properties.insert(
            "allowed_actions".to_owned(),
            // The introduction explains it.
            json!({"type": "array", "items": reference(&named::action(entity))}),
        );
    }
    types::object(&entity.doc, required, properties, false)
}

/// `ExpandedEvent`: the object with the objects that `expand` adds, which can't be expanded themselves.
pub fn expanded(model: &Model, id: EntityId) -> Option<Value> {
    let entity = &model.entities[id];
    let mut properties = Map::new();
    for relation in (entity.belongs.iter()).filter(|relation| expandable(model, relation)) {
        properties.insert(relation.name.clone(), related(model, entity, relation));
    }
    for first in &entity.firsts {
        properties.insert(first.name.clone(), first_of(model, entity, first));
    }
    if properties.is_empty() {
        return None;
    }
    Some(json!({
        "allOf": [
            reference(&pascal(&entity.name)),
            {"type": "object", "properties": properties},
        ],
    }))
}

/// The name of the schema of answers to requests that accept `expand`.
pub fn answered_name(model: &Model, id: EntityId) -> String {
    let entity = &model.entities[id];
    let name = pascal(&entity.name);
    match expanded(model, id).is_some() {
        true => format!("Expanded{name}"),
        false => name,
    }
}

/// `EventList`: one page. `PageInfo` has what all pages have.
pub fn list(model: &Model, id: EntityId) -> Value {
    let data =
        json!({"type": "array", "maxItems": 100, "items": reference(&answered_name(model, id))});
    json!({
        "allOf": [
            reference("PageInfo"),
            {"type": "object", "required": ["data"], "properties": {"data": data}},
        ],
    })
}

/// `RestoredEvent`
pub fn restored(model: &Model, id: EntityId) -> Value {
    let entity = &model.entities[id];
    json!({
        "allOf": [
            reference(&pascal(&entity.name)),
            reference("Restored"),
        ],
    })
}

/// `CreateEvent`, `ReplaceEvent`, `PatchEvent`. They need no description, since the operations have one.
pub fn body(model: &Model, id: EntityId, body: Body) -> Value {
    body_within(model, id, body, None)
}

/// The body of an object, possibly inside the body of its parent; then `parent` is the relation to it, which the body
/// leaves out.
pub fn body_within(model: &Model, id: EntityId, body: Body, parent: Option<&Relation>) -> Value {
    let entity = &model.entities[id];
    let mut required = Vec::new();
    let mut properties = Map::new();
    for column in inputs(entity, body) {
        if is_of(column, parent) {
            continue;
        }
        if body != Body::Patch && demanded(column, body) {
            required.push(column.name());
        }
        properties.insert(column.name(), sent(model, id, column, body));
    }
    if body == Body::Create && parent.is_none() {
        properties.extend(together::properties(model, id));
    }
    let mut schema = types::object("", required, properties, true);
    let mut pairs = pairs(entity, body);
    let mut example = example::body(model, id, body);
    for column in inputs(entity, body) {
        if let (true, Value::Object(example)) = (is_of(column, parent), &mut example) {
            pairs.remove(&column.name());
            example.remove(&column.name());
        }
    }
    if !pairs.is_empty() {
        schema = with(schema, json!({"dependentRequired": pairs}));
    }
    with(schema, json!({"example": example}))
}

pub fn expandable(model: &Model, relation: &Relation) -> bool {
    !relation.hidden && named::open_targets(model, relation).next().is_some()
}

/// Tag and heading of an entity in the document: `Ticket types`.
pub fn heading(entity: &Entity) -> String {
    title(&entity.plural)
}

fn is_of(column: Column, relation: Option<&Relation>) -> bool {
    match column.source {
        Source::TypeOf(own) | Source::IdOf(own) => relation.is_some_and(|r| r.name == own.name),
        _ => false,
    }
}

/// Requires that type and id of a `one of` relation are sent together.
fn pairs(entity: &Entity, body: Body) -> Map<String, Value> {
    let mut pairs = Map::new();
    for column in inputs(entity, body) {
        if let Source::TypeOf(relation) = column.source {
            let (ty, id) = (format!("{}_type", relation.name), relation.id_column());
            pairs.insert(ty.clone(), json!([id]));
            pairs.insert(id, json!([ty]));
        }
    }
    pairs
}

fn demanded(column: Column, body: Body) -> bool {
    match column.source {
        _ if body == Body::Replace && column.keeps() => false,
        Source::Field(field) => !field.optional && field.default.is_none() && !made(field),
        Source::TypeOf(relation) | Source::IdOf(relation) => !relation.optional,
        _ => false,
    }
}

/// Whether the field is a slug that is made of another field.
fn made(field: &Field) -> bool {
    matches!(field.ty, Ty::Slug { from: Some(_) })
}

/// A property that `expand` adds.
fn related(model: &Model, entity: &Entity, relation: &Relation) -> Value {
    let schema = match named::open_targets(model, relation)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [one] => reference(&pascal(&one.name)),
        _ => reference(&named::union(entity, relation)),
    };
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn first_of(model: &Model, entity: &Entity, first: &First) -> Value {
    let has = &entity.has[first.has];
    let child = &model.entities[has.child];
    let which = match &first.filter {
        None => String::new(),
        Some(filter) => format!(
            " where {}",
            words::explain(model, has.child, filter).inline()
        ),
    };
    let told = format!(
        "The first of its {} by `{}`{which}; null if there is none that the caller can see.",
        words::spaced(&has.name),
        first.by
    );
    let doc = first.doc.iter().cloned().chain([told]);
    json!({
        "anyOf": [reference(&pascal(&child.name)), {"type": "null"}],
        "description": doc.collect::<Vec<_>>().join(" "),
    })
}

/// A property of the answer. What the server keeps is not marked (`readOnly`): no body contains it, and generators would
/// make a second type of each object, without these properties, that nothing uses.
fn answered(model: &Model, id: EntityId, column: Column) -> Value {
    let entity = &model.entities[id];
    let schema = plain(model, entity, column);
    let schema = if column.optional() {
        nullable(schema)
    } else {
        schema
    };
    let mut notes = note::notes(model, id, column, note::In::Answer);
    if let Some(rule) = column.read_rule() {
        let words = words::explain(model, id, rule);
        notes.push(format!("Present only if {}.", words.rule));
    }
    describe(schema, notes, Map::new())
}

/// A property of a body.
fn sent(model: &Model, id: EntityId, column: Column, body: Body) -> Value {
    let entity = &model.entities[id];
    let is_made =
        body == Body::Create && matches!(column.source, Source::Field(field) if made(field));
    let mut schema = match column.ty() {
        Some(Ty::Object { object }) if body == Body::Patch && is_patched(model, *object) => {
            types::reference(&format!("Patch{}", pascal(&model.objects[*object].name)))
        }
        Some(ty) if has_default(column) => {
            types::inline(model, ty).unwrap_or_else(|| plain(model, entity, column))
        }
        _ => plain(model, entity, column),
    };
    if column.optional() || is_made {
        schema = nullable(schema);
    }
    let mut notes = match explains(entity, body) {
        true => note::notes(model, id, column, note::In::Body),
        false => Vec::new(),
    };
    if body == Body::Patch && matches!(column.ty(), Some(Ty::Json | Ty::Object { .. })) {
        notes.push("Keys that are left out keep their values; null removes a key.".to_owned());
    }
    let mut more = Map::new();
    if let Source::Field(field) = column.source {
        if let Some(rule) = &field.write {
            let words = words::explain(model, id, rule);
            notes.push(format!("May be sent only if {}.", words.rule));
        }
        if let (Ty::Slug { from: Some(from) }, Body::Create) = (&field.ty, body) {
            notes.push(format!("Derived from `{from}` if left out or null."));
        }
        let kept = body == Body::Patch || (body == Body::Replace && column.keeps());
        if let (Some(default), false) = (types::default(field), kept) {
            more.insert("default".to_owned(), default);
        }
    }
    if body == Body::Replace && column.keeps() {
        notes.push("Keeps its value if left out.".to_owned());
    }
    describe(schema, notes, more)
}

/// Fields are explained in one body only: the one that creates an object if there is one.
fn explains(entity: &Entity, body: Body) -> bool {
    match body {
        Body::Create => true,
        Body::Patch => Action::Create.open(entity).is_none(),
        Body::Replace => false,
    }
}

/// Whether the column has a default. Java's client generator can't compile a default beside a reference to a format.
fn has_default(column: Column) -> bool {
    matches!(column.source, Source::Field(field) if types::default(field).is_some())
}

fn describe(schema: Value, notes: Vec<String>, mut more: Map<String, Value>) -> Value {
    if !notes.is_empty() {
        more.insert("description".to_owned(), json!(notes.join(" ")));
    }
    with(schema, Value::Object(more))
}

fn plain(model: &Model, entity: &Entity, column: Column) -> Value {
    match column.source {
        Source::Id => reference("ObjectId"),
        Source::IdOf(_) => json!({"type": "string", "format": "uuid"}),
        Source::Status => reference("Status"),
        Source::Field(field) => match field.ty {
            Ty::Enum { .. } | Ty::States { .. } => reference(&enum_name(entity, &field.name)),
            _ => types::schema(model, &field.ty),
        },
        Source::TypeOf(relation) => reference(&type_name(entity, relation)),
        Source::Derived(derived) => match &derived.kind {
            DerivedKind::Count { .. } => {
                json!({"type": "integer", "format": "int64", "minimum": 0})
            }
            DerivedKind::Sum { .. } if column.sums_decimals(model) => {
                json!({"type": "number", "format": "double"})
            }
            DerivedKind::Sum { .. } => json!({"type": "integer", "format": "int64"}),
            DerivedKind::Avg { .. } => json!({"type": "number", "format": "double"}),
            DerivedKind::Flag { .. } => json!({"type": "boolean"}),
        },
        Source::Version => reference("ObjectVersion"),
        Source::CreatedAt | Source::UpdatedAt => json!({"type": "string", "format": "date-time"}),
    }
}
