//! Merges two OpenAPI documents: paths and tags side by side, every component once, and the same problem answers
//! everywhere.
//!
//! Knows JSON only.

use serde_json::{Map, Value, json};

/// Where the added routes are placed for readers of the document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    First,
    Last,
}

/// Adds `other` to `document`. If both define something, the one of `document` is kept.
pub fn add(document: &mut Value, mut other: Value, place: Place) {
    complete(document, &mut other);
    let tags = tags(&mut other);
    let paths = take(&mut other, "paths");
    let target = document["paths"].take();
    document["paths"] = Value::Object(side_by_side(as_map(target), as_map(paths), place));

    let names: Vec<Value> = tags.iter().map(|tag| tag["name"].clone()).collect();
    let target = as_list(document["tags"].take());
    document["tags"] = Value::Array(joined(target, tags, place, |tag| tag["name"].clone()));
    // In a tag group of its own, for readers that fold tags into groups and leave out all others.
    let grouped = |name: &Value| {
        let groups = document["x-tagGroups"].as_array().into_iter().flatten();
        groups
            .filter_map(|group| group["tags"].as_array())
            .any(|tags| tags.contains(name))
    };
    let names: Vec<Value> = names.into_iter().filter(|name| !grouped(name)).collect();
    if let Some(first) = names.first().cloned() {
        let groups = as_list(document["x-tagGroups"].take());
        let group = vec![json!({"name": first, "tags": names})];
        document["x-tagGroups"] =
            Value::Array(joined(groups, group, place, |group| group["name"].clone()));
    }

    for (kind, components) in as_map(take(&mut other, "components")) {
        let target = as_map(document["components"][&kind].take());
        // The generated ones come first and are kept if both define something.
        document["components"][&kind] =
            Value::Object(side_by_side(target, as_map(components), Place::Last));
    }
}

/// The declared tags, and those that operations use without declaration.
fn tags(document: &mut Value) -> Vec<Value> {
    let mut tags = as_list(take(document, "tags"));
    let items = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(Map::values)
        .filter_map(Value::as_object);
    for name in items
        .flat_map(Map::values)
        .filter_map(|operation| operation["tags"].as_array())
        .flatten()
    {
        if !tags.iter().any(|tag| tag["name"] == *name) {
            tags.push(json!({"name": name}));
        }
    }
    tags
}

/// The name of the shared answer for problems that any request may get.
const OTHERS: &str = "default";

/// Adds the problem answers that the layers around all routes may send to every operation, in the shared form.
fn complete(document: &Value, other: &mut Value) {
    let shared = shared_problems(document);
    let Some(paths) = other.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    let operations = paths
        .values_mut()
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    for operation in operations.filter(|operation| operation.get("responses").is_some()) {
        let has_body = operation.get("requestBody").is_some();
        let is_plain = operation.get("x-plain").is_some();
        let responses = as_map(operation["responses"].take());
        let mut answers: Vec<(String, Value)> = Vec::new();
        for (status, answer) in responses {
            let answer = match shared.iter().find(|(known, _)| *known == status) {
                Some((_, name)) => reference(name, answer.get("description")),
                // A problem that only the application has, such as a declined card.
                None if status.starts_with(['4', '5']) && answer.get("content").is_none() => {
                    reference(OTHERS, answer.get("description"))
                }
                None => answer,
            };
            answers.push((status, answer));
        }
        let mut add = |status: &str, name: &str| {
            if !answers.iter().any(|(given, _)| given == status) {
                answers.push((status.to_owned(), reference(name, None)));
            }
        };
        if let (false, true, Some((status, name))) = (
            is_plain,
            has_body,
            shared.iter().find(|(known, _)| known == "422"),
        ) {
            add(status, name);
        }
        if !is_plain {
            add("default", OTHERS);
        }
        answers.sort_by(|(one, _), (other, _)| one.cmp(other));
        operation["responses"] = Value::Object(answers.into_iter().collect());
        if operation["security"] == json!([{}]) {
            // A requirement that consists of an empty alternative only means that no token is needed.
            operation["security"] = json!([]);
        }
        if let Some(operation) = operation.as_object_mut() {
            operation.remove("x-plain");
        }
    }
}

/// Status → name of the shared answer, by the status in its example.
fn shared_problems(document: &Value) -> Vec<(String, String)> {
    let responses = document["components"]["responses"]
        .as_object()
        .into_iter()
        .flatten();
    let status = |answer: &Value| {
        answer["content"]["application/problem+json"]["example"]["status"].as_u64()
    };
    responses
        .filter(|(name, _)| *name != OTHERS)
        .filter_map(|(name, answer)| Some((status(answer)?.to_string(), name.clone())))
        .collect()
}

fn reference(name: &str, description: Option<&Value>) -> Value {
    let mut reference = json!({"$ref": format!("#/components/responses/{name}")});
    if let Some(description) =
        description.filter(|text| text.as_str().is_some_and(|text| !text.is_empty()))
    {
        reference["description"] = description.clone();
    }
    reference
}

/// Both maps; a path that is in both gets the operations of both.
fn side_by_side(
    target: Map<String, Value>,
    added: Map<String, Value>,
    place: Place,
) -> Map<String, Value> {
    let (mut all, later) = match place {
        Place::Last => (target, added),
        Place::First => (added, target),
    };
    for (key, value) in later {
        match all.get_mut(&key) {
            None => {
                all.insert(key, value);
            }
            Some(there) if key.starts_with('/') => join_path(there, value),
            Some(_) => {}
        }
    }
    all
}

fn join_path(there: &mut Value, value: Value) {
    if let (Some(there), Value::Object(value)) = (there.as_object_mut(), value) {
        for (method, operation) in value {
            there.entry(method).or_insert(operation);
        }
    }
}

fn joined(
    target: Vec<Value>,
    added: Vec<Value>,
    place: Place,
    key: impl Fn(&Value) -> Value,
) -> Vec<Value> {
    let known: Vec<Value> = target.iter().map(&key).collect();
    let added = added.into_iter().filter(|one| !known.contains(&key(one)));
    match place {
        Place::First => added
            .collect::<Vec<_>>()
            .into_iter()
            .chain(target)
            .collect(),
        Place::Last => target.into_iter().chain(added).collect(),
    }
}

fn take(value: &mut Value, key: &str) -> Value {
    value.get_mut(key).map(Value::take).unwrap_or_default()
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}
