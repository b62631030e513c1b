//! What the API document says once: its size, and what is told in the introduction instead of at each operation.

use super::operations::documented;
use crate::support::TestServer;
use serde_json::Value;
use std::collections::BTreeSet;

/// For each operation: routes may come, words that say the same again may not.
const BYTES_MAX: usize = 1_800;

/// What all lists have.
const COMMON: [&str; 5] = ["limit", "cursor", "count", "sort", "expand"];

/// Comparisons of filters: `city_id.in`.
const COMPARISONS: [&str; 7] = ["ne", "in", "gte", "lte", "gt", "lt", "null"];

/// Whether a parameter has no words of its own because the introduction has them, or its name: `/events/{id}`.
pub fn is_told(document: &Value, name: &str) -> bool {
    let of_filter = name.rsplit_once('.').map(|(_, comparison)| comparison);
    match of_filter {
        Some(comparison) => COMPARISONS.contains(&comparison),
        None => name == "id" || COMMON.contains(&name) || is_filter(document, name),
    }
}

/// Whatever can be asked for can also be asked against.
fn is_filter(document: &Value, name: &str) -> bool {
    let against = format!("{name}.ne");
    let all = document["components"]["parameters"].as_object();
    all.into_iter()
        .flat_map(|all| all.values())
        .any(|one| one["name"] == against)
}

/// Parameters without words of their own whose words are not in the text either.
fn untold(document: &Value, text: &str) -> BTreeSet<String> {
    let parameters = document["components"]["parameters"]
        .as_object()
        .expect("parameters");
    let silent = parameters
        .values()
        .filter(|one| one["in"] == "query" && one.get("description").is_none());
    let words = silent.map(|one| {
        let name = one["name"].as_str().expect("a name");
        match name.rsplit_once('.') {
            Some((_, comparison)) => format!("`.{comparison}"),
            None if COMMON.contains(&name) => format!("`{name}"),
            None if is_filter(document, name) => "is equal".to_owned(),
            None => format!("`{name}`"),
        }
    });
    words.filter(|words| !text.contains(words)).collect()
}

async fn served() -> Value {
    let server = TestServer::start().await;
    server.client.get("/openapi.json").await.expect(200).json
}

/// What any client has to load before it can show anything.
#[tokio::test]
async fn the_document_stays_small() {
    let document = served().await;
    let operations = documented(&document).len();
    let bytes = document.to_string().len() / operations;
    assert!(
        bytes < BYTES_MAX,
        "{bytes} bytes for each of {operations} operations"
    );
}

#[tokio::test]
async fn what_lists_have_in_common_is_told_once() {
    let document = served().await;
    let told = document["info"]["description"].as_str().expect("a text");
    let faults = untold(&document, told);
    assert!(faults.is_empty(), "the introduction lacks {faults:?}");
    // An introduction that says nothing lacks all of them.
    let all = untold(&document, "");
    assert_eq!(all.len(), COMMON.len() + COMPARISONS.len() + 1, "{all:?}");
}
