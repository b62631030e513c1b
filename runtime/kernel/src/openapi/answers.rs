//! Lists all properties of answers of hand-written routes as required, as in generated ones: empty values are sent as
//! null. Derives leave nullable properties out of `required`, which is corrected here for all of them. Bodies may
//! leave out nullable properties, so schemas of bodies stay as they are, including those that are used in answers too.
//!
//! Knows JSON only.

use serde_json::{Map, Value};
use std::collections::HashSet;

/// Must run before the two documents are merged, while it is known which schemas are hand-written.
pub fn require(generated: &Value, hand_written: &mut Value) {
    let sent = sent(&[generated, &*hand_written]);
    let schemas = hand_written.pointer_mut("/components/schemas");
    for (name, schema) in schemas.and_then(Value::as_object_mut).into_iter().flatten() {
        if !sent.contains(&format!("#/components/schemas/{name}")) {
            complete(schema);
        }
    }
    let paths = hand_written.get_mut("paths").and_then(Value::as_object_mut);
    let answers = paths
        .into_iter()
        .flat_map(Map::values_mut)
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
        .filter_map(|operation| operation.get_mut("responses")?.as_object_mut())
        .flat_map(Map::values_mut);
    let contents = answers
        .filter_map(|answer| answer.get_mut("content")?.as_object_mut())
        .flat_map(Map::values_mut);
    contents
        .filter_map(|content| content.get_mut("schema"))
        .for_each(complete);
}

/// The schemas that bodies and parameters refer to.
fn sent(documents: &[&Value]) -> HashSet<String> {
    let mut found = HashSet::new();
    let operations = documents
        .iter()
        .filter_map(|document| document["paths"].as_object())
        .flat_map(Map::values)
        .filter_map(Value::as_object)
        .flat_map(Map::values);
    for operation in operations {
        for part in ["requestBody", "parameters"] {
            follow(documents, &operation[part], &mut found);
        }
    }
    found
}

fn follow(documents: &[&Value], at: &Value, found: &mut HashSet<String>) {
    match at {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref")
                && found.insert(target.clone())
            {
                let place = target.trim_start_matches('#');
                for part in documents.iter().filter_map(|one| one.pointer(place)) {
                    follow(documents, part, found);
                }
            }
            map.values()
                .for_each(|inner| follow(documents, inner, found));
        }
        Value::Array(list) => list
            .iter()
            .for_each(|inner| follow(documents, inner, found)),
        _ => {}
    }
}

/// Makes every property required, in nested schemas as well.
fn complete(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(complete);
        let names = properties.iter().filter(|(name, one)| !is_kind(name, one));
        let names: Vec<Value> = names.map(|(name, _)| name.as_str().into()).collect();
        require_all(schema, names);
    }
    for key in ["items", "additionalProperties"] {
        schema.get_mut(key).into_iter().for_each(complete);
    }
    for key in ["allOf", "anyOf", "oneOf", "prefixItems"] {
        let parts = schema.get_mut(key).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(complete);
    }
}

/// Properties that are required already keep their places.
fn require_all(schema: &mut Map<String, Value>, names: Vec<Value>) {
    if names.is_empty() {
        return;
    }
    let required = schema
        .entry("required")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Some(required) = required.as_array_mut() {
        let more = names.into_iter();
        let more: Vec<Value> = more.filter(|name| !required.contains(name)).collect();
        required.extend(more);
    }
}

/// The constant that names the type of the object. It stays optional, so that stored answers remain valid
/// ([`Objects`](super::Objects)).
fn is_kind(name: &str, property: &Value) -> bool {
    let words = property["enum"].as_array();
    let is_constant = property.get("const").is_some() || words.is_some_and(|all| all.len() == 1);
    name == "object" && is_constant
}
