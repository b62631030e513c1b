//! The texts of the document name only operations that exist.

use super::{documented, resolve, served};
use serde_json::Value;
use std::collections::BTreeSet;

/// What stands in backticks, such as `GET /orders/{id}`, in all texts for readers.
fn quoted<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| quoted(one, found)),
        Value::Object(map) => {
            for (name, one) in map {
                match one.as_str() {
                    Some(text) if matches!(name.as_str(), "description" | "summary") => {
                        found.extend(text.split('`').skip(1).step_by(2));
                    }
                    _ => quoted(one, found),
                }
            }
        }
        _ => {}
    }
}

/// The operation that a text names, with the names of its parameters left out: `GET /orders/{}`.
fn operation(text: &str) -> Option<String> {
    let (method, path) = text.split_once(' ')?;
    let is_method = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
    if !is_method || !path.starts_with('/') {
        return None;
    }
    let path = path.split('?').next().unwrap_or_default();
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => "{}",
        false => part,
    });
    Some(format!("{method} {}", parts.collect::<Vec<_>>().join("/")))
}

#[tokio::test]
async fn texts_name_only_operations_that_exist() {
    let document = served().await;
    let known: BTreeSet<String> = documented(&document)
        .into_iter()
        .filter_map(|(title, _)| operation(&title))
        .collect();
    let mut texts = Vec::new();
    quoted(&document, &mut texts);
    let named: BTreeSet<String> = texts.into_iter().filter_map(operation).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<&String> = named.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What is unique together with the caller (a place on a waiting list) is refused at a value that the body has, or at the
/// body as a whole.
#[tokio::test]
async fn conflicts_point_to_what_the_body_has() {
    let document = served().await;
    let mut looked_at = 0;
    for resource in generated::hooks::RESOURCES {
        let create = format!("/{}", resource.path);
        let body = &document["paths"][&create]["post"]["requestBody"]["content"]["application/json"]
            ["schema"];
        let Some(properties) = resolve(&document, body)["properties"].as_object() else {
            continue;
        };
        let uniques = resource.constraints.iter();
        for one in uniques.filter(|one| one.detail.starts_with("there is already ")) {
            let name = one.pointer.trim_start_matches('/');
            let is_there = name.is_empty() || properties.contains_key(name);
            assert!(
                is_there,
                "{create}: {} is refused at {}",
                one.name, one.pointer
            );
            looked_at += 1;
        }
    }
    assert!(looked_at > 15, "{looked_at}");
}
