//! Gives closed sets of hand-written schemas and parameters names of their own: `SearchHitType`.
//!
//! Knows JSON only.

use super::{define, for_each_operation};
use serde_json::{Map, Value, json};

type Named = Vec<(String, Value)>;

/// A set inside a schema is named after schema and property. A parameter refers to the set with the same values if
/// there is one; otherwise its set is named after operation and parameter.
pub fn name(document: &mut Value) {
    let mut named = Named::new();
    let mut schemas = document["components"]["schemas"].take();
    let taken: Vec<String> = schemas
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .cloned()
        .collect();
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        properties(name, schema, &taken, &mut named);
    }
    // Last, because objects in lists often have the sets of an object that has a name: the name then comes from there.
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        items(name, schema, &taken, &mut named);
    }
    document["components"]["schemas"] = schemas;
    for_each_operation(document, |_, operation| {
        let id = operation.get("operationId").and_then(Value::as_str);
        let id = pascal(id.unwrap_or_default());
        let all = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in all.into_iter().flatten() {
            let name = format!(
                "{id}{}",
                pascal(parameter["name"].as_str().unwrap_or_default())
            );
            if let Some(schema) = parameter.get_mut("schema") {
                set(&name, schema, &taken, &mut named);
            }
        }
    });
    define(document, "schemas", named);
}

fn properties(name: &str, schema: &mut Value, taken: &[String], named: &mut Named) {
    let all = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (property, schema) in all.into_iter().flatten() {
        let name = format!("{name}{}", pascal(property));
        set(&name, schema, taken, named);
        properties(&name, schema, taken, named);
    }
}

/// The sets of objects in lists.
fn items(name: &str, schema: &mut Value, taken: &[String], named: &mut Named) {
    let all = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (property, schema) in all.into_iter().flatten() {
        let name = format!("{name}{}", pascal(property));
        if let Some(schema) = schema.get_mut("items") {
            properties(&name, schema, taken, named);
            items(&name, schema, taken, named);
        }
    }
}

/// Replaces the schema, or that of its items, by a reference if it is a set. A set of a single word is a constant.
fn set(name: &str, schema: &mut Value, taken: &[String], named: &mut Named) {
    if let Some(items) = schema.get_mut("items") {
        return set(name, items, taken, named);
    }
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let can_be_null = object.get("type") == Some(&json!(["string", "null"]));
    let is_set = object
        .get("enum")
        .and_then(Value::as_array)
        .is_some_and(|words| words.iter().filter(|word| word.is_string()).count() > 1);
    // Some generators produce code that does not compile for a default beside a reference.
    if !is_set || object.contains_key("default") {
        return;
    }
    let mut words = object["enum"].clone();
    if let Some(words) = words.as_array_mut() {
        words.retain(Value::is_string);
    }
    let set = json!({"type": "string", "enum": words});
    let name = match named.iter().find(|(_, one)| *one == set) {
        Some((name, _)) => name.clone(),
        None if taken.iter().any(|one| one == name) || named.iter().any(|(one, _)| one == name) => {
            return;
        }
        None => {
            named.push((name.to_owned(), set));
            name.to_owned()
        }
    };
    object.shift_remove("type");
    object.shift_remove("enum");
    let target = json!({"$ref": format!("#/components/schemas/{name}")});
    let mut told = match (can_be_null, target) {
        (false, Value::Object(target)) => target,
        (_, target) => {
            let either = json!([target, {"type": "null"}]);
            Map::from_iter([("anyOf".to_owned(), either)])
        }
    };
    told.extend(std::mem::take(object));
    *object = told;
}

/// `entity_type`, `listEvents` → `EntityType`, `ListEvents`
fn pascal(name: &str) -> String {
    name.split(['_', '-', '.'])
        .map(|word| {
            let mut letters = word.chars();
            let first: String = letters
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .collect();
            format!("{first}{}", letters.as_str())
        })
        .collect()
}
