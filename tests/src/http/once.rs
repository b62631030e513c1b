//! The size of the API document, and what its introduction explains instead of each operation.

use super::operations::documented;
use crate::support::TestServer;
use serde_json::Value;
use std::collections::BTreeSet;

/// The maximum size per operation: more operations are fine, repeated texts are not.
const BYTES_MAX: usize = 1_700;

/// The parameters that all lists have.
const COMMON: [&str; 5] = ["limit", "cursor", "count", "sort", "expand"];

/// The comparisons of filters, as in `city_id.in`.
const COMPARISONS: [&str; 7] = ["ne", "in", "gte", "lte", "gt", "lt", "null"];

/// Whether a parameter needs no description, because the introduction explains it or its name does, as in
/// `/events/{id}`.
pub fn is_told(document: &Value, name: &str) -> bool {
    let of_filter = name.rsplit_once('.').map(|(_, comparison)| comparison);
    match of_filter {
        Some(comparison) => COMPARISONS.contains(&comparison),
        None => name == "id" || COMMON.contains(&name) || is_filter(document, name),
    }
}

/// Whether the parameter is a filter: every filter also has a comparison `ne`.
fn is_filter(document: &Value, name: &str) -> bool {
    let against = format!("{name}.ne");
    parameters(document).any(|one| one["name"] == against)
}

/// The shared parameters, and those that are written at their operations.
fn parameters(document: &Value) -> impl Iterator<Item = &Value> {
    let shared = document["components"]["parameters"].as_object();
    let shared = shared.into_iter().flat_map(|all| all.values());
    let operations = documented(document).into_iter();
    let own = operations
        .flat_map(|(_, operation)| operation["parameters"].as_array().into_iter().flatten())
        .filter(|one| one.get("$ref").is_none());
    shared.chain(own)
}

/// Parameters without a description that the text does not explain either.
fn untold(document: &Value, text: &str) -> BTreeSet<String> {
    let silent =
        parameters(document).filter(|one| one["in"] == "query" && one.get("description").is_none());
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

/// Every client has to load the document before it can show anything.
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
    // The negative control: an empty introduction explains none of them.
    let all = untold(&document, "");
    assert_eq!(all.len(), COMMON.len() + COMPARISONS.len() + 1, "{all:?}");
}
