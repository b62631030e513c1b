//! Closed objects in answers have all of their keys. Empty values are null, so that a client does not mistake them for
//! hidden ones.

use super::operations::entity;
use crate::support::{TestServer, model, pages::all, resources, rows};
use codegen::model::{Field, Ty};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The names of the object's keys, in order. `None` if the field is no closed object.
fn keys(field: &Field) -> Option<Vec<&'static str>> {
    let Ty::Object { object } = field.ty else {
        return None;
    };
    let fields = model().objects[object].fields.iter();
    Some(fields.map(|inner| inner.name.as_str()).collect())
}

/// The keys that the answer has. `None` if the object is null or missing.
fn shown<'v>(row: &'v Value, field: &Field) -> Option<Vec<&'v str>> {
    let object = row[field.name.as_str()].as_object()?;
    Some(object.keys().map(String::as_str).collect())
}

#[tokio::test]
async fn answers_have_all_keys_of_closed_objects() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let people = rows::people(&mut conn).await;
    let platform = server.sign_in(people[0]).await.client;
    let (mut looked_at, mut changed) = (0, BTreeSet::new());
    for resource in resources().values().copied() {
        let fields = entity(model(), resource).fields.iter();
        let objects: Vec<_> = fields
            .filter_map(|field| Some((field, keys(field)?)))
            .collect();
        let path = format!("/{}", resource.path);
        if objects.is_empty() || platform.get(&format!("{path}?limit=1")).await.status != 200 {
            continue;
        }
        for row in all(&platform, &path).await {
            for (field, keys) in &objects {
                if let Some(shown) = shown(&row, field) {
                    assert_eq!(shown, *keys, "{path} {}", field.name);
                    looked_at += 1;
                }
            }
        }
        // A key is set and then set to null; the answers to both changes have all keys.
        let Some(right) = rows::who_may(&server.database, &people, resource, "update").await else {
            continue;
        };
        let client = server.sign_in(right.person).await.client;
        let path = format!("{path}/{}", right.row);
        for (field, keys) in objects.iter().filter(|(field, _)| is_links(field)) {
            for value in [json!("https://example.org/"), json!(null)] {
                let body = json!({&field.name: {"website": value}});
                let answer = client.patch(&path, "*", body).await;
                if answer.status != 200 {
                    continue;
                }
                assert_eq!(shown(&answer.json, field).as_ref(), Some(keys), "{path}");
                assert_eq!(answer.json[field.name.as_str()]["website"], value, "{path}");
                changed.insert(resource.name);
            }
        }
    }
    assert!(
        looked_at > 20 && changed.len() >= 3,
        "{looked_at}, {changed:?}"
    );
}

fn is_links(field: &Field) -> bool {
    keys(field).is_some_and(|keys| keys.contains(&"website"))
}
