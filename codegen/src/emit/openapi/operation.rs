//! One operation as the document writes it: texts, parameters, body, answers, who may.

use super::{
    action::{Action, Operation, operations},
    common, example, parameters, problems,
    schema::{self, Body},
    types::reference,
    words::{self, Caller, May},
};
use crate::model::{EntityId, Lifecycle, Model, Transition};
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
    let public = may(model, operation, Caller::Anonymous) != May::No;
    out.insert(
        "security".to_owned(),
        if public {
            json!([{}, {"bearer": []}])
        } else {
            json!([{"bearer": []}])
        },
    );
    out.insert("x-access".to_owned(), access(model, operation));
    Value::Object(out)
}

/// The entity whose rule decides: the child for nested lists.
fn subject(model: &Model, operation: &Operation) -> EntityId {
    match operation.action {
        Action::Nested(has) => {
            debug_assert!(has.child < model.entities.len());
            has.child
        }
        _ => operation.entity,
    }
}

/// What hangs on an object is only shown to those who see the object too.
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
    let subject = subject(model, operation);
    let mut text = operation.effect(model);
    if let Action::Transition(Transition {
        when: Some(when), ..
    }) = operation.action
    {
        let when = words::explain(model, operation.entity, when).inline();
        text.push_str(&format!(" Only while {when}; otherwise 409."));
    }
    let words = words::explain(model, subject, operation.rule);
    let whose = match operation.action {
        Action::List | Action::Nested(_) | Action::Get | Action::Archived => "Who may see",
        _ => "Who may do this",
    };
    text.push_str(&format!("\n\n**{whose}**: {}.", words.rule));
    for (name, meaning) in &words.conditions {
        text.push_str(&format!("\n- `{name}`: {meaning}"));
    }
    let callers = words::callers(model);
    let names: Vec<&str> = callers.iter().map(|(name, _)| name.as_str()).collect();
    let verdicts: Vec<&str> = callers
        .iter()
        .map(|(_, caller)| may(model, operation, *caller).as_str())
        .collect();
    text.push_str(&format!(
        "\n\n| {} |\n|{}\n| {} |",
        names.join(" | "),
        " --- |".repeat(names.len()),
        verdicts.join(" | ")
    ));
    text
}

fn access(model: &Model, operation: &Operation) -> Value {
    let subject = subject(model, operation);
    let words = words::explain(model, subject, operation.rule);
    let conditions: Map<String, Value> = words
        .conditions
        .into_iter()
        .map(|(name, text)| (name, json!(text)))
        .collect();
    let callers: Map<String, Value> = words::callers(model)
        .into_iter()
        .map(|(name, caller)| (name, json!(may(model, operation, caller).as_str())))
        .collect();
    let mut access = Map::new();
    access.insert("rule".to_owned(), json!(words.rule));
    if !conditions.is_empty() {
        access.insert("where".to_owned(), Value::Object(conditions));
    }
    access.insert("callers".to_owned(), Value::Object(callers));
    Value::Object(access)
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
            all.extend(parameters::of_one(model, entity));
            all.push(parameters::common("IfNoneMatch"));
        }
        Action::Archived => all.extend(parameters::of_page(entity)),
        Action::Create => all.push(parameters::common("IdempotencyKey")),
        Action::Replace | Action::Patch => all.push(parameters::common("IfMatch")),
        _ => {
            if entity.lifecycle != Lifecycle::AppendOnly {
                all.push(parameters::common("IfMatchOptional"));
            }
        }
    }
    all
}

fn request_body(model: &Model, operation: &Operation) -> Option<Value> {
    let name = pascal(&model.entities[operation.entity].name);
    let body = |schema: String, example: Value| json!({"required": true, "content": {"application/json": {"schema": reference(&schema), "example": example}}});
    let example = |body| example::body(model, operation.entity, body);
    match operation.action {
        Action::Create => Some(body(format!("Create{name}"), example(Body::Create))),
        Action::Replace => Some(body(format!("Replace{name}"), example(Body::Replace))),
        Action::Patch => {
            let media = json!({"schema": reference(&format!("Patch{name}")), "example": example(Body::Patch)});
            Some(
                json!({"required": true, "content": {"application/merge-patch+json": media, "application/json": media}}),
            )
        }
        Action::Transition(transition) if transition.reason => Some(body(
            "Reason".to_owned(),
            json!({"reason": "The speaker has fallen ill."}),
        )),
        _ => None,
    }
}

fn responses(model: &Model, operation: &Operation) -> Map<String, Value> {
    let entity = &model.entities[operation.entity];
    let mut responses = Map::new();
    let (status, success) = match operation.action {
        Action::List | Action::Archived => (
            "200",
            answer("The page.", &format!("{}List", pascal(&entity.name)), &[]),
        ),
        Action::Nested(has) => (
            "200",
            answer(
                "The page.",
                &format!("{}List", pascal(&model.entities[has.child].name)),
                &[],
            ),
        ),
        Action::Create => (
            "201",
            answer(
                "Created. Without a body if the caller may not see it.",
                &pascal(&entity.name),
                &["ETag", "Location"],
            ),
        ),
        Action::Restore => (
            "200",
            answer(
                "The object, and what did not come back with it.",
                &format!("Restored{}", pascal(&entity.name)),
                &["ETag"],
            ),
        ),
        Action::Archive => (
            "204",
            json!({"description": "Archived.", "headers": common::rate_limit()}),
        ),
        _ => (
            "200",
            answer("The object.", &pascal(&entity.name), &["ETag"]),
        ),
    };
    responses.insert(status.to_owned(), success);
    if !matches!(
        operation.action,
        Action::List
            | Action::Archived
            | Action::Nested(_)
            | Action::Get
            | Action::Create
            | Action::Archive
    ) {
        responses.insert(
            "204".to_owned(),
            json!({"$ref": "#/components/responses/Unseen"}),
        );
    }
    if let Action::Get = operation.action {
        responses.insert(
            "304".to_owned(),
            json!({"$ref": "#/components/responses/NotModified"}),
        );
    }
    responses.extend(problems::references(failures(operation)));
    responses
}

/// Besides what the router says to paths and methods that are not in the document.
fn failures(operation: &Operation) -> &'static [u16] {
    match operation.action {
        Action::List | Action::Archived => &[400, 401, 403, 422, 429, 431, 500, 503],
        Action::Nested(_) | Action::Get => &[400, 401, 403, 404, 422, 429, 431, 500, 503],
        Action::Create => &[400, 401, 403, 408, 409, 413, 415, 422, 429, 431, 500, 503],
        Action::Replace | Action::Patch => &[
            400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 428, 429, 431, 500, 503,
        ],
        // Without a reason to read, a body is refused, but only once it has been read.
        _ => &[
            400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 431, 500, 503,
        ],
    }
}

fn answer(description: &str, schema: &str, headers: &[&str]) -> Value {
    let mut all: Map<String, Value> = headers
        .iter()
        .map(|name| ((*name).to_owned(), common::header_ref(name)))
        .collect();
    all.extend(common::rate_limit());
    json!({
        "description": description,
        "headers": all,
        "content": {"application/json": {"schema": reference(schema)}},
    })
}
