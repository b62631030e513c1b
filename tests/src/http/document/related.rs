//! Whatever is answered with a type that has room for related objects takes `expand`, which fills it.

use super::{collect, documented, list, resolve, served};
use serde_json::{Map, Value};

/// Lists of what can be restored take `limit` and `cursor` only.
fn is_of_archived(title: &str) -> bool {
    title.ends_with("/archived")
}

/// Whether the answer of a read has properties that only `expand` fills.
fn has_room(document: &Value, operation: &Value) -> bool {
    let mut needed = Map::new();
    collect(document, &operation["responses"]["200"], &mut needed);
    needed.keys().any(|name| name.starts_with("Expanded"))
}

/// The reads with room for related objects that do not take `expand`, and the number of those that do.
fn silent(document: &Value) -> (Vec<String>, usize) {
    let (mut silent, mut taking) = (Vec::new(), 0);
    for (title, operation) in documented(document) {
        if !title.starts_with("GET ") || is_of_archived(&title) || !has_room(document, operation) {
            continue;
        }
        let mut parameters = list(&operation["parameters"]).map(|one| resolve(document, one));
        match parameters.any(|one| one["name"] == "expand") {
            true => taking += 1,
            false => silent.push(title),
        }
    }
    (silent, taking)
}

#[tokio::test]
async fn what_has_room_for_related_objects_takes_expand() {
    let mut document = served().await;
    let (none, taking) = silent(&document);
    assert_eq!(none, Vec::<String>::new());
    assert!(taking > 150, "only {taking}");
    // The negative control: an operation without its parameters is noticed.
    document["paths"]["/venues/top-rated"]["get"]["parameters"] = Value::Null;
    assert_eq!(silent(&document).0, ["GET /venues/top-rated"]);
}
