//! What is wrong beside the body is reported together with the body, by hand-written routes too.

use super::one_line::bodies;
use crate::support::TestServer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The places of all errors: pointers and names of parameters.
fn places(errors: &Value) -> BTreeSet<&str> {
    let all = errors.as_array().into_iter().flatten();
    all.filter_map(|one| one["pointer"].as_str().or(one["parameter"].as_str()))
        .collect()
}

#[tokio::test]
async fn parameters_and_bodies_are_refused_together() {
    let server = TestServer::start().await;
    let member = server.member("somebody").await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let (mut faults, mut tried) = (Vec::new(), 0);
    for (method, path, _) in bodies(&document) {
        let never = Uuid::nil().to_string();
        let target = path.replace("{id}", &never).replace("{currency}", "AUD");
        let target = format!("{target}?no_such_parameter=1");
        let key = Uuid::now_v7().to_string();
        let headers = [("idempotency-key", key.as_str())];
        let body = json!({"no_such_field": 1});
        let answer = member
            .client
            .send(method.clone(), &target, Some(body), &headers)
            .await;
        let found = places(&answer.json["errors"]);
        let wanted = ["no_such_parameter", "/no_such_field"];
        if answer.status != 422 || !wanted.iter().all(|place| found.contains(place)) {
            faults.push(format!("{method} {path}: {}", answer.text));
        }
        tried += 1;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried > 35, "only {tried} were tried");
}

#[tokio::test]
async fn a_right_body_does_not_make_up_for_a_wrong_parameter() {
    let server = TestServer::start().await;
    let body = json!({"email": "nobody@example.org"});
    let path = "/auth/forgot-password";
    let answer = server
        .client
        .post(&format!("{path}?no_such_parameter=1"), body.clone())
        .await
        .expect(422);
    assert_eq!(
        places(&answer.json["errors"]),
        BTreeSet::from(["no_such_parameter"])
    );
    // The negative control.
    let answer = server.client.post(path, body).await;
    assert!(answer.status.is_success(), "{}", answer.text);
}
