//! An answer that is sent back unchanged changes nothing, and so does an empty one: for every entity that can be
//! changed.

use super::operations::{self, Kind};
use crate::support::{Answer, Client, TestServer, model, resources, rows};
use kernel::resource::Resource;
use reqwest::Method;
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

struct Case {
    resource: &'static Resource,
    path: String,
    row: Uuid,
    client: Client,
}

/// For every entity a row, and a member who may change it.
async fn cases(server: &TestServer) -> Vec<Case> {
    let mut conn = server.superuser().await;
    let people = rows::people(&mut conn).await;
    let everybody = rows::everybody(&mut conn).await;
    let (mut cases, mut missing) = (Vec::new(), Vec::new());
    for resource in resources().values().copied() {
        let all = operations::of(resource);
        if !all.iter().any(|one| matches!(one.kind, Kind::Replace)) {
            continue;
        }
        let mut found = case(server, resource, &people).await;
        if found.is_none() {
            found = case(server, resource, &everybody).await;
        }
        match found {
            Some(case) => cases.push(case),
            None => missing.push(resource.name),
        }
    }
    assert!(missing.is_empty(), "no member may change {missing:?}");
    assert!(cases.len() >= 25, "{}", cases.len());
    cases
}

/// The first of these people who can see a row and may change it. People who may change rows that they can't see are
/// skipped.
async fn case(
    server: &TestServer,
    resource: &'static Resource,
    mut people: &[Uuid],
) -> Option<Case> {
    while let Some(right) = rows::who_may(&server.database, people, resource, "update").await {
        let path = format!("/{}/{}", resource.path, right.row);
        let client = server.sign_in(right.person).await.client;
        if client.get(&path).await.status == 200 {
            let row = right.row;
            return Some(Case {
                resource,
                path,
                row,
                client,
            });
        }
        let at = people.iter().position(|one| *one == right.person)?;
        people = &people[at + 1..];
    }
    None
}

impl Case {
    /// The object with all of its related objects expanded.
    async fn shown(&self) -> Map<String, Value> {
        let names = self.resource.expands.iter().filter(|expand| !expand.hidden);
        let names: Vec<&str> = names.map(|expand| expand.name).collect();
        let query = match names.is_empty() {
            true => String::new(),
            false => format!("?expand={}", names.join(",")),
        };
        let answer = self
            .client
            .get(&format!("{}{query}", self.path))
            .await
            .expect(200);
        answer.json.as_object().expect("an object").clone()
    }

    async fn send(&self, method: Method, body: &Value) -> Answer {
        let tag = self.client.get(&self.path).await.etag();
        let headers = [("if-match", tag.as_str())];
        self.client
            .send(method, &self.path, Some(body.clone()), &headers)
            .await
    }

    /// The stored row with all of its columns, and the number of log entries about it.
    async fn kept(&self, conn: &mut PgConnection) -> (String, i64) {
        let text = format!(
            "select t::text, (select count(*) from audit.audit_logs where entity_id = t.id) from app.{} t where id = $1",
            self.resource.plural
        );
        sqlx::query_as(AssertSqlSafe(text))
            .bind(self.row)
            .fetch_one(conn)
            .await
            .expect("a row")
    }
}

/// Claim: a request that sets nothing, or only the present values, changes neither the version nor the time of the
/// last change, and is not logged.
#[tokio::test]
async fn a_change_to_what_is_there_already_is_none() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    for case in cases(&server).await {
        let (before, kept) = (case.shown().await, case.kept(&mut conn).await);
        let tag = case.client.get(&case.path).await.etag();
        for (method, body) in [
            (Method::PATCH, json!({})),
            (Method::PATCH, json!(before)),
            (Method::PUT, json!(before)),
        ] {
            let answer = case.send(method.clone(), &body).await;
            let what = format!("{method} {}", case.path);
            assert_eq!(answer.status, 200, "{what}: {}", answer.text);
            assert_eq!(answer.json["version"], before["version"], "{what}");
            assert_eq!(case.kept(&mut conn).await, kept, "{what}");
            assert_eq!(case.client.get(&case.path).await.etag(), tag, "{what}");
            let version = |tag: &str| tag.split('-').next().map(str::to_owned);
            assert_eq!(version(&answer.etag()), version(&tag), "{what}");
        }
        // The negative control: a real change does.
        let field = model()
            .entities
            .iter()
            .find(|entity| entity.name == case.resource.name);
        let text = (field.expect("an entity").fields.iter()).find(|field| {
            let is_text = matches!(field.ty, codegen::model::Ty::Text { min, max, .. } if min <= 5 && max >= 5);
            is_text && !field.system && !field.fixed && field.read.is_none() && field.write.is_none()
        });
        if let Some(field) = text {
            let answer = case
                .send(Method::PATCH, &json!({&field.name: "other"}))
                .await;
            if answer.status == 200 {
                assert_ne!(answer.json["version"], before["version"], "{}", case.path);
                let (row, entries) = case.kept(&mut conn).await;
                assert!(row != kept.0 && entries == kept.1 + 1, "{}", case.path);
            }
        }
    }
}

/// Claim: forms clear a property by sending it empty, whatever the form of its text: ids, times and words as well. What
/// refuses null refuses an empty text in the same words.
#[tokio::test]
async fn an_empty_text_is_null_wherever_null_is_taken() {
    let server = TestServer::demo().await;
    rows::without_quotes(&server).await;
    let mut cleared = BTreeSet::new();
    for case in cases(&server).await {
        let properties = operations::body_properties("Replace", case.resource.name);
        let texts = properties.into_iter().flatten();
        for (name, _) in texts.filter(|(_, schema)| is_text_or_null(schema)) {
            let empty = case.send(Method::PATCH, &json!({ name: "" })).await;
            let null = case.send(Method::PATCH, &json!({ name: null })).await;
            let what = format!("{} {name}: {}", case.path, empty.text);
            assert_eq!(empty.status, null.status, "{what}");
            assert_eq!(empty.pointers(), null.pointers(), "{what}");
            if empty.status == 200 {
                assert!(empty.json[name].is_null(), "{what}");
                cleared.insert(name.as_str());
            }
        }
    }
    // An id, a time, and a text with a format.
    for name in ["home_city_id", "needed_at", "phone"] {
        assert!(cleared.contains(name), "{name}: {cleared:?}");
    }
}

fn is_text_or_null(schema: &Value) -> bool {
    let document = operations::document();
    let says = |schema: &Value, kind: &str| match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        one => one == kind,
    };
    let kinds = schema["anyOf"].as_array().map_or(&[][..], Vec::as_slice);
    let resolved = kinds.iter().map(|one| match one["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect("a schema"),
        None => one,
    });
    let all: Vec<&Value> = resolved.chain([schema]).collect();
    ["string", "null"]
        .iter()
        .all(|kind| all.iter().any(|one| says(one, kind)))
}

/// Claim: a property that can't be changed may be repeated with its value, and is refused with another value;
/// properties that change by themselves are ignored.
#[tokio::test]
async fn what_cannot_be_changed_may_only_be_repeated() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let (mut refused, mut ignored) = (BTreeSet::new(), BTreeSet::new());
    for case in cases(&server).await {
        let (before, kept) = (case.shown().await, case.kept(&mut conn).await);
        for name in case.resource.fixed {
            for (method, whole) in [(Method::PATCH, false), (Method::PUT, true)] {
                let mut body = match whole {
                    true => before.clone(),
                    false => Map::new(),
                };
                body.insert((*name).to_owned(), json!("something else"));
                let answer = case.send(method.clone(), &json!(body)).await;
                let what = format!("{method} {} {name}", case.path);
                assert_eq!(answer.status, 422, "{what}: {}", answer.text);
                assert_eq!(answer.pointers(), [format!("/{name}")], "{what}");
                assert_eq!(answer.json["errors"][0]["code"], "read_only", "{what}");
            }
            refused.insert(*name);
        }
        let expands = case.resource.expands.iter().filter(|expand| !expand.hidden);
        let moving = expands
            .map(|expand| expand.name)
            .chain(case.resource.moving.iter().copied());
        for name in moving {
            for value in [json!(987_654), json!(null), json!({"id": 1})] {
                let answer = case.send(Method::PATCH, &json!({ name: value })).await;
                assert_eq!(answer.status, 200, "{} {name}: {}", case.path, answer.text);
            }
            ignored.insert(name);
        }
        let mixed = json!({"id": Uuid::now_v7(), "nonsense": 1});
        let answer = case.send(Method::PATCH, &mixed).await.expect(422);
        let mut pointers = answer.pointers();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/id", "/nonsense"], "{}", case.path);
        let object = |name: &str| json!({"object": name});
        case.send(Method::PATCH, &object(case.resource.name))
            .await
            .expect(200);
        case.send(Method::PATCH, &object("another"))
            .await
            .expect(422);
        let body = Some(json!({"id": Uuid::now_v7()}));
        let send = |headers| {
            case.client
                .send(Method::PATCH, &case.path, body.clone(), headers)
        };
        send(&[]).await.expect(428);
        send(&[("if-match", "\"0\"")]).await.expect(412);
        assert_eq!(case.kept(&mut conn).await, kept, "{}", case.path);
    }
    for name in [
        "id",
        "status",
        "state",
        "version",
        "created_at",
        "updated_at",
        "city_id",
    ] {
        assert!(refused.contains(name), "{name}: {refused:?}");
    }
    assert!(ignored.len() > 10, "{ignored:?}");
}

/// A caller who may not see the object learns nothing about it or about errors in the body.
#[tokio::test]
async fn what_a_stranger_repeats_tells_nothing() {
    let server = TestServer::demo().await;
    let stranger = server.member("stranger").await.client;
    let mut hidden = 0;
    for case in cases(&server).await {
        let before = case.shown().await;
        if stranger.get(&case.path).await.status == 200 {
            continue;
        }
        let answer = |body: Value| {
            let headers = [("if-match", "*")];
            let stranger = stranger.clone();
            let path = case.path.clone();
            async move {
                stranger
                    .send(Method::PATCH, &path, Some(body), &headers)
                    .await
                    .told()
            }
        };
        let right = answer(json!({"created_at": before["created_at"]})).await;
        let wrong = answer(json!({"created_at": "2020-01-01T00:00:00Z"})).await;
        assert_eq!(right, wrong, "{}", case.path);
        assert!([403, 404].contains(&right.0), "{}: {right:?}", case.path);
        hidden += 1;
    }
    assert!(hidden >= 5, "{hidden}");
}
