//! Lists that come from code and not from a spec: all problem types, and all codes of errors.

use crate::problems;
use serde_json::{Value, json};

/// Adds the lists to the document, and lets `Problem` and `ProblemItem` refer to them.
pub fn add(document: &mut Value) {
    let types: Vec<String> = problems::all()
        .map(|kind| format!("/problems/{}", kind.slug))
        .collect();
    let codes: Vec<&str> = problems::codes().map(|(code, _)| *code).collect();
    let meanings: String = problems::codes()
        .map(|(code, meaning)| format!("\n- `{code}`: {meaning}"))
        .collect();
    let schemas = &mut document["components"]["schemas"];
    refer(schemas, "Problem", "type", "ProblemType");
    refer(schemas, "ProblemItem", "code", "ProblemCode");
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.insert(
            "ProblemType".to_owned(),
            json!({
                "type": "string",
                "format": "uri-reference",
                "description": "Type of the problem, and path of the page that explains it.",
                "enum": types,
            }),
        );
        schemas.insert(
            "ProblemCode".to_owned(),
            json!({
                "type": "string",
                "description": format!("The kind of error, for programs.\n{meanings}"),
                "enum": codes,
            }),
        );
    }
}

fn refer(schemas: &mut Value, schema: &str, property: &str, target: &str) {
    if let Some(property) = schemas
        .get_mut(schema)
        .and_then(|schema| schema["properties"].get_mut(property))
    {
        *property = json!({"$ref": format!("#/components/schemas/{target}")});
    }
}
