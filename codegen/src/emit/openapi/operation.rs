//! One operation as the document writes it: texts, parameters, body, answers, who may.

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
    // Otherwise what the document says of all.
    if may(model, operation, Caller::Anonymous) != May::No {
        out.insert("security".to_owned(), json!([{}, {"bearer": []}]));
    }
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
    let mut text = operation.effect(model);
    if let Action::Nested(_) = operation.action {
        // The rest, rule and all, is said at the list that it is a part of.
        return text;
    }
    if let Action::Transition(Transition {
        when: Some(when), ..
    }) = operation.action
    {
        let when = words::explain(model, operation.entity, when).inline();
        text.push_str(&format!(" Only while {when}; otherwise 409."));
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    // What the names in it mean stands at the tag, once for all operations.
    let rule = words::explain(model, operation.entity, operation.rule).rule;
    let whose = match operation.action {
        Action::List | Action::Get | Action::Archived => "Who may see",
        _ => "Who may do this",
    };
    text.push_str(&format!("**{whose}**: {rule}."));
    text
}

/// By kind of caller: `yes`, `depends` on the object, or `no`. Who signs in may what a stranger may, and who holds a role
/// what everybody may who is signed in; a kind is named where that is not so. The rule is told in the description.
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
    // The example stands at the schema.
    let body = |schema: String| json!({"required": true, "content": {"application/json": {"schema": reference(&schema)}}});
    match operation.action {
        Action::Create => Some(body(format!("Create{name}"))),
        Action::Replace => Some(body(format!("Replace{name}"))),
        Action::Patch => {
            // It takes application/merge-patch+json as well; told of both, generators make two operations of it.
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

/// What its operations answer when they succeed, by name.
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
                    false => "Created. Without a body if the caller may not see it.",
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

/// What clients have to be ready for here; all that any request may be answered with is in `default`.
fn failures(operation: &Operation) -> &'static [u16] {
    match operation.action {
        Action::List | Action::Archived => &[422],
        Action::Nested(_) => &[404, 422],
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

/// A description has to be there; it is empty where the schema says it all, because generators repeat it at every operation.
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
