//! The document in parts: one for each group of tags, with the components that its operations refer to.
//!
//! Knows JSON only.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub struct Group {
    pub name: String,
    /// The last segment of its path.
    pub file: String,
    pub document: Value,
}

/// One part for each entry of `x-tagGroups`, in their order.
pub fn split(document: &Value) -> Vec<Group> {
    let groups = document["x-tagGroups"].as_array();
    let groups = groups.into_iter().flatten();
    groups
        .filter_map(|group| {
            let name = group["name"].as_str()?.to_owned();
            let tags: BTreeSet<&str> = group["tags"]
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .collect();
            Some(Group {
                file: format!("{}.json", slug(&name)),
                document: part(document, &name, &tags),
                name,
            })
        })
        .collect()
}

fn part(document: &Value, name: &str, tags: &BTreeSet<&str>) -> Value {
    let has = |operation: &Value| {
        let of = operation["tags"].as_array().into_iter().flatten();
        of.filter_map(Value::as_str).any(|tag| tags.contains(tag))
    };
    let mut paths = Map::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let Some(item) = item.as_object() else {
            continue;
        };
        if item.values().any(has) {
            let kept = item
                .iter()
                .filter(|(_, value)| value.get("responses").is_none() || has(value))
                .map(|(key, value)| (key.clone(), value.clone()));
            paths.insert(path.clone(), Value::Object(kept.collect()));
        }
    }
    let mut info = document["info"].clone();
    if let Some(title) = info["title"].as_str() {
        info["title"] = json!(format!("{title}: {name}"));
    }
    let described = document["tags"].as_array().into_iter().flatten();
    let tags: Vec<&Value> = described
        .filter(|tag| tag["name"].as_str().is_some_and(|name| tags.contains(name)))
        .collect();

    let mut part = Map::new();
    for (key, value) in document.as_object().into_iter().flatten() {
        let value = match key.as_str() {
            "info" => info.clone(),
            "tags" => json!(tags),
            "paths" => Value::Object(paths.clone()),
            "components" => components(document, &paths),
            "x-tagGroups" => continue,
            _ => value.clone(),
        };
        part.insert(key.clone(), value);
    }
    Value::Object(part)
}

/// Everything that the paths refer to, directly or indirectly. Security schemes are referred to by name and always
/// included.
fn components(document: &Value, paths: &Map<String, Value>) -> Value {
    let mut open = BTreeSet::new();
    paths.values().for_each(|item| references(item, &mut open));
    let mut needed = BTreeSet::new();
    while let Some(pointer) = open.pop_first() {
        if let Some(target) = document.pointer(&pointer) {
            references(target, &mut open);
        }
        needed.insert(pointer);
        open.retain(|pointer| !needed.contains(pointer));
    }
    let mut components = Map::new();
    for (kind, all) in document["components"].as_object().into_iter().flatten() {
        let all = all.as_object().into_iter().flatten();
        let kept: Map<String, Value> = all
            .filter(|(name, _)| {
                kind == "securitySchemes"
                    || needed.contains(&format!("/components/{kind}/{}", escaped(name)))
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !kept.is_empty() {
            components.insert(kind.clone(), Value::Object(kept));
        }
    }
    Value::Object(components)
}

/// The targets of all `$ref`s inside, and of the mappings of discriminators.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            if let Some(pointer) = text
                .strip_prefix('#')
                .filter(|rest| rest.starts_with("/components/"))
            {
                found.insert(pointer.to_owned());
            }
        }
        Value::Array(list) => list.iter().for_each(|one| references(one, found)),
        Value::Object(map) => map.values().for_each(|one| references(one, found)),
        _ => {}
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// `Reviews and media` → `reviews-and-media`
fn slug(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}
