//! Who may, under which conditions, and what an operation answers.

use super::{document, operation};
use serde_json::{Value, json};

#[test]
fn security_follows_the_rules() {
    let document = document();
    let public = json!([{}, {"bearer": []}]);
    // What holds for all that say nothing else.
    assert_eq!(document["security"], json!([{"bearer": []}]));
    assert_eq!(operation(&document, "get", "/events")["security"], public);
    assert_eq!(
        operation(&document, "get", "/events/{id}/likes")["security"],
        public,
        "the rule leads to events"
    );
    for (method, path) in [("post", "/events"), ("get", "/transactions")] {
        let own = operation(&document, method, path).get("security");
        assert_eq!(own, None, "{method} {path}");
    }
}

#[test]
fn access_is_told_in_words() {
    let document = document();
    let read = &operation(&document, "get", "/events/{id}")["x-access"];
    assert_eq!(
        *read,
        json!({"anonymous": "depends"}),
        "and with that everybody"
    );
    let suspend = &operation(&document, "post", "/events/{id}/suspend")["x-access"];
    assert_eq!(*suspend, json!({"platformAdmin": "yes"}), "nobody else");
    let create = &operation(&document, "post", "/events")["x-access"];
    assert_eq!(
        create["signed in"],
        Value::Null,
        "only who holds a role there"
    );
    let text = operation(&document, "get", "/events/{id}")["description"]
        .as_str()
        .unwrap();
    assert!(
        text.ends_with("**Who may**: `state` is not `draft` or `host`."),
        "{text}"
    );
    let tag = document["tags"][0]["description"].as_str().unwrap();
    assert!(tag.contains("- `host`: `admin` of the `host`"), "{tag}");
    assert!(
        tag.contains(
            "- `admin of an organization`: the caller holds `orgAdmin` of this organization"
        ),
        "{tag}"
    );
}

#[test]
fn preconditions_and_reasons() {
    let document = document();
    let refs = |method: &str, path: &str| -> Vec<String> {
        let all = operation(&document, method, path)["parameters"]
            .as_array()
            .into_iter()
            .flatten();
        all.filter_map(|parameter| parameter["$ref"].as_str())
            .map(|name| name.rsplit('/').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(refs("put", "/events/{id}"), ["id", "IfMatchRequired"]);
    assert_eq!(refs("patch", "/events/{id}"), ["id", "IfMatchRequired"]);
    assert_eq!(refs("delete", "/events/{id}"), ["id", "IfMatch"]);
    assert_eq!(refs("post", "/events/{id}/publish"), ["id", "IfMatch"]);
    assert_eq!(
        refs("get", "/events/{id}"),
        ["id", "Event.expand", "IfNoneMatch"]
    );
    assert_eq!(
        operation(&document, "post", "/events/{id}/cancel")["requestBody"]["content"]["application/json"]
            ["schema"]["$ref"],
        "#/components/schemas/Reason"
    );
    assert_eq!(
        operation(&document, "post", "/events/{id}/publish")["requestBody"],
        Value::Null
    );
    let answers: Vec<&String> = operation(&document, "patch", "/events/{id}")["responses"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(
        answers,
        [
            "200", "204", "403", "404", "409", "412", "422", "428", "default"
        ]
    );
}
