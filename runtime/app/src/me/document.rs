//! The API document of `/me`: that of `/users/{id}` without the parameter `id`.

use crate::access::Access;
use generated::user::USER;
use serde_json::{Map, Value, json};

const METHODS: [&str; 4] = ["get", "put", "patch", "delete"];

/// Adds the routes to the generated document, from whose operations they are built.
pub fn add(document: &mut Value) {
    let own = format!("/{}/{{id}}", USER.path);
    let children = USER.children.iter().map(|child| format!("/{}", child.path));
    let mut added = Map::new();
    for rest in std::iter::once(String::new()).chain(children) {
        if let Some(Value::Object(item)) = document["paths"].get(format!("{own}{rest}")) {
            added.insert(
                format!("/me{rest}"),
                Value::Object(mine(item, &format!("{own}{rest}"))),
            );
        }
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.extend(added);
    }
}

/// The operations of `path`, described as operations on the caller.
fn mine(item: &Map<String, Value>, path: &str) -> Map<String, Value> {
    let mut item = item.clone();
    item.retain(|key, _| key == "parameters" || METHODS.contains(&key.as_str()));
    for (key, value) in &mut item {
        match key.as_str() {
            "parameters" => without_id(value),
            method => {
                operation(value);
                let method = method.to_uppercase();
                value["description"] = json!(format!("`{method} {path}` with the caller's id."));
            }
        }
    }
    item
}

fn operation(operation: &mut Value) {
    if let Some(parameters) = operation.get_mut("parameters") {
        without_id(parameters);
    }
    operation["tags"] = json!(["Me"]);
    operation["security"] = json!([{"bearer": []}]);
    operation["x-access"] = Access::Member.told();
    for (key, change) in [
        ("operationId", my as fn(&str) -> String),
        ("summary", of_mine),
    ] {
        if let Some(text) = operation[key].as_str() {
            operation[key] = change(text).into();
        }
    }
}

fn without_id(parameters: &mut Value) {
    if let Value::Array(parameters) = parameters {
        let is_id = |parameter: &Value| {
            parameter["in"] == "path"
                || parameter["$ref"]
                    .as_str()
                    .is_some_and(|to| to.ends_with("/id"))
        };
        parameters.retain(|parameter| !is_id(parameter));
    }
}

/// `getUser` → `getMe`, `listUserLikes` → `listMyLikes`
fn my(id: &str) -> String {
    let one: String = USER.name.split('_').map(capitalised).collect();
    match id.strip_suffix(&one) {
        Some(verb) => format!("{verb}Me"),
        None => id.replacen(&one, "My", 1),
    }
}

/// `List the likes of a user` → `List the likes of the caller`
fn of_mine(summary: &str) -> String {
    let one = USER.name.replace('_', " ");
    ["a", "an"]
        .iter()
        .fold(summary.to_owned(), |text, article| {
            text.replace(&format!(" {article} {one}"), " the caller")
        })
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_gone_and_the_rest_stays() {
        let one = json!({
            "get": {"operationId": "getUser", "summary": "Get a user", "tags": ["Members"],
                "parameters": [{"name": "id", "in": "path"}, {"name": "expand", "in": "query"}], "responses": {}},
            "post": {},
        });
        let mut document = json!({"paths": {"/users/{id}": one, "/events": {}}});
        add(&mut document);
        let added = &document["paths"]["/me"];
        assert_eq!(added["get"]["operationId"], "getMe");
        assert_eq!(added["get"]["summary"], "Get the caller");
        assert_eq!(
            (my("listUserLikes"), of_mine("List the likes of a user")),
            (
                "listMyLikes".to_owned(),
                "List the likes of the caller".to_owned()
            )
        );
        assert_eq!(
            added["get"]["parameters"],
            json!([{"name": "expand", "in": "query"}])
        );
        assert_eq!(
            added["get"]["description"],
            "`GET /users/{id}` with the caller's id."
        );
        assert!(added.get("post").is_none());
        assert_eq!(document["paths"].as_object().unwrap().len(), 3);
    }
}
