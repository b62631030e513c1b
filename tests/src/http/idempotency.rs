//! `Idempotency-Key`: a repeated request is done once and answered the same; another member's same key is independent.

mod asked;
mod offered;
mod required;
mod stored;

use crate::support::{Answer, Client, TestServer, document};
use axum::http::Method;
use futures_util::future::join_all;
use kernel::{
    idempotency::{Claim, Request},
    jobs,
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const KEY: &str = "0b8f6f0e-6c5e-7a41-9d3f-0f6a3c1be2d4";

async fn send(client: &Client, path: &str, key: &str, body: Value) -> Answer {
    let headers = [("idempotency-key", key)];
    client.send(Method::POST, path, Some(body), &headers).await
}

async fn community(server: &TestServer, name: &str) -> Value {
    json!({"name": name, "city_id": server.city("melbourne").await})
}

async fn count(server: &TestServer, text: &'static str) -> i64 {
    let mut conn = server.superuser().await;
    sqlx::query_scalar(text)
        .fetch_one(&mut conn)
        .await
        .expect("a count")
}

const COMMUNITIES: &str = "select count(*) from app.communities";

#[tokio::test]
async fn k4_the_same_request_again_gets_the_same_answer_and_makes_nothing() {
    let server = TestServer::start().await;
    let ana = server.member("ana").await;
    let body = community(&server, "Runners").await;
    let first = send(&ana.client, "/communities", KEY, body.clone())
        .await
        .expect(201);
    assert_eq!(first.header("idempotent-replayed"), None);
    // The order of JSON members makes no difference.
    let reordered = format!(
        "{{ \"city_id\": {},\n \"name\": \"Runners\" }}",
        body["city_id"]
    );
    let headers = [("idempotency-key", KEY)];
    let again = ana
        .client
        .send_text(
            Method::POST,
            "/communities",
            Some((&reordered, "application/json")),
            &headers,
        )
        .await
        .expect(201);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.text, first.text, "byte by byte");
    for name in ["location", "etag", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(count(&server, COMMUNITIES).await, 1);
    // The answer stays the first one, whatever happens to the object.
    ana.client
        .delete(first.header("location").expect("a place"))
        .await
        .expect(204);
    let later = send(&ana.client, "/communities", KEY, body)
        .await
        .expect(201);
    assert_eq!(later.text, first.text);
}

#[tokio::test]
async fn t9_another_request_or_another_member_is_not_answered_with_it() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.member("ana").await, server.member("ben").await);
    let body = community(&server, "Runners").await;
    let first = send(&ana.client, "/communities", KEY, body.clone())
        .await
        .expect(201);
    let other = community(&server, "Walkers").await;
    let reused = send(&ana.client, "/communities", KEY, other.clone())
        .await
        .expect(422);
    assert_eq!(reused.problem(), "idempotency-key-reused");
    let of_ben = send(&ben.client, "/communities", KEY, other)
        .await
        .expect(201);
    assert_ne!(of_ben.id(), first.id());
    // The same key on another route is independent.
    let like = json!({"entity_type": "community", "entity_id": first.id()});
    send(&ben.client, "/follows", KEY, like).await.expect(201);
    assert_eq!(count(&server, COMMUNITIES).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_twenty_at_the_same_time_make_one() {
    let server = TestServer::start().await;
    let ana = server.member("ana").await;
    let body = community(&server, "Runners").await;
    let sent = (0..20).map(|_| send(&ana.client, "/communities", KEY, body.clone()));
    let answers = join_all(sent).await;
    let made = answers
        .iter()
        .filter(|a| a.status == 201 && a.header("idempotent-replayed").is_none());
    assert_eq!(made.count(), 1);
    for answer in &answers {
        let waits = answer.header("retry-after").is_some();
        let fine = answer.status == 201 || (waits && [409, 503].contains(&answer.status.as_u16()));
        assert!(fine, "{} {}", answer.status, answer.text);
    }
    assert_eq!(count(&server, COMMUNITIES).await, 1);
    assert_eq!(
        count(
            &server,
            "select count(*) from requests.keys where status = 201"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn what_is_refused_is_decided_anew() {
    let server = TestServer::start().await;
    let ana = server.member("ana").await;
    let mut body = community(&server, "Runners").await;
    body["city_id"] = json!(Uuid::now_v7());
    let mut ids = Vec::new();
    for _ in 0..2 {
        let refused = send(&ana.client, "/communities", KEY, body.clone())
            .await
            .expect(422);
        assert_eq!(refused.header("idempotent-replayed"), None);
        ids.push(refused.header("x-request-id").map(str::to_owned));
    }
    assert_ne!(ids[0], ids[1]);
    let good = community(&server, "Runners").await;
    send(&ana.client, "/communities", KEY, good)
        .await
        .expect(201);
}

#[tokio::test]
async fn k1_keys_that_are_none_and_keys_of_strangers_are_refused() {
    let server = TestServer::start().await;
    let ana = server.member("ana").await;
    let body = community(&server, "Runners").await;
    for key in ["short", "with blanks in between", &"x".repeat(256)] {
        let refused = send(&ana.client, "/communities", key, body.clone())
            .await
            .expect(400);
        assert_eq!(refused.problem(), "bad-request");
    }
    send(&server.client, "/communities", KEY, body)
        .await
        .expect(401);
    assert_eq!(
        count(&server, "select count(*) from requests.keys").await,
        0
    );
}

/// Every creating route documents the header.
#[test]
fn every_create_is_documented_with_its_key() {
    let paths = document()["paths"].as_object().expect("paths");
    let mut creates = 0;
    for (path, item) in paths {
        let id = item["post"]["operationId"].as_str().unwrap_or_default();
        if !id.starts_with("create") {
            continue;
        }
        creates += 1;
        let parameters = item["post"]["parameters"].to_string();
        assert!(parameters.contains("IdempotencyKey"), "{path}");
    }
    assert!(creates > 10, "{creates}");
}

#[tokio::test]
async fn k3_k7_a_claim_ends_with_its_transaction_and_answers_go_after_three_days() {
    let server = TestServer::start().await;
    let ana = server.member("ana").await;
    let db = &server.built.db;
    let caller = kernel::Caller {
        actor: kernel::Actor::User {
            id: ana.id,
            session: Some(ana.session),
        },
        ..kernel::Caller::anonymous(Uuid::now_v7())
    };
    let request = Request::new("POST", "/things", "/things", KEY, b"{}");
    let minute = Duration::from_secs(60);
    for _ in 0..2 {
        let mut cx = db.begin_write(&caller, "create").await.unwrap();
        let claimed = request.claim(&mut cx, minute).await.unwrap();
        assert!(
            matches!(claimed, Claim::Work(1)),
            "the claim must be new again"
        );
    }
    let mut cx = db.begin_write(&caller, "create").await.unwrap();
    request.claim(&mut cx, minute).await.unwrap();
    cx.commit().await.unwrap();
    let body = community(&server, "Runners").await;
    send(&ana.client, "/communities", KEY, body)
        .await
        .expect(201);
    let mut conn = server.superuser().await;
    let kept = chrono::TimeDelta::hours(72);
    for (hours, of_ten) in [(71, [0, 0]), (73, [10, 3])] {
        sqlx::query(
            "insert into requests.keys (principal, method, route, key, fingerprint, locked_until, status, headers, body)
             select principal, method, route, 'a-copy-of-a-key-' || n, fingerprint, locked_until, status, headers, body
             from requests.keys, generate_series(1, 12) n where status = 201 on conflict do nothing",
        )
        .execute(&mut conn)
        .await
        .unwrap();
        sqlx::query("update requests.keys set created_at = now() - make_interval(hours => $1)")
            .bind(hours)
            .execute(&mut conn)
            .await
            .unwrap();
        for expected in of_ten {
            let purged = jobs::purge_requests(db, kept, 10).await.unwrap();
            assert_eq!(purged, expected, "{hours}");
        }
    }
    assert_eq!(
        count(
            &server,
            "select count(*) from requests.keys where status is null"
        )
        .await,
        1
    );
}
