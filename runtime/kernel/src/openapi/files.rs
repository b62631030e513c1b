//! Answers that are files: derives call the bytes of a picture a list of numbers, and generators make one of it.
//!
//! Knows JSON only.

use serde_json::{Map, Value, json};

/// Whatever is no JSON and no text is bytes.
pub fn tell(hand_written: &mut Value) {
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
        .flatten();
    for (media_type, content) in contents {
        if !media_type.ends_with("json") && content["schema"]["type"] == "array" {
            content["schema"] = json!({"type": "string", "format": "binary"});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_no_lists_of_numbers() {
        let numbers = json!({"type": "array", "items": {"type": "integer"}});
        let text = json!({"type": "string"});
        let mut document = json!({"paths": {"/a": {"get": {"responses": {"200": {"content": {
            "image/png": {"schema": numbers}, "image/svg+xml": {"schema": text}, "application/json": {"schema": numbers},
        }}}}}}});
        tell(&mut document);
        let content = &document["paths"]["/a"]["get"]["responses"]["200"]["content"];
        let bytes = json!({"type": "string", "format": "binary"});
        let schemas = ["image/png", "image/svg+xml", "application/json"]
            .map(|media_type| &content[media_type]["schema"]);
        assert_eq!(schemas, [&bytes, &text, &numbers]);
    }
}
