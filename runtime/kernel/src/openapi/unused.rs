//! Removes components that nothing refers to: linters complain about them, and generators make useless types of them.
//!
//! Knows JSON only.

use serde_json::Value;
use std::collections::HashSet;

pub fn remove(document: &mut Value) {
    let mut used = HashSet::new();
    for (key, part) in document.as_object().into_iter().flatten() {
        if key != "components" {
            follow(document, part, &mut used);
        }
    }
    let components = document["components"].as_object_mut();
    for (kind, parts) in components.into_iter().flatten() {
        // Security schemes are referred to by name.
        if let (Some(parts), false) = (parts.as_object_mut(), kind == "securitySchemes") {
            parts.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
        }
    }
}

fn follow(document: &Value, at: &Value, used: &mut HashSet<String>) {
    match at {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref")
                && used.insert(target.clone())
                && let Some(part) = document.pointer(target.trim_start_matches('#'))
            {
                follow(document, part, used);
            }
            map.values().for_each(|inner| follow(document, inner, used));
        }
        Value::Array(list) => list.iter().for_each(|inner| follow(document, inner, used)),
        _ => {}
    }
}
