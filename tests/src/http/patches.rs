//! PATCH of nested objects (RFC 7396): one key changes, the others stay. Tested for every entity with such objects.

use super::operations::{body_keys, entity};
use crate::support::{Answer, Client, TestServer, model, resources, rows};
use codegen::model::{Object, Ty};
use kernel::resource::Resource;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A field with a nested object, on a row of a member who may change it.
struct Case<'a> {
    client: &'a Client,
    path: String,
    resource: &'static Resource,
    field: &'a str,
    object: &'a Object,
}

#[tokio::test]
async fn one_key_of_an_object_changes_and_the_others_stay() {
    let server = TestServer::demo().await;
    let people = rows::people(server.superuser().await.looking()).await;
    let mut covered = BTreeSet::new();
    for resource in resources().values().copied() {
        if resource.update.is_none() {
            continue;
        }
        let keys: BTreeSet<&str> = body_keys("Replace", resource.name).into_iter().collect();
        let fields = (entity(model(), resource).fields.iter())
            .filter(|field| keys.contains(field.name.as_str()))
            .filter_map(|field| match field.ty {
                Ty::Object { object } => Some((field, &model().objects[object])),
                _ => None,
            });
        for (field, object) in fields {
            let right = rows::who_may(&server.database, &people, resource, "update").await;
            let right = right.unwrap_or_else(|| panic!("nobody may change any {}", resource.name));
            let client = server.sign_in(right.person).await.client;
            let case = Case {
                client: &client,
                path: format!("/{}/{}", resource.path, right.row),
                resource,
                field: &field.name,
                object,
            };
            case.keys_change_alone().await;
            case.keys_change_at_the_same_moment().await;
            case.put_replaces().await;
            case.wrong_keys_are_told().await;
            covered.insert((resource.name, field.name.clone()));
        }
    }
    assert!(covered.len() >= 6, "{covered:?}");
}

impl Case<'_> {
    /// A valid value for every key.
    fn example(&self, number: usize) -> Map<String, Value> {
        (self.object.fields.iter())
            .map(|field| {
                let value = match field.ty {
                    Ty::Url => format!("https://example.org/{number}"),
                    Ty::Social { ref network } => {
                        let page = codegen::emit::openapi::example::social(network);
                        let last = if number.is_multiple_of(2) { "2" } else { "1" };
                        format!("{}{last}", &page[..page.len() - 1])
                    }
                    Ty::LocalTime => format!("{:02}:30", number % 24),
                    Ty::Text { max, .. } => {
                        format!("{number:05}").chars().take(max as usize).collect()
                    }
                    ref other => panic!("{}: an example of {other:?}", field.name),
                };
                (field.name.clone(), json!(value))
            })
            .collect()
    }

    async fn patch(&self, value: Value) -> Answer {
        let body = Some(json!({self.field: value}));
        let headers = [("if-match", "*")];
        self.client
            .send(Method::PATCH, &self.path, body, &headers)
            .await
    }

    /// The object in the answer, without its null values.
    fn shown(&self, answer: &Answer) -> Map<String, Value> {
        assert_eq!(
            answer.status, 200,
            "{} {}: {}",
            self.path, self.field, answer.text
        );
        let object = answer.json[self.field]
            .as_object()
            .cloned()
            .unwrap_or_default();
        object
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect()
    }

    async fn keys_change_alone(&self) {
        let (mut expected, other) = (self.example(1), self.example(2));
        let all = self.patch(json!(expected)).await;
        assert_eq!(self.shown(&all), expected, "{}", self.path);
        for field in &self.object.fields {
            let key = &field.name;
            expected.insert(key.clone(), other[key].clone());
            let changed = self.patch(json!({key: other[key]})).await;
            assert_eq!(self.shown(&changed), expected, "{} {key}", self.path);
            if field.optional {
                expected.remove(key);
                let removed = self.patch(json!({key: null})).await;
                assert_eq!(self.shown(&removed), expected, "{} {key}", self.path);
            }
        }
        let nothing = self.patch(json!({})).await;
        assert_eq!(self.shown(&nothing), expected, "{}", self.path);
    }

    /// Concurrent changes of different keys are all kept, since the database merges them.
    async fn keys_change_at_the_same_moment(&self) {
        let (before, after) = (self.example(3), self.example(4));
        self.shown(&self.patch(json!(before)).await);
        let keys = self.object.fields.iter().map(|field| &field.name);
        let patches = keys.map(|key| self.patch(json!({key: after[key]})));
        for answer in futures_util::future::join_all(patches).await {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let now = self.client.get(&self.path).await;
        assert_eq!(self.shown(&now), after, "{}", self.path);
    }

    async fn put_replaces(&self) {
        self.shown(&self.patch(json!(self.example(5))).await);
        let before = self.client.get(&self.path).await.expect(200);
        let is_needed = |key: &String| {
            (self.object.fields.iter()).any(|field| field.name == *key && !field.optional)
        };
        let mut smaller = self.example(6);
        let one = self.object.fields[0].name.clone();
        smaller.retain(|key, _| *key == one || is_needed(key));
        let mut body: Map<String, Value> = body_keys("Replace", self.resource.name)
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), before.json.get(key)?.clone())))
            .collect();
        body.insert(self.field.to_owned(), json!(smaller));
        let put = self
            .client
            .put(&self.path, &before.etag(), json!(body))
            .await;
        assert_eq!(self.shown(&put), smaller, "{}", self.path);
    }

    async fn wrong_keys_are_told(&self) {
        let unknown = self.patch(json!({"nonsense": 1})).await;
        assert_eq!(unknown.status, 422, "{}", unknown.text);
        let pointer = |answer: &Answer| answer.json["errors"][0]["pointer"].clone();
        assert_eq!(pointer(&unknown), format!("/{}/nonsense", self.field));
        for field in &self.object.fields {
            let wrong = self.patch(json!({&field.name: 17})).await;
            assert_eq!(wrong.status, 422, "{}", wrong.text);
            assert_eq!(pointer(&wrong), format!("/{}/{}", self.field, field.name));
        }
    }
}
