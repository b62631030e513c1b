//! Walks a document: every reference is resolved, every example validated against its schema.

use serde_json::{Map, Value, json};

/// What is wrong, with the place.
pub fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    references(document, document, "#", &mut faults);
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        let properties = || schema["properties"].as_object().into_iter().flatten();
        for (property, schema) in properties() {
            if let Some(example) = schema.get("example") {
                let place = format!("{name}.{property}");
                validate(document, schema, example, &place, &mut faults);
            }
        }
        match schema.get("example") {
            Some(example) => validate(document, schema, example, name, &mut faults),
            // Bodies are sent as their examples are.
            None if schema["additionalProperties"] == json!(false) => {
                faults.push(format!("{name}: no example"));
            }
            None => {
                let vague = properties().filter(|(_, schema)| is_vague(schema));
                faults.extend(vague.map(|(property, _)| format!("{name}.{property}: no example")));
            }
        }
    }
    media(document, "#", document, &mut faults);
    parameters(document, "#", document, &mut faults);
    faults
}

/// Whether viewers can't make a good example of the schema: they write "string" for a text of which nothing is known.
/// What it refers to is looked at by itself.
fn is_vague(schema: &Value) -> bool {
    let is_text = schema["type"] == "string" || schema["type"] == json!(["string", "null"]);
    let known = ["example", "format", "enum", "const"];
    match schema.get("items") {
        Some(items) => is_vague(items) && schema.get("example").is_none(),
        None => is_text && known.iter().all(|key| schema.get(*key).is_none()),
    }
}

/// The negative control of [`faults`].
#[test]
fn vague_answers_are_found() {
    let of = |property: Value| {
        let schemas = json!({"One": {"type": "object", "properties": {"name": property}}});
        faults(&json!({"components": {"schemas": schemas}}))
    };
    assert_eq!(of(json!({"type": "string"})), ["One.name: no example"]);
    assert_eq!(
        of(json!({"type": "array", "items": {"type": "string"}})),
        ["One.name: no example"]
    );
    assert_eq!(of(json!({"type": "string", "example": "a"})), [""; 0]);
    assert_eq!(of(json!({"type": "string", "format": "date"})), [""; 0]);
    let wrong = of(json!({"type": "string", "example": 1}));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

fn references(document: &Value, at: &Value, place: &str, faults: &mut Vec<String>) {
    if let Some(target) = at.get("$ref").and_then(Value::as_str)
        && document.pointer(target.trim_start_matches('#')).is_none()
    {
        faults.push(format!("{place}: {target} leads nowhere"));
    }
    each(at, place, |place, inner| {
        references(document, inner, place, faults)
    });
}

/// `{"schema": …, "example": …}` of bodies and answers.
fn media(document: &Value, place: &str, at: &Value, faults: &mut Vec<String>) {
    if let Some(content) = at.get("content").and_then(Value::as_object) {
        for (name, media) in content {
            if let (Some(schema), Some(example)) = (media.get("schema"), media.get("example")) {
                validate(
                    document,
                    schema,
                    example,
                    &format!("{place}/{name}"),
                    faults,
                );
            }
        }
    }
    each(at, place, |place, inner| {
        media(document, place, inner, faults)
    });
}

fn parameters(document: &Value, place: &str, at: &Value, faults: &mut Vec<String>) {
    if let (Some(_), Some(schema), Some(example)) =
        (at.get("in"), at.get("schema"), at.get("example"))
    {
        validate(document, schema, example, place, faults);
    }
    each(at, place, |place, inner| {
        parameters(document, place, inner, faults)
    });
}

fn each(at: &Value, place: &str, mut with: impl FnMut(&str, &Value)) {
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

fn validate(
    document: &Value,
    schema: &Value,
    example: &Value,
    place: &str,
    faults: &mut Vec<String>,
) {
    // With all components a validator takes long to build; most examples need few.
    let mut needed = Map::new();
    collect(document, schema, &mut needed);
    let standing_alone = json!({"allOf": [schema], "components": {"schemas": needed}});
    let validator = match jsonschema::options()
        .should_validate_formats(true)
        .build(&standing_alone)
    {
        Ok(validator) => validator,
        Err(error) => return faults.push(format!("{place}: not a schema: {error}")),
    };
    faults.extend(
        validator
            .iter_errors(example)
            .map(|error| format!("{place}: {error} at {}", error.instance_path())),
    );
}

/// The schemas that a schema refers to, and those that they refer to.
fn collect(document: &Value, at: &Value, needed: &mut Map<String, Value>) {
    if let Some(target) = at.get("$ref").and_then(Value::as_str)
        && let Some(schema) = document.pointer(target.trim_start_matches('#'))
    {
        let name = target.rsplit('/').next().unwrap_or_default();
        if !needed.contains_key(name) {
            needed.insert(name.to_owned(), schema.clone());
            collect(document, schema, needed);
        }
    }
    each(at, "", |_, inner| collect(document, inner, needed));
}
