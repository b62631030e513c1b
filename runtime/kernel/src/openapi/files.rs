//! Answers and bodies that are files: derives call the bytes of a picture a list of numbers, and generators make one of
//! it.
//!
//! Knows JSON only.

use serde_json::{Map, Value, json};

/// Whatever is no JSON and no text is bytes.
pub fn tell(hand_written: &mut Value) {
    let paths = hand_written.get_mut("paths").and_then(Value::as_object_mut);
    let operations = paths
        .into_iter()
        .flat_map(Map::values_mut)
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    for operation in operations {
        operation.get_mut("requestBody").into_iter().for_each(bytes);
        let answers = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        answers
            .into_iter()
            .flat_map(Map::values_mut)
            .for_each(bytes);
    }
}

fn bytes(holder: &mut Value) {
    let contents = holder.get_mut("content").and_then(Value::as_object_mut);
    for (media_type, content) in contents.into_iter().flatten() {
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

    #[test]
    fn files_that_are_sent_are_no_lists_of_numbers() {
        let numbers = json!({"type": "array", "items": {"type": "integer"}});
        let mut document = json!({"paths": {"/a": {"put": {"requestBody": {"content": {
            "application/octet-stream": {"schema": numbers}, "application/json": {"schema": numbers},
        }}}}}});
        tell(&mut document);
        let content = &document["paths"]["/a"]["put"]["requestBody"]["content"];
        let bytes = json!({"type": "string", "format": "binary"});
        assert_eq!(content["application/octet-stream"]["schema"], bytes);
        assert_eq!(content["application/json"]["schema"], numbers);
    }
}
