//! Parameters and answers to which a single operation refers are written there: a name and a reference would only make
//! the document longer. Schemas keep their names, because generators make types of them.
//!
//! Knows JSON only.

use super::shared::for_each_operation;
use serde_json::Value;
use std::collections::HashMap;

/// Must run last, when it is known who refers to what. The components that nothing refers to any more are left for
/// [`unused`](super::unused).
pub fn write_in_place(document: &mut Value) {
    let mut uses = HashMap::new();
    count(document, &mut uses);
    let is_moved = |target: &str| {
        let kinds = ["#/components/parameters/", "#/components/responses/"];
        kinds.iter().any(|kind| target.starts_with(kind))
    };
    let once: HashMap<String, Value> = uses
        .into_iter()
        .filter(|(target, times)| *times == 1 && is_moved(target))
        .filter_map(|(target, _)| {
            let part = document.pointer(target.trim_start_matches('#'))?.clone();
            Some((target, part))
        })
        .collect();
    for_each_operation(document, |_, operation| {
        if let Some(Value::Array(all)) = operation.get_mut("parameters") {
            all.iter_mut().for_each(|one| place(one, &once));
        }
        if let Some(Value::Object(all)) = operation.get_mut("responses") {
            all.values_mut().for_each(|one| place(one, &once));
        }
    });
}

fn count(at: &Value, uses: &mut HashMap<String, usize>) {
    match at {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                *uses.entry(target.clone()).or_default() += 1;
            }
            map.values().for_each(|inner| count(inner, uses));
        }
        Value::Array(list) => list.iter().for_each(|inner| count(inner, uses)),
        _ => {}
    }
}

/// Replaces a reference by its target. A description beside the reference takes precedence.
fn place(at: &mut Value, once: &HashMap<String, Value>) {
    let target = at.get("$ref").and_then(Value::as_str);
    let Some(part) = target.and_then(|target| once.get(target)) else {
        return;
    };
    let mut part = part.clone();
    if let Some(description) = at.get("description") {
        part["description"] = description.clone();
    }
    *at = part;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_used_once_stands_where_it_is_used() {
        let reference =
            |kind: &str, name: &str| json!({"$ref": format!("#/components/{kind}/{name}")});
        let told = json!({"$ref": "#/components/responses/Own", "description": "This one."});
        let mut document = json!({
            "paths": {"/a": {
                "get": {
                    "parameters": [reference("parameters", "both"), reference("parameters", "one")],
                    "responses": {"200": told, "404": reference("responses", "404")},
                },
                "post": {
                    "parameters": [reference("parameters", "both")],
                    "responses": {"404": reference("responses", "404")},
                },
            }},
            "components": {
                "parameters": {"both": {"name": "both"}, "one": {"name": "one", "schema": reference("schemas", "One")}},
                "responses": {"Own": {"description": "", "content": {}}, "404": {"description": ""}},
                "schemas": {"One": {"type": "string"}},
            },
        });
        write_in_place(&mut document);
        let get = &document["paths"]["/a"]["get"];
        assert_eq!(
            get["parameters"],
            json!([reference("parameters", "both"), {"name": "one", "schema": reference("schemas", "One")}])
        );
        assert_eq!(
            get["responses"],
            json!({"200": {"description": "This one.", "content": {}}, "404": reference("responses", "404")})
        );
    }
}
