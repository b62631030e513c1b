//! Versions: concurrent changes of the same row, and what ETags reveal. Tested for every entity.

use crate::support::{Answer, Client, TestServer, edits::Edit, resources, rows};
use kernel::{
    http::metrics,
    resource::{Lifecycle, Resource},
};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

fn document() -> Value {
    serde_json::from_str(app::api::document()).expect("the document")
}

/// The body of a PUT with the values that GET returned.
fn replacement(document: &Value, resource: &Resource, shown: &Value) -> Value {
    let path = format!("/{}/{{id}}", resource.path);
    let body = &document["paths"][path]["put"]["requestBody"]["content"]["application/json"];
    let name = body["schema"]["$ref"].as_str().expect("a schema");
    let name = name.rsplit('/').next().expect("a name");
    let properties = document["components"]["schemas"][name]["properties"].as_object();
    let properties = properties.unwrap_or_else(|| panic!("{name} has no properties"));
    let given: Map<String, Value> = properties
        .keys()
        .filter_map(|key| Some((key.clone(), shown.get(key)?.clone())))
        .collect();
    Value::Object(given)
}

fn is_problem(answer: &Answer, status: u16, slug: &str) -> bool {
    (answer.status.as_u16(), answer.problem()) == (status, slug)
}

#[track_caller]
fn expect_problem(what: &str, answer: &Answer, status: u16, slug: &str) {
    assert!(
        is_problem(answer, status, slug),
        "{what}: {} {}",
        answer.status,
        answer.text
    );
}

#[tokio::test]
async fn abuse_63_of_two_changes_of_one_version_one_wins() {
    let server = TestServer::demo().await;
    let document = document();
    let people = rows::people(server.superuser().await.looking()).await;
    let (mut covered, mut acted) = (BTreeSet::new(), BTreeSet::new());
    let mut edited = BTreeSet::new();
    for resource in resources().values() {
        // Entities such as reviews can't be updated.
        if resource.update.is_none() {
            continue;
        }
        let Some(right) = rows::who_may(&server.database, &people, resource, "update").await else {
            continue;
        };
        let client = server.sign_in(right.person).await.client;
        let path = format!("/{}/{}", resource.path, right.row);
        let body = replacement(&document, resource, &client.get(&path).await.json);
        if let Some(edit) = Edit::find(&client, &path, &body).await {
            one_wins(&client, &path, &document, resource, &edit).await;
            conditions(&client, &path, &document, resource, &edit).await;
            edited.insert(resource.name);
        }
        for action in verbs(&client, &path, resource).await {
            acted.insert((resource.name, action));
        }
        for person in &people[..6] {
            let other = server.sign_in(*person).await.client;
            not_told(&other, &path, resource).await;
        }
        not_told(&server.client, &path, resource).await;
        covered.insert(resource.name);
    }
    assert!(
        covered.len() > 15 && edited.len() > 12,
        "{covered:?} {edited:?}"
    );
    let deleted = acted
        .iter()
        .filter(|(_, action)| action == "delete")
        .count();
    assert!(deleted > 10 && acted.len() > 30, "{acted:?}");
}

/// Two concurrent requests send back the same version, each with one value changed.
async fn one_wins(client: &Client, path: &str, document: &Value, resource: &Resource, edit: &Edit) {
    let shown = client.get(path).await.expect(200);
    let (tag, body) = (shown.etag(), replacement(document, resource, &shown.json));
    let (one, two) = tokio::join!(
        client.put(path, &tag, edit.within(&body, 10)),
        client.put(path, &tag, edit.within(&body, 11))
    );
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "{path}: {} {}", one.text, two.text);
    let lost = if one.status == 412 { one } else { two };
    expect_problem(path, &lost, 412, "precondition-failed");
}

/// With `If-Match: *` any version matches, so all concurrent changes succeed; and concurrent actions of other kinds
/// always get an answer that gives a reason.
#[tokio::test]
async fn abuse_63_changes_of_any_version_at_the_same_moment_all_count() {
    let server = TestServer::demo().await;
    let people = rows::people(server.superuser().await.looking()).await;
    let mut covered = BTreeSet::new();
    for resource in resources().values() {
        if resource.update.is_none() {
            continue;
        }
        let Some(right) = rows::who_may(&server.database, &people, resource, "update").await else {
            continue;
        };
        let client = server.sign_in(right.person).await.client;
        let path = format!("/{}/{}", resource.path, right.row);
        let body = replacement(&document(), resource, &client.get(&path).await.json);
        let Some(edit) = Edit::find(&client, &path, &body).await else {
            continue;
        };
        let before = client.get(&path).await.expect(200).json["version"].as_i64();
        let patch = |number| {
            let body = Some(edit.body(100 + number));
            client.send(Method::PATCH, &path, body, &[("if-match", "*")])
        };
        let answers = futures_util::future::join_all((0..AT_ONCE).map(patch)).await;
        for answer in &answers {
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        }
        let mut versions: Vec<_> = (answers.iter().map(|a| a.json["version"].as_i64())).collect();
        versions.sort_unstable();
        versions.dedup();
        assert_eq!(
            versions.len(),
            AT_ONCE,
            "{path}: each change must create a version"
        );
        assert_eq!(
            versions.last(),
            Some(&before.map(|v| v + AT_ONCE as i64)),
            "{path}"
        );
        covered.insert(resource.name);
    }
    assert!(covered.len() > 12, "{covered:?}");
    // Not for members, since these are the callers, who could do nothing afterwards.
    for resource in resources()
        .values()
        .filter(|r| r.name != "user" && r.update.is_some())
    {
        if let Some(right) = rows::who_may(&server.database, &people, resource, "update").await {
            let client = server.sign_in(right.person).await.client;
            at_the_same_moment(
                &client,
                &format!("/{}/{}", resource.path, right.row),
                resource,
            )
            .await;
        }
    }
    assert_eq!(metrics::POLICY_DIVERGENCE.get(), 0, "alarms");
}

const AT_ONCE: usize = 8;

/// Whether the engine does it, and not a module.
fn is_generated(resource: &Resource, action: &str) -> bool {
    let own = ["update", "delete", "suspend", "unsuspend"];
    own.contains(&action) || resource.transitions.iter().any(|t| t.name == action)
}

/// Every action that the caller may do, several times concurrently, deleting last.
async fn at_the_same_moment(client: &Client, path: &str, resource: &Resource) {
    let shown = client.get(path).await.expect(200);
    let mut actions: Vec<&str> = (shown.json["allowed_actions"].as_array().expect("actions"))
        .iter()
        .filter_map(|action| action.as_str())
        .filter(|action| *action != "update" && is_generated(resource, action))
        .collect();
    actions.sort_by_key(|action| *action == "delete");
    for action in actions {
        let transition = resource.transitions.iter().find(|t| t.name == action);
        let reason = (transition.filter(|t| t.reason)).map(|_| json!({"reason": "because"}));
        let (method, path) = match action {
            "delete" => (Method::DELETE, path.to_owned()),
            verb => (Method::POST, format!("{path}/{}", verb.replace('_', "-"))),
        };
        let send = || client.send(method.clone(), &path, reason.clone(), &[]);
        for answer in futures_util::future::join_all((0..AT_ONCE).map(|_| send())).await {
            let status = answer.status.as_u16();
            // 401: the caller's own account. 403: another action ended what allowed it.
            assert!(
                [200, 204, 401, 403, 404, 409].contains(&status),
                "{method} {path}: {status} {}",
                answer.text
            );
        }
    }
}

/// ETags of no existing version.
fn stale(strong: &str) -> [String; 6] {
    [
        "0".to_owned(),
        "\"0-0\"".to_owned(),
        "\"999999-0\"".to_owned(),
        "\"foreign\"".to_owned(),
        "\"0-0\", W/\"999999-1\"".to_owned(),
        format!("\"-{}", &strong[1..]),
    ]
}

fn malformed() -> [&'static str; 5] {
    ["1\"", "\"1-1", ",", "\"1\" \"2\"", "one"]
}

/// The same version in other spellings: only the number, without quotes, or as changed by a compressing proxy.
fn same(strong: &str) -> [String; 5] {
    let version = strong
        .trim_matches('"')
        .split('-')
        .next()
        .expect("a version");
    [
        format!("W/{strong}"),
        format!("\"{version}\""),
        version.to_owned(),
        strong.trim_matches('"').to_owned(),
        format!("{}-gzip\"", strong.trim_end_matches('"')),
    ]
}

async fn conditions(
    client: &Client,
    path: &str,
    document: &Value,
    resource: &Resource,
    edit: &Edit,
) {
    let shown = client.get(path).await;
    let replacement = replacement(document, resource, &shown.json);
    let mut tag = shown.etag();
    let number = std::cell::Cell::new(20);
    for method in [Method::PATCH, Method::PUT] {
        let send = async |tag: Option<&str>| {
            let headers: Vec<(&str, &str)> = tag.map(|tag| ("if-match", tag)).into_iter().collect();
            // Another value each time, since the same value would be no change.
            number.set(number.get() + 1);
            let body = Some(match method == Method::PUT {
                true => edit.within(&replacement, number.get()),
                false => edit.body(number.get()),
            });
            client.send(method.clone(), path, body, &headers).await
        };
        let what = format!("{method} {path}");
        expect_problem(&what, &send(None).await, 428, "precondition-required");
        for stale in stale(&tag) {
            let answer = send(Some(&stale)).await;
            expect_problem(
                &format!("{what} {stale}"),
                &answer,
                412,
                "precondition-failed",
            );
        }
        for malformed in malformed() {
            let answer = send(Some(malformed)).await;
            expect_problem(&format!("{what} {malformed}"), &answer, 400, "bad-request");
        }
        for good in ["*", "\"0-0\", {}", "{}, \"foreign\""] {
            let answer = send(Some(&good.replace("{}", &tag))).await;
            assert_eq!(answer.status, 200, "{what} {good}: {}", answer.text);
            assert_ne!(answer.etag(), tag, "{what}: every change is a new version");
            tag = answer.etag();
        }
        for n in 0..same(&tag).len() {
            let good = &same(&tag)[n];
            let answer = send(Some(good)).await;
            assert_eq!(answer.status, 200, "{what} {good}: {}", answer.text);
            tag = answer.etag();
        }
    }
}

/// Deleting and transitions need no ETag, but check one if it is given. Returns the actions that were tested.
async fn verbs(client: &Client, path: &str, resource: &Resource) -> Vec<String> {
    let shown = client.get(path).await.expect(200);
    let tag = shown.etag();
    let mut tried = Vec::new();
    for action in shown.json["allowed_actions"].as_array().expect("actions") {
        let action = action.as_str().expect("an action");
        let transition = resource.transitions.iter().find(|t| t.name == action);
        let (method, path) = match action {
            "update" => continue,
            other if !is_generated(resource, other) => continue,
            "delete" => (Method::DELETE, path.to_owned()),
            verb => (Method::POST, format!("{path}/{}", verb.replace('_', "-"))),
        };
        let reason = transition
            .filter(|transition| transition.reason)
            .map(|_| json!({"reason": "because"}));
        let send = async |tag: &str| {
            let headers = [("if-match", tag)];
            client
                .send(method.clone(), &path, reason.clone(), &headers)
                .await
        };
        let what = format!("{method} {path}");
        for stale in stale(&tag) {
            let answer = send(&stale).await;
            expect_problem(
                &format!("{what} {stale}"),
                &answer,
                412,
                "precondition-failed",
            );
        }
        for malformed in malformed() {
            let answer = send(malformed).await;
            expect_problem(&format!("{what} {malformed}"), &answer, 400, "bad-request");
        }
        tried.push(action.to_owned());
    }
    let unchanged = client.get(path).await.expect(200);
    assert_eq!(unchanged.told(), shown.told(), "{path}");
    tried
}

/// A matching ETag in a list of several counts for transitions as well.
#[tokio::test]
async fn abuse_63_a_verb_takes_a_list_of_tags() {
    let server = TestServer::demo().await;
    let people = rows::people(server.superuser().await.looking()).await;
    let resource = resources()["venue"];
    let right = rows::who_may(&server.database, &people, resource, "suspend").await;
    let right = right.expect("somebody who may");
    let client = server.sign_in(right.person).await.client;
    let path = format!("/venues/{}", right.row);
    for (method, verb, status) in [
        (Method::POST, "/suspend", 200),
        (Method::POST, "/unsuspend", 200),
        (Method::DELETE, "", 204),
    ] {
        let tag = client.get(&path).await.etag();
        let list = format!("\"0-0\", {tag}, W/\"1-1\"");
        let target = format!("{path}{verb}");
        let headers = [("if-match", list.as_str())];
        client
            .send(method, &target, None, &headers)
            .await
            .expect(status);
    }
}

/// A caller who may not change the row learns nothing about its version: neither 412 nor 428.
async fn not_told(client: &Client, path: &str, resource: &Resource) {
    let shown = client.get(path).await;
    let may = shown.json["allowed_actions"].as_array();
    if may.is_some_and(|may| may.iter().any(|one| one == "update")) {
        return;
    }
    let name = resource.name;
    for tag in [None, Some("\"0-0\""), Some("*")] {
        let headers: Vec<(&str, &str)> = tag.map(|tag| ("if-match", tag)).into_iter().collect();
        let body = Some(json!({}));
        let answer = client.send(Method::PATCH, path, body, &headers).await;
        let status = answer.status.as_u16();
        assert!(
            [401, 403, 404].contains(&status),
            "{name} {tag:?}: {status} {}",
            answer.text
        );
    }
}

/// Equal bodies have equal ETags, and different bodies different ones.
#[tokio::test]
async fn abuse_64_audiences_who_see_different_things_have_different_tags() {
    let server = TestServer::demo().await;
    let people = rows::people(server.superuser().await.looking()).await;
    let mut clients = vec![server.client.clone()];
    for person in &people[..6] {
        clients.push(server.sign_in(*person).await.client);
    }
    let (mut compared, mut different) = (0, 0);
    for resource in resources().values() {
        let Some(seen) = rows::who_may(&server.database, &people, resource, "read").await else {
            continue;
        };
        let path = format!("/{}/{}", resource.path, seen.row);
        let mut answers = Vec::new();
        for client in &clients {
            let answer = client.get(&path).await;
            if answer.status == 200 {
                answers.push((answer.text.clone(), answer.etag()));
            }
        }
        for (index, (body, tag)) in answers.iter().enumerate() {
            for (other_body, other_tag) in &answers[..index] {
                assert_eq!(body == other_body, tag == other_tag, "{path}");
                compared += 1;
                different += usize::from(tag != other_tag);
            }
        }
    }
    assert!(compared > 100 && different > 30, "{compared} {different}");
}

/// An old ETag does not reveal anything about a row that is hidden now.
#[tokio::test]
async fn abuse_64_a_tag_does_not_tell_that_a_hidden_row_is_unchanged() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let people = rows::people(&mut conn).await;
    let mut covered = BTreeSet::new();
    // Members last, since the callers are members.
    let model = crate::support::model();
    let identity = &model.entities[model.identity].name;
    let mut all: Vec<_> = resources().values().collect();
    all.sort_by_key(|resource| resource.name == identity);
    for resource in all {
        if resource.lifecycle != Lifecycle::SoftDelete {
            continue;
        }
        let Some(seen) = rows::who_may(&server.database, &people, resource, "read").await else {
            continue;
        };
        let client = server.sign_in(seen.person).await.client;
        let path = format!("/{}/{}", resource.path, seen.row);
        let shown = client.get(&path).await;
        if shown.status != 200 {
            continue;
        }
        let tag = shown.etag();
        let again = async |tag: &str| {
            client
                .send(Method::GET, &path, None, &[("if-none-match", tag)])
                .await
        };
        assert_eq!(again(&tag).await.status, 304, "{path}");
        if !archive(&mut conn, resource, seen.row).await {
            continue;
        }
        for tag in [tag.as_str(), "*", &format!("W/{tag}")] {
            let answer = again(tag).await;
            // If the caller's own account was archived, the answer is 401.
            let gone = [404, 401].contains(&answer.status.as_u16());
            assert!(gone, "{path} {tag}: {}", answer.status);
            assert_eq!(answer.header("etag"), None, "{path}");
        }
        covered.insert(resource.name);
    }
    assert!(covered.len() > 10, "{covered:?}");
}

/// False: another row still refers to it.
async fn archive(conn: &mut sqlx::PgConnection, resource: &Resource, id: Uuid) -> bool {
    let text = format!(
        "update app.{} set status = 'archived' where id = $1",
        resource.plural
    );
    sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(id)
        .execute(conn)
        .await
        .is_ok()
}
