//! Who may use an operation, as the document says by kind of caller (`x-access`): all operations say it, and of the
//! hand-written ones it is tried, as the matrix does of the generated ones.

use super::{
    operations::{self, documented},
    people::{self, Persona, personas},
    samples::Ids,
};
use crate::support::stripe::Stripe;
use reqwest::Method;
use serde_json::{Value, json};

/// As the generated operations call them.
const CALLERS: [&str; 5] = [
    "anonymous",
    "signed in",
    "orgAdmin",
    "cityAdmin",
    "platformAdmin",
];

#[tokio::test]
async fn every_operation_says_who_may() {
    let server = crate::support::TestServer::start().await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (title, operation) in documented(&document) {
        let Some(callers) = operation["x-access"].as_object() else {
            faults.push(format!("{title} says nothing"));
            continue;
        };
        let known = |(name, may): (&String, &Value)| {
            CALLERS.contains(&name.as_str())
                && ["yes", "depends", "no"].contains(&may.as_str().unwrap_or_default())
        };
        if callers.is_empty() || !callers.iter().all(known) {
            faults.push(format!("{title}: {callers:?}"));
        }
        let security = operation.get("security").unwrap_or(&document["security"]);
        let security = security.as_array().expect("a list");
        let is_open = security.is_empty() || security.contains(&json!({}));
        if is_open != callers.contains_key("anonymous") {
            faults.push(format!("{title}: {callers:?}, but {security:?}"));
        }
        seen += 1;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 500, "only {seen} operations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_named_is_refused() {
    // Without a payment service nobody gets further than that there is none.
    let stripe = Stripe::new(7);
    let server = people::server_with(|parts| stripe.provide(parts)).await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let ids = Ids::of(&mut conn).await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let (mut faults, mut tried) = (Vec::new(), 0);
    for operation in hand_written(&document) {
        for person in &people {
            if is_named(operation.said, person) {
                continue;
            }
            tried += 1;
            faults.extend(fault(&document, &ids, &operation, person).await);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried > 200, "only {tried} were tried");
}

/// The negative control of how it is read: who needs more may what those may who need less, unless the document says other.
#[test]
fn callers_are_named_where_they_differ() {
    let said =
        json!({"x-access": {"signed in": "depends", "cityAdmin": "no", "platformAdmin": "yes"}});
    let may = CALLERS.map(|caller| operations::may(&said, caller));
    let depends = Some("depends");
    assert_eq!(may, [None, depends, depends, None, Some("yes")]);
}

/// The negative control: a document that names too few is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_document_forgets_is_found() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let ids = Ids::of(&mut conn).await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let operation = hand_written(&document)
        .into_iter()
        .find(|operation| operation.said["operationId"] == "getMyWallet")
        .expect("an operation of every member");
    let member = people.iter().find(|person| person.class == "signed in");
    let found = fault(&document, &ids, &operation, member.expect("a member")).await;
    assert!(found.is_some_and(|text| text.contains("200")));
}

struct Operation<'d> {
    method: Method,
    path: &'d str,
    said: &'d Value,
}

fn hand_written(document: &Value) -> Vec<Operation<'_>> {
    let generated: Vec<String> = documented(operations::document())
        .into_iter()
        .map(|(title, _)| title)
        .collect();
    let paths = document["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, said) in item.as_object().expect("operations") {
            let method = method.to_uppercase();
            if !generated.contains(&format!("{method} {path}")) {
                let method = method.parse().expect("a method");
                all.push(Operation { method, path, said });
            }
        }
    }
    all
}

fn is_named(said: &Value, person: &Persona) -> bool {
    operations::may(said, person.class).is_some()
}

/// A refusal is 401, 403 or 404. What a body is about is looked at after the body itself, so one that a sample does not
/// satisfy is 422 and shows nothing either.
async fn fault(
    document: &Value,
    ids: &Ids,
    operation: &Operation<'_>,
    person: &Persona,
) -> Option<String> {
    let Operation { method, path, said } = operation;
    let schema = &said["requestBody"]["content"]["application/json"]["schema"];
    let body = schema.is_object().then(|| ids.body(document, schema));
    let has_body = body.is_some();
    let headers = [("idempotency-key", "a-key-of-this-test")];
    let target = ids.path(path);
    let answer = person
        .client
        .send(method.clone(), &target, body, &headers)
        .await;
    let status = answer.status.as_u16();
    let is_refused = matches!(status, 401 | 403 | 404) || (has_body && status == 422);
    (!is_refused).then(|| {
        format!(
            "{method} {path} as {}: {status}, {}",
            person.name, answer.text
        )
    })
}
