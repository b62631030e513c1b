//! `generated/openapi.json`: the OpenAPI 3.1 document of all generated routes.
//!
//! A pure function of the model. Hand-written routes are added by the kernel when the server starts.

mod action;
mod common;
pub mod example;
mod named;
mod names;
mod note;
mod operation;
mod parameters;
mod problems;
mod schema;
mod settled;
mod text;
mod together;
mod types;
pub mod words;

use self::{
    action::{Action, operations},
    schema::Body,
};
use crate::emit::columns;
use crate::model::{EntityId, Model};
use crate::names::pascal;
use serde_json::{Map, Value, json};

/// Version of the API, not of the software: the first number changes when a client could break.
const API_VERSION: &str = "1.0.0";

/// The file's text.
pub fn render(model: &Model) -> String {
    text::render(&document(model))
}

pub fn document(model: &Model) -> Value {
    let order = reading_order(model);
    let paths: Map<String, Value> = order
        .iter()
        .flat_map(|id| operation::paths(model, *id))
        .collect();
    let mut schemas = common::schemas(model);
    let mut parameters = common::parameters();
    let mut responses = problems::responses();
    parameters.extend(parameters::components(model, &order));
    for id in &order {
        add_schemas(model, *id, &mut schemas);
        responses.extend(operation::answers(model, *id));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": model.title,
            "version": API_VERSION,
            "description": introduction(model),
        },
        "servers": [{"url": "/"}],
        // The default for operations that don't state their own: a token is needed.
        "security": [{"bearer": []}],
        "tags": tags(model, &order),
        "x-tagGroups": tag_groups(model, &order),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "parameters": parameters,
            "headers": common::headers(),
            "securitySchemes": common::security_schemes(),
        },
    })
}

/// Schemas that every application has.
pub fn common_schemas() -> Vec<String> {
    // The last two are made from lists in the engine.
    let names = types::FORMATS
        .into_iter()
        .chain(["ProblemType", "ProblemCode"]);
    common::own_schemas()
        .into_iter()
        .map(|(name, _)| name)
        .chain(names.map(str::to_owned))
        .collect()
}

/// Names of the schemas of an entity.
pub fn schemas_of(model: &Model, id: EntityId) -> Vec<String> {
    let operations = operations(model, id);
    if operations.is_empty() {
        return Vec::new();
    }
    let name = pascal(&model.entities[id].name);
    let bodies = operations
        .iter()
        .filter_map(|operation| match operation.action {
            Action::Create => Some(format!("Create{name}")),
            Action::Replace => Some(format!("Replace{name}")),
            Action::Patch => Some(format!("Patch{name}")),
            _ => None,
        });
    let restored = (operations.iter())
        .any(|operation| matches!(operation.action, Action::Restore))
        .then(|| format!("Restored{name}"));
    let expanded = schema::expanded(model, id).map(|_| format!("Expanded{name}"));
    let named = named::all(model, id, &action::allowed(model, id)).into_iter();
    [name.clone(), format!("{name}List")]
        .into_iter()
        .chain(bodies)
        .chain(restored)
        .chain(expanded)
        .chain(named.map(|(name, _)| name))
        .chain(
            together::schemas(model, id)
                .into_iter()
                .map(|(name, _)| name),
        )
        .collect()
}

pub fn operation_ids(model: &Model, id: EntityId) -> Vec<String> {
    let operations = operations(model, id);
    operations
        .iter()
        .map(|operation| operation.id(model))
        .collect()
}

/// Entities with routes, as `tags:` of app.yaml orders them, then the others.
fn reading_order(model: &Model) -> Vec<EntityId> {
    let mut order: Vec<EntityId> = Vec::new();
    let named = model
        .tags
        .iter()
        .flat_map(|(_, entities)| entities.iter().copied());
    for id in named.chain(0..model.entities.len()) {
        if !order.contains(&id) && !operations(model, id).is_empty() {
            order.push(id);
        }
    }
    order
}

fn tags(model: &Model, order: &[EntityId]) -> Vec<Value> {
    let tag = |id: &EntityId| {
        let entity = &model.entities[*id];
        let mut text = entity.doc.clone();
        for (name, meaning) in conditions(model, *id) {
            text.push_str(if text.contains("\n- ") {
                "\n- "
            } else {
                "\n\nNames in the rules:\n- "
            });
            text.push_str(&format!("`{name}`: {meaning}"));
        }
        json!({"name": schema::heading(entity), "description": text})
    };
    order.iter().map(tag).collect()
}

/// The named conditions that the rules of an entity's operations and properties use: name, meaning.
fn conditions(model: &Model, id: EntityId) -> Vec<(String, String)> {
    let entity = &model.entities[id];
    let own = operations(model, id)
        .into_iter()
        .filter(|operation| !matches!(operation.action, Action::Nested(_)))
        .map(|operation| operation.rule);
    let fields = entity.fields.iter();
    let sent = fields.filter_map(|field| field.write.as_ref());
    let columns = columns::row(entity);
    let shown = columns.iter().filter_map(|column| column.read_rule());
    let mut all: Vec<(String, String)> = Vec::new();
    for rule in own.chain(&entity.access.read).chain(shown).chain(sent) {
        for one in words::explain(model, id, rule).conditions {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    all
}

/// For documentation viewers that group tags into chapters; others ignore it.
fn tag_groups(model: &Model, order: &[EntityId]) -> Vec<Value> {
    let group = |name: &str, ids: Vec<EntityId>| {
        let tags: Vec<String> = ids
            .iter()
            .map(|id| schema::heading(&model.entities[*id]))
            .collect();
        json!({"name": name, "tags": tags})
    };
    let mut groups: Vec<Value> = Vec::new();
    let mut seen: Vec<EntityId> = Vec::new();
    for (name, entities) in &model.tags {
        let here: Vec<EntityId> = entities
            .iter()
            .copied()
            .filter(|id| order.contains(id) && !seen.contains(id))
            .collect();
        seen.extend(&here);
        if !here.is_empty() {
            groups.push(group(name, here));
        }
    }
    let rest: Vec<EntityId> = order
        .iter()
        .copied()
        .filter(|id| !seen.contains(id))
        .collect();
    if !rest.is_empty() {
        groups.push(group("Other", rest));
    }
    groups
}

fn add_schemas(model: &Model, id: EntityId, schemas: &mut Map<String, Value>) {
    let entity = &model.entities[id];
    let name = pascal(&entity.name);
    let allowed = action::allowed(model, id);
    let row = schema::row(model, id, &allowed);
    let mut add = |name: String, schema: Value| {
        let before = schemas.insert(name.clone(), schema);
        assert!(
            before.is_none(),
            "two schemas of the API document are called {name}: rename an entity or an object"
        );
    };
    add(name.clone(), row);
    if let Some(expanded) = schema::expanded(model, id) {
        add(format!("Expanded{name}"), expanded);
    }
    for (name, schema) in named::all(model, id, &allowed) {
        add(name, schema);
    }
    add(format!("{name}List"), schema::list(model, id));
    for (name, schema) in together::schemas(model, id) {
        add(name, schema);
    }
    for operation in operations(model, id) {
        match operation.action {
            Action::Create => add(
                format!("Create{name}"),
                schema::body(model, id, Body::Create),
            ),
            Action::Replace => add(
                format!("Replace{name}"),
                schema::body(model, id, Body::Replace),
            ),
            Action::Patch => add(format!("Patch{name}"), schema::body(model, id, Body::Patch)),
            Action::Restore => add(format!("Restored{name}"), schema::restored(model, id)),
            _ => {}
        }
    }
}

fn introduction(model: &Model) -> String {
    format!(
        "{doc}

**Signing in.** Send the access token as `Authorization: Bearer …` (on this page: the *Authorize* button). Many operations work without one. Each operation says who may use it. `x-access` says the same by kind of caller: `yes` means for every object, `no` means never, and `depends` means that the rule decides for each object. Signed-in callers may do what anonymous callers may, and holders of a role may do what all signed-in callers may, unless they are listed themselves; all others are refused. The tag explains the names in its rules. Answers to requests that count towards a limit have the headers `RateLimit` and `RateLimit-Policy`.

{lists}

**Reading.** Ignore properties that you do not know; new ones are added without notice.

`object` is the type of an object. `allowed_actions` lists what the caller may do with it now; answers with a single object contain it, lists only with `expand=allowed_actions`. Archived objects are missing from all answers until they are restored. Amounts (`…_cents`) are in minor units of the `currency` next to them.

**Changing.** PUT and PATCH need the object's ETag in `If-Match`, so that no change is overwritten unnoticed: 428 if it is missing, 412 if the object has changed. The schema of a body has all properties that can be set; the server sets the others. PATCH changes only the properties in its body, and null clears one; PUT sets those that are left out to their default, or null. DELETE archives the object and what belongs to it; 409 if something prevents it, which `errors` names.

**Errors** are `application/problem+json` (RFC 9457). `type` is the path of a page about the problem, and `errors` lists all values that are wrong, with a JSON pointer to each. 403: the caller can see the object but may not do this. 404: the object does not exist, or the caller may not see it. 409: the request conflicts with other objects or with the state of this one; operations that change a state from certain values need one of these. 422: values are not valid. Any request may be answered with 400, 401, 403, 408, 413, 415, 422, 429, 431, 500 or 503; these are the `default` of each operation.",
        doc = model.doc,
        lists = parameters::LISTS,
    )
}
