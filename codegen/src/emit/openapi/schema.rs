//! The schemas of one entity: the object, its page, and the bodies that create, replace and change it.

use super::{
    example,
    names::{pascal, title},
    types::{self, nullable, reference, with},
    words::{self, article, spaced},
};
use crate::model::{
    Derived, DerivedKind, Entity, EntityId, Expr, Field, Lifecycle, Model, Relation, Ty,
};
use serde_json::{Map, Value, json};

/// A property of the answered object, in the order of the answer.
#[derive(Clone, Copy)]
pub enum Column<'a> {
    Id,
    Status,
    Field(&'a Field),
    /// `host_type` of a `one of`.
    TypeOf(&'a Relation),
    IdOf(&'a Relation),
    Derived(&'a Derived),
    Version,
    CreatedAt,
    UpdatedAt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Create,
    Replace,
    Patch,
}

impl Column<'_> {
    pub fn name(&self) -> String {
        match self {
            Column::Id => "id".to_owned(),
            Column::Status => "status".to_owned(),
            Column::Field(field) => field.name.clone(),
            Column::TypeOf(relation) => format!("{}_type", relation.name),
            Column::IdOf(relation) => relation.id_column(),
            Column::Derived(derived) => derived.name.clone(),
            Column::Version => "version".to_owned(),
            Column::CreatedAt => "created_at".to_owned(),
            Column::UpdatedAt => "updated_at".to_owned(),
        }
    }

    /// Shown only to some; left out for the others.
    pub fn guarded(&self) -> bool {
        self.read_rule().is_some()
    }

    fn read_rule(&self) -> Option<&Expr> {
        match self {
            Column::Field(field) => field.read.as_ref(),
            Column::TypeOf(relation) | Column::IdOf(relation) => relation.read.as_ref(),
            _ => None,
        }
    }

    fn optional(&self) -> bool {
        match self {
            Column::Field(field) => field.optional,
            Column::TypeOf(relation) | Column::IdOf(relation) => relation.optional,
            Column::Derived(derived) => matches!(derived.kind, DerivedKind::Avg { .. }),
            _ => false,
        }
    }
}

pub fn columns(model: &Model, id: EntityId) -> Vec<Column<'_>> {
    let entity = &model.entities[id];
    let mut all = vec![Column::Id];
    if entity.lifecycle == Lifecycle::SoftDelete {
        all.push(Column::Status);
    }
    all.extend(entity.fields.iter().map(Column::Field));
    all.extend(entity.belongs.iter().flat_map(of_relation));
    all.extend(entity.derived.iter().map(Column::Derived));
    if entity.lifecycle != Lifecycle::AppendOnly {
        all.push(Column::Version);
    }
    all.push(Column::CreatedAt);
    if entity.lifecycle != Lifecycle::AppendOnly {
        all.push(Column::UpdatedAt);
    }
    all
}

/// What a body may hold.
pub fn inputs(model: &Model, id: EntityId, body: Body) -> Vec<Column<'_>> {
    let entity = &model.entities[id];
    let update = body != Body::Create;
    let fields = entity
        .fields
        .iter()
        .filter(|field| !field.system && !matches!(field.ty, Ty::States { .. }))
        .filter(|field| !(update && field.fixed));
    let relations = entity
        .belongs
        .iter()
        .filter(|relation| !relation.set_me && !relation.system && (!update || relation.movable));
    fields
        .map(Column::Field)
        .chain(relations.flat_map(of_relation))
        .collect()
}

fn of_relation(relation: &Relation) -> Vec<Column<'_>> {
    if relation.polymorphic {
        vec![Column::TypeOf(relation), Column::IdOf(relation)]
    } else {
        vec![Column::IdOf(relation)]
    }
}

/// `Event`: the object as it is answered.
pub fn row(model: &Model, id: EntityId, allowed_actions: &[String]) -> Value {
    let entity = &model.entities[id];
    let mut required = Vec::new();
    let mut properties = Map::new();
    for column in columns(model, id) {
        if !column.guarded() {
            required.push(column.name());
        }
        properties.insert(column.name(), answered(model, id, column));
    }
    for relation in entity
        .belongs
        .iter()
        .filter(|relation| expandable(model, relation))
    {
        properties.insert(relation.name.clone(), expanded(model, relation));
    }
    if !allowed_actions.is_empty() {
        properties.insert(
            "allowed_actions".to_owned(),
            json!({
                "type": "array",
                "readOnly": true,
                "description": "What the caller may do with this object now. Part of the answer when a single object is read.",
                "items": {"type": "string", "enum": allowed_actions},
            }),
        );
    }
    let schema = types::object(&entity.doc, required, properties, false);
    let mut example = example::row(model, id);
    if let (Value::Object(example), false) = (&mut example, allowed_actions.is_empty()) {
        example.insert("allowed_actions".to_owned(), json!([allowed_actions[0]]));
    }
    with(schema, json!({"example": example}))
}

/// `EventList`: one page.
pub fn list(entity: &Entity, example: Value) -> Value {
    let mut properties = Map::new();
    properties.insert(
        "data".to_owned(),
        json!({"type": "array", "maxItems": 100, "items": reference(&pascal(&entity.name))}),
    );
    properties.insert("next_cursor".to_owned(), reference("NextCursor"));
    properties.insert("count".to_owned(), reference("Count"));
    let description = format!("A page of {}.", spaced(&entity.plural));
    let schema = types::object(
        &description,
        vec!["data".to_owned(), "next_cursor".to_owned()],
        properties,
        false,
    );
    with(
        schema,
        json!({"example": {"data": [example], "next_cursor": null}}),
    )
}

/// `CreateEvent`, `ReplaceEvent`, `PatchEvent`.
pub fn body(model: &Model, id: EntityId, body: Body) -> Value {
    let entity = &model.entities[id];
    let mut required = Vec::new();
    let mut properties = Map::new();
    for column in inputs(model, id, body) {
        if body != Body::Patch && demanded(column, body) {
            required.push(column.name());
        }
        properties.insert(column.name(), sent(model, id, column, body));
    }
    let one = spaced(&entity.name);
    let description = match body {
        Body::Create => format!("What {} is created from.", article(&one)),
        Body::Replace => {
            format!(
                "A whole new representation of {}. What is left out becomes its default or empty, unless its description says otherwise.",
                article(&one)
            )
        }
        Body::Patch => format!(
            "Changes to {}. What is left out stays as it is; `null` empties.",
            article(&one)
        ),
    };
    let mut schema = types::object(&description, required, properties, true);
    let pairs = pairs(model, id, body);
    if !pairs.is_empty() {
        schema = with(schema, json!({"dependentRequired": pairs}));
    }
    with(schema, json!({"example": example::body(model, id, body)}))
}

/// Type and id of a `one of` come together or not at all.
fn pairs(model: &Model, id: EntityId, body: Body) -> Map<String, Value> {
    let mut pairs = Map::new();
    for column in inputs(model, id, body) {
        if let Column::TypeOf(relation) = column {
            let (ty, id) = (format!("{}_type", relation.name), relation.id_column());
            pairs.insert(ty.clone(), json!([id]));
            pairs.insert(id, json!([ty]));
        }
    }
    pairs
}

fn demanded(column: Column, body: Body) -> bool {
    match column {
        _ if body == Body::Replace && keeps(column) => false,
        Column::Field(field) => !field.optional && field.default.is_none() && !made(field),
        Column::TypeOf(relation) | Column::IdOf(relation) => !relation.optional,
        _ => false,
    }
}

/// A slug that is made of another field.
fn made(field: &Field) -> bool {
    matches!(field.ty, Ty::Slug { from: Some(_) })
}

/// Left out of a replacement it stays: who sends back what they were given loses nothing.
fn keeps(column: Column) -> bool {
    column.guarded()
        || matches!(column, Column::Field(field) if field.write.is_some() || made(field))
}

pub fn expandable(model: &Model, relation: &Relation) -> bool {
    !relation.hidden
        && relation
            .targets
            .iter()
            .any(|target| !model.entities[*target].internal)
}

fn expanded(model: &Model, relation: &Relation) -> Value {
    let open = relation
        .targets
        .iter()
        .map(|target| &model.entities[*target])
        .filter(|target| !target.internal);
    let mut kinds: Vec<Value> = open
        .map(|target| reference(&pascal(&target.name)))
        .collect();
    kinds.push(json!({"type": "null"}));
    json!({
        "readOnly": true,
        "description": format!("The {} itself, when asked for with `expand={}`; null if the caller may not see it.", spaced(&relation.name), relation.name),
        "anyOf": kinds,
    })
}

/// A property of the answer.
fn answered(model: &Model, id: EntityId, column: Column) -> Value {
    let schema = plain(model, column);
    // A guarded column is left out when there is nothing to show, so it is never null.
    let schema = if column.optional() && !column.guarded() {
        nullable(schema)
    } else {
        schema
    };
    let entity = &model.entities[id];
    let kept_by_server = match column {
        Column::Field(field) => field.system || matches!(field.ty, Ty::States { .. }),
        Column::TypeOf(relation) | Column::IdOf(relation) => relation.system || relation.set_me,
        _ => true,
    };
    let mut notes = notes(model, entity, column);
    if let Some(rule) = column.read_rule() {
        notes.push(format!(
            "Shown only if {}.",
            words::explain(model, id, rule).inline()
        ));
    }
    let mut more = Map::new();
    if kept_by_server || entity.module.is_some() {
        more.insert("readOnly".to_owned(), json!(true));
    }
    describe(schema, notes, more)
}

/// A property of a body.
fn sent(model: &Model, id: EntityId, column: Column, body: Body) -> Value {
    let mut schema = plain(model, column);
    if column.optional() {
        schema = nullable(schema);
    }
    let mut notes = notes(model, &model.entities[id], column);
    let mut more = Map::new();
    if let Column::Field(field) = column {
        if let Some(rule) = &field.write {
            notes.push(format!(
                "May be sent only if {}.",
                words::explain(model, id, rule).inline()
            ));
        }
        if let (Ty::Slug { from: Some(from) }, Body::Create) = (&field.ty, body) {
            notes.push(format!("Made from `{from}` when left out."));
        }
        let kept = body == Body::Patch || (body == Body::Replace && keeps(column));
        if let (Some(default), false) = (types::default(field), kept) {
            more.insert("default".to_owned(), default);
        }
    }
    if body == Body::Replace && keeps(column) {
        notes.push("Stays as it is when left out.".to_owned());
    }
    describe(schema, notes, more)
}

fn describe(schema: Value, notes: Vec<String>, mut more: Map<String, Value>) -> Value {
    if !notes.is_empty() {
        more.insert("description".to_owned(), json!(notes.join(" ")));
    }
    with(schema, Value::Object(more))
}

fn plain(model: &Model, column: Column) -> Value {
    match column {
        Column::Id | Column::IdOf(_) => json!({"type": "string", "format": "uuid"}),
        Column::Status => json!({"type": "string", "enum": ["active", "suspended", "archived"]}),
        Column::Field(field) => types::schema(model, &field.ty),
        Column::TypeOf(relation) => {
            let names: Vec<&str> = relation
                .targets
                .iter()
                .map(|target| model.entities[*target].name.as_str())
                .collect();
            json!({"type": "string", "enum": names})
        }
        Column::Derived(derived) => match &derived.kind {
            DerivedKind::Count { .. } => {
                json!({"type": "integer", "format": "int64", "minimum": 0})
            }
            DerivedKind::Sum { .. } => json!({"type": "integer", "format": "int64"}),
            DerivedKind::Avg { .. } => json!({"type": "number"}),
            DerivedKind::Flag { .. } => json!({"type": "boolean"}),
        },
        Column::Version => json!({"type": "integer", "format": "int64", "minimum": 1}),
        Column::CreatedAt | Column::UpdatedAt => json!({"type": "string", "format": "date-time"}),
    }
}

/// What there is to say about a column besides its type.
fn notes(model: &Model, entity: &Entity, column: Column) -> Vec<String> {
    let mut notes = Vec::new();
    match column {
        Column::Id => notes.push("UUID version 7: sorts by time of creation.".to_owned()),
        Column::Status => {
            notes.push("`suspended` by a moderator; `archived` is the delete.".to_owned())
        }
        Column::Version => {
            notes.push("Grows with every change; the first part of the ETag.".to_owned())
        }
        Column::Field(field) => {
            if matches!(field.ty, Ty::Money { .. }) {
                notes.push("In minor units (cents) of `currency`.".to_owned());
            }
            if matches!(field.ty, Ty::States { .. }) && !entity.transitions.is_empty() {
                let verbs: Vec<String> = entity
                    .transitions
                    .iter()
                    .map(|t| format!("`{}`", t.name))
                    .collect();
                notes.push(format!("Changed by {} only.", verbs.join(", ")));
            }
            if let Some(check) = &field.check {
                let id = model.entity(&entity.name).map_or(0, |(id, _)| id);
                notes.push(format!(
                    "Must hold: {}.",
                    words::explain(model, id, check).inline()
                ));
            }
            if field.unique {
                notes.push(format!("Unique among {}.", spaced(&entity.plural)));
            }
        }
        Column::TypeOf(relation) => {
            notes.push(format!("What `{}` is the id of.", relation.id_column()))
        }
        Column::IdOf(relation) if relation.set_me => notes.push("The signed-in caller.".to_owned()),
        Column::IdOf(relation) if !relation.polymorphic => {
            let target = &model.entities[relation.targets[0]];
            notes.push(format!("Id of {}.", article(&spaced(&target.name))));
        }
        Column::IdOf(relation) => {
            let kinds: Vec<String> = relation
                .targets
                .iter()
                .map(|t| spaced(&model.entities[*t].name))
                .collect();
            notes.push(format!(
                "Id of the {}, as `{}_type` says.",
                kinds.join(" or "),
                relation.name
            ));
        }
        Column::Derived(derived) => notes.push(derived_note(model, entity, derived)),
        Column::CreatedAt | Column::UpdatedAt => {}
    }
    notes
}

fn derived_note(model: &Model, entity: &Entity, derived: &Derived) -> String {
    let of = |has: usize| spaced(&entity.has[has].name);
    let (text, has, filter) = match &derived.kind {
        DerivedKind::Count { has, filter } => (format!("Number of {}", of(*has)), *has, filter),
        DerivedKind::Sum { has, field, filter } => (
            format!("Sum of `{field}` of its {}", of(*has)),
            *has,
            filter,
        ),
        DerivedKind::Avg { has, field, filter } => (
            format!(
                "Average `{field}` of its {}; null while there are none",
                of(*has)
            ),
            *has,
            filter,
        ),
        DerivedKind::Flag { expr } => {
            let id = model.entity(&entity.name).map_or(0, |(id, _)| id);
            return format!("True when {}.", words::explain(model, id, expr).inline());
        }
    };
    match filter {
        None => format!("{text}."),
        Some(filter) => format!(
            "{text}, counting those where {}.",
            words::explain(model, entity.has[has].child, filter).inline()
        ),
    }
}

/// Tag and heading of an entity: `Ticket types`.
pub fn heading(entity: &Entity) -> String {
    title(&entity.plural)
}
