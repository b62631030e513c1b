//! Walking through an API document: references, examples, and validation by its own schemas. Knows no operation.

use serde_json::{Map, Value, json};

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn resolve<'d>(document: &'d Value, at: &'d Value) -> &'d Value {
    match at["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).unwrap_or(&Value::Null),
        None => at,
    }
}

pub(super) fn references(document: &Value, at: &Value, place: &str, faults: &mut Vec<String>) {
    if let Some(target) = at.get("$ref").and_then(Value::as_str)
        && document.pointer(target.trim_start_matches('#')).is_none()
    {
        faults.push(format!("{place}: {target} leads nowhere"));
    }
    each(at, place, &mut |place, inner| {
        references(document, inner, place, faults)
    });
}

/// Calls `with` for each `{"schema": …, "example": …}` of parameters, bodies and answers.
pub(super) fn examples(at: &Value, place: &str, with: &mut impl FnMut(&str, &Value, &Value)) {
    if let (Some(schema), Some(example)) = (at.get("schema"), at.get("example")) {
        with(place, schema, example);
    }
    each(at, place, &mut |place, inner| examples(inner, place, with));
}

pub(super) fn each(at: &Value, place: &str, with: &mut dyn FnMut(&str, &Value)) {
    match at {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| with(&format!("{place}/{key}"), inner)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(i, inner)| with(&format!("{place}/{i}"), inner)),
        _ => {}
    }
}

pub(super) fn validate(document: &Value, schema: &Value, example: &Value) -> Option<String> {
    let mut needed = Map::new();
    collect(document, schema, &mut needed);
    let alone = json!({"allOf": [schema], "components": {"schemas": needed}});
    match jsonschema::options()
        .should_validate_formats(true)
        .build(&alone)
    {
        Ok(validator) => validator
            .validate(example)
            .err()
            .map(|fault| fault.to_string()),
        Err(error) => Some(format!("not a schema: {error}")),
    }
}

/// The schemas that a schema refers to; with all schemas, building a validator would take long.
pub(super) fn collect(document: &Value, at: &Value, needed: &mut Map<String, Value>) {
    if let Some(target) = at.get("$ref").and_then(Value::as_str)
        && let Some(schema) = document.pointer(target.trim_start_matches('#'))
    {
        let name = target.rsplit('/').next().unwrap_or_default();
        if !needed.contains_key(name) {
            needed.insert(name.to_owned(), schema.clone());
            collect(document, schema, needed);
        }
    }
    each(at, "", &mut |_, inner| collect(document, inner, needed));
}
