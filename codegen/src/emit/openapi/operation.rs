//! One operation in the document: texts, parameters, body, answers, access.

use super::{
    action::{Action, Operation, operations},
    common, parameters, problems, schema, together,
    types::reference,
    words::{self, Caller, May},
};
use crate::model::{EntityId, Lifecycle, Model, Transition, implied};
use crate::names::pascal;
use serde_json::{Map, Value, json};

/// Paths of one entity, each with its operations.
pub fn paths(model: &Model, entity: EntityId) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations(model, entity) {
        let item = paths
            .entry(operation.path(model))
            .or_insert_with(|| json!({}));
        item[operation.method()] = write(model, &operation);
    }
    paths
}

/// The schemas of the successful answers of an entity's operations, by name.
pub fn answers(model: &Model, id: EntityId) -> Vec<(String, Value)> {
    let entity = &model.entities[id];
    let name = pascal(&entity.name);
    let expanded = schema::answered_name(model, id);
    let mut answers = Vec::new();
    let mut add = |what: &str, answer: Value| {
        let name = format!("{name}{what}");
        if !answers.iter().any(|(known, _)| *known == name) {
            answers.push((name, answer));
        }
    };
    for operation in operations(model, id) {
        match operation.action {
            Action::List | Action::Archived => add("Page", answer("", &format!("{name}List"), &[])),
            Action::Get => add("Found", answer("", &expanded, &["ETag"])),
            Action::Create => {
                let told = match implied::creator_reads(model, id) {
                    true => "",
                    false => "Created. There is no body if the caller can't see the object.",
                };
                add(
                    "Created",
                    answer(
                        told,
                        &together::answer(entity).unwrap_or_else(|| name.clone()),
                        &["ETag", "Location"],
                    ),
                );
            }
            Action::Restore => add(
                "Restored",
                answer("", &format!("Restored{name}"), &["ETag"]),
            ),
            Action::Archive | Action::Nested(_) => {}
            _ => add("Changed", answer("", &name, &["ETag"])),
        }
    }
    answers
}

fn write(model: &Model, operation: &Operation) -> Value {
    let entity = &model.entities[operation.entity];
    let mut out = Map::new();
    out.insert("tags".to_owned(), json!([schema::heading(entity)]));
    out.insert("operationId".to_owned(), json!(operation.id(model)));
    out.insert("summary".to_owned(), json!(operation.summary(model)));
    out.insert(
        "description".to_owned(),
        json!(description(model, operation)),
    );
    let parameters = parameters(model, operation);
    if !parameters.is_empty() {
        out.insert("parameters".to_owned(), json!(parameters));
    }
    if let Some(body) = request_body(model, operation) {
        out.insert("requestBody".to_owned(), body);
    }
    out.insert(
        "responses".to_owned(),
        Value::Object(responses(model, operation)),
    );
    // Other operations have the document's default, which requires a token.
    if may(model, operation, Caller::Anonymous) != May::No {
        out.insert("security".to_owned(), json!([{}, {"bearer": []}]));
    }
    out.insert("x-access".to_owned(), access(model, operation));
    Value::Object(out)
}

/// The entity whose rule applies: the child for nested lists.
fn subject(model: &Model, operation: &Operation) -> EntityId {
    match operation.action {
        Action::Nested(has) => {
            debug_assert!(has.child < model.entities.len());
            has.child
        }
        _ => operation.entity,
    }
}

/// Whether a kind of caller may perform the operation. A nested list also requires that they may read the parent.
fn may(model: &Model, operation: &Operation, caller: Caller) -> May {
    let own = words::may(model, subject(model, operation), operation.rule, caller);
    let parent = match (
        operation.action,
        &model.entities[operation.entity].access.read,
    ) {
        (Action::Nested(_), Some(read)) => words::may(model, operation.entity, read, caller),
        (Action::Nested(_), None) => May::No,
        _ => May::Yes,
    };
    own.and(parent)
}

fn description(model: &Model, operation: &Operation) -> String {
    let mut text = operation.effect(model);
    if let Action::Nested(_) = operation.action {
        // The operation that lists all rows of the child describes the rest, including the rule.
        return text;
    }
    if let Action::Transition(Transition {
        when: Some(when), ..
    }) = operation.action
    {
        let when = words::explain(model, operation.entity, when).inline();
        text.push_str(&format!(" 409 unless {when}."));
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    // The tag explains the named conditions, once for all operations.
    let rule = words::explain(model, operation.entity, operation.rule).rule;
    text.push_str(&format!("**Who may**: {rule}."));
    text
}

/// Access by kind of caller: `yes`, `depends` (on the object) or `no`. Callers who are signed in may do all that
/// anonymous ones may, and holders of a role all that every signed-in caller may; only differences from that are
/// listed. The description contains the rule itself.
fn access(model: &Model, operation: &Operation) -> Value {
    let mut callers = Map::new();
    let mut others = May::No;
    for (name, caller) in words::callers(model) {
        let may = may(model, operation, caller);
        if may != others {
            callers.insert(name, json!(may.as_str()));
        }
        if !matches!(caller, Caller::Role(_)) {
            others = may;
        }
    }
    Value::Object(callers)
}

fn parameters(model: &Model, operation: &Operation) -> Vec<Value> {
    let entity = &model.entities[operation.entity];
    let mut all = Vec::new();
    if !matches!(
        operation.action,
        Action::List | Action::Archived | Action::Create
    ) {
        all.push(parameters::common("id"));
    }
    match operation.action {
        Action::List => all.extend(parameters::of_list(model, operation.entity, None)),
        Action::Nested(has) => all.extend(parameters::of_list(model, has.child, Some(&has.via))),
        Action::Get => {
            all.extend(parameters::of_one(model, operation.entity));
            all.push(parameters::common("IfNoneMatch"));
        }
        Action::Archived => all.extend(parameters::of_page(entity)),
        Action::Create => all.push(parameters::common("IdempotencyKey")),
        Action::Replace | Action::Patch => all.push(parameters::common("IfMatchRequired")),
        _ => {
            if entity.lifecycle != Lifecycle::AppendOnly {
                all.push(parameters::common("IfMatch"));
            }
        }
    }
    all
}

fn request_body(model: &Model, operation: &Operation) -> Option<Value> {
    let name = pascal(&model.entities[operation.entity].name);
    // The example belongs to the schema.
    let body = |schema: String| json!({"required": true, "content": {"application/json": {"schema": reference(&schema)}}});
    match operation.action {
        Action::Create => Some(body(format!("Create{name}"))),
        Action::Replace => Some(body(format!("Replace{name}"))),
        Action::Patch => {
            // The server accepts application/merge-patch+json as well, but with two content types client generators
            // would create two operations.
            Some(body(format!("Patch{name}")))
        }
        Action::Transition(transition) if transition.reason => Some(body("Reason".to_owned())),
        _ => None,
    }
}

fn responses(model: &Model, operation: &Operation) -> Map<String, Value> {
    let entity = &model.entities[operation.entity];
    let name = pascal(&entity.name);
    let (status, success) = match operation.action {
        Action::List | Action::Archived => ("200", format!("{name}Page")),
        Action::Nested(has) => (
            "200",
            format!("{}Page", pascal(&model.entities[has.child].name)),
        ),
        Action::Get => ("200", format!("{name}Found")),
        Action::Create => ("201", format!("{name}Created")),
        Action::Restore => ("200", format!("{name}Restored")),
        Action::Archive => ("204", "Archived".to_owned()),
        _ => ("200", format!("{name}Changed")),
    };
    let mut responses = Map::new();
    responses.insert(status.to_owned(), shared(&success));
    let changes = !matches!(
        operation.action,
        Action::List
            | Action::Archived
            | Action::Nested(_)
            | Action::Get
            | Action::Create
            | Action::Archive
    );
    if changes && implied::hides(model, operation.entity) {
        responses.insert("204".to_owned(), shared("Unseen"));
    }
    if let Action::Get = operation.action {
        responses.insert("304".to_owned(), shared("NotModified"));
    }
    responses.extend(problems::references(failures(operation)));
    responses.insert("default".to_owned(), shared(problems::OTHERS));
    responses
}

/// The errors that clients of this operation should expect; errors that any request may cause are covered by
/// `default`.
fn failures(operation: &Operation) -> &'static [u16] {
    match operation.action {
        // `default` includes 422, but linters want every operation to list an error.
        Action::List | Action::Archived => &[422],
        Action::Nested(_) => &[404],
        Action::Get => &[404],
        Action::Create => &[403, 409, 422],
        Action::Replace | Action::Patch => &[403, 404, 409, 412, 422, 428],
        Action::Transition(transition) if transition.reason => &[403, 404, 409, 412, 422],
        _ => &[403, 404, 409, 412],
    }
}

fn shared(name: &str) -> Value {
    json!({"$ref": format!("#/components/responses/{name}")})
}

/// OpenAPI requires a description. It is empty where the schema says everything, because client generators repeat it
/// at every operation.
fn answer(description: &str, schema: &str, headers: &[&str]) -> Value {
    let all: Map<String, Value> = headers
        .iter()
        .map(|name| ((*name).to_owned(), common::header_ref(name)))
        .collect();
    let mut answer = json!({
        "description": description,
        "content": {"application/json": {"schema": reference(schema)}},
    });
    if !headers.is_empty() {
        answer["headers"] = json!(all);
    }
    answer
}
