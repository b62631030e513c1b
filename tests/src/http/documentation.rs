//! The pages and documents for readers and client generators: complete, described, and split into self-contained
//! parts.

use super::operations::documented;
use crate::support::{TestServer, database::Content};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// All references (`$ref`) in a value.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| references(one, found)),
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|one| references(one, found));
        }
        _ => {}
    }
}

fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    let all = paths.values().filter_map(Value::as_object);
    all.flat_map(|item| item.values())
        .filter_map(|operation| operation["operationId"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn the_parts_of_the_document_stand_alone_and_are_the_whole_together() {
    let server = TestServer::start().await;
    let whole = server.client.get("/openapi.json").await.expect(200).json;
    let script = server
        .client
        .get("/docs/swagger-initializer.js")
        .await
        .expect(200)
        .text;
    let mut met = BTreeSet::new();
    let groups = whole["x-tagGroups"].as_array().expect("groups");
    for group in groups {
        let name = group["name"].as_str().expect("a name");
        let path = format!("/openapi/{}.json", name.to_lowercase().replace(' ', "-"));
        assert!(script.contains(&path), "{path} is offered by the page");
        let part = server.client.get(&path).await.expect(200).json;
        let mut pointers = BTreeSet::new();
        references(&part, &mut pointers);
        for pointer in pointers {
            let there = part.pointer(pointer.trim_start_matches('#'));
            assert!(there.is_some(), "{path} has no {pointer}");
        }
        assert!(
            part.to_string().len() < whole.to_string().len() / 2,
            "{path}"
        );
        for operation in operations(&part) {
            assert!(met.insert(operation.clone()), "{operation} is there twice");
        }
    }
    assert_eq!(met, operations(&whole));
}

/// Clients generated from the document call the server that served it; in production they use the public URL, whatever
/// host name the request had.
#[tokio::test]
async fn clients_find_the_server_in_the_document() {
    for (production, expected) in [
        (true, json!([{"url": "https://api.example.org"}])),
        (
            false,
            json!([{"url": "/"}, {"url": "https://api.example.org"}]),
        ),
    ] {
        let server = TestServer::start_with(Content::Reference, |parts| {
            parts.production = production;
            // Production requires these settings.
            let sessions = &mut parts.modules.sessions;
            (sessions.hash_memory_kib, sessions.hash_passes) = (19_456, 2);
            parts.public_url = "https://api.example.org/".parse().expect("a URL");
        })
        .await;
        let client = &server.client;
        let whole = client.get("/openapi.json").await.expect(200).json;
        assert_eq!(whole["servers"], expected);
        let group = &whole["x-tagGroups"][0]["name"];
        let group = group.as_str().expect("a name").to_lowercase();
        let path = format!("/openapi/{}.json", group.replace(' ', "-"));
        let part = client.get(&path).await.expect(200).json;
        assert_eq!(part["servers"], expected);
    }
}

#[tokio::test]
async fn every_tag_has_a_description() {
    let server = TestServer::start().await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    for tag in document["tags"].as_array().expect("tags") {
        let told = tag["description"]
            .as_str()
            .is_some_and(|text| text.len() > 20);
        assert!(told, "{tag}");
    }
}

/// Hand-written operations use references for repeated parts, as generated ones do.
#[tokio::test]
async fn what_is_said_twice_has_a_name() {
    let server = TestServer::start().await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    assert_eq!(document["security"], json!([{"bearer": []}]));
    let (mut seen, mut faults) = (Vec::new(), Vec::new());
    for (title, operation) in documented(&document) {
        if operation.get("security") == Some(&document["security"]) {
            faults.push(format!("{title} says whose token it needs, as all do"));
        }
        let all = operation["parameters"].as_array().into_iter().flatten();
        for parameter in all.filter(|one| one.get("$ref").is_none()) {
            let words = parameter["schema"]
                .get("enum")
                .or(parameter["schema"]["items"].get("enum"));
            if words.is_some() && parameter["schema"].get("default").is_none() {
                faults.push(format!(
                    "{title}: {} has a set without a name",
                    parameter["name"]
                ));
            }
            // Of two different parameters with the same name, only the more frequent one has a shared definition.
            let name = match parameter["required"] == true {
                true => format!("{}.required", parameter["name"].as_str().expect("a name")),
                false => parameter["name"].as_str().expect("a name").to_owned(),
            };
            let is_free = document["components"]["parameters"].get(&name).is_none();
            if is_free && seen.contains(&parameter) {
                faults.push(format!("{title}: {name} is said twice"));
            }
            seen.push(parameter);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// In Python clients, an integer property with the name of its class would shadow the class.
#[tokio::test]
async fn no_number_is_called_like_its_schema() {
    let server = TestServer::start().await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let mut numbers = 0;
    for (name, schema) in schemas {
        for (property, told) in schema["properties"].as_object().into_iter().flatten() {
            if told["type"].to_string().contains("\"integer\"") {
                numbers += 1;
                let plain = property.replace('_', "").to_lowercase();
                assert_ne!(
                    plain,
                    name.to_lowercase(),
                    "{name} has an integer property of its own name"
                );
            }
        }
    }
    assert!(numbers > 100, "only {numbers} numbers");
}

/// A schema that allows null beside a closed set names null in the set as well: clients that check values by it would
/// refuse null otherwise. Sets of texts have a name, wherever they are.
#[tokio::test]
async fn closed_sets_that_may_be_null_name_null() {
    let server = TestServer::start().await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let (mut faults, mut sets) = (Vec::new(), 0);
    closed_sets(
        &document["components"]["schemas"],
        "",
        &mut |place, schema| {
            sets += 1;
            let may_be_null = schema["type"].to_string().contains("\"null\"");
            let words = schema["enum"].as_array().expect("words");
            if may_be_null != words.contains(&Value::Null) {
                faults.push(format!("{place}: {schema}"));
            }
            let is_named = place.matches('/').count() == 1;
            if words.len() > 1 && !is_named && schema.get("default").is_none() {
                faults.push(format!("{place} has no name"));
            }
        },
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(sets > 60, "only {sets} sets");
}

/// Calls `with` for each schema that is a closed set.
fn closed_sets(at: &Value, place: &str, with: &mut impl FnMut(&str, &Value)) {
    if at["enum"].is_array() {
        with(place, at);
    }
    match at {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| closed_sets(inner, &format!("{place}/{key}"), with)),
        Value::Array(list) => list
            .iter()
            .for_each(|inner| closed_sets(inner, &format!("{place}/-"), with)),
        _ => {}
    }
}
