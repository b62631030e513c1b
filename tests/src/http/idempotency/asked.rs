//! `GET /me/requests`: a client that has lost the answer to a request asks by its key what became of it.

use super::{
    KEY, community,
    required::{Paid, paid},
    send,
};
use crate::support::Client;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

async fn found(client: &Client) -> Vec<Value> {
    let path = format!("/me/requests?key={KEY}");
    let answer = client.get(&path).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json["data"].as_array().expect("a list").clone()
}

/// A client of the whole API with the same member, since `paid.ana.client` only calls the routes of this test.
fn whole(paid: &Paid) -> Client {
    paid.server.client.with_token(paid.ana.token.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k4_a_key_tells_what_became_of_its_request() {
    let paid = paid().await;
    let ana = whole(&paid);
    assert_eq!(found(&ana).await, Vec::<Value>::new());

    let client = paid.ana.client.clone();
    let first = tokio::spawn(async move { send(&client, "/payments/slow", KEY, json!({})).await });
    while paid.handler.runs.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let working = &found(&ana).await[0];
    assert_eq!(
        (&working["route"], &working["method"], &working["state"]),
        (
            &json!("/payments/{what}"),
            &json!("POST"),
            &json!("in_progress")
        )
    );
    assert_eq!(working["status"], Value::Null);
    let mut conn = paid.server.superuser().await;
    sqlx::query("update requests.keys set locked_until = now() - interval '1 s'")
        .execute(&mut conn)
        .await
        .expect("killed");
    assert_eq!(found(&ana).await[0]["state"], "interrupted");
    send(&paid.ana.client, "/payments/slow", KEY, json!({}))
        .await
        .expect(201);
    let done = &found(&ana).await[0];
    assert_eq!(
        (&done["state"], &done["status"], &done["attempt"]),
        (&json!("answered"), &json!(201), &json!(2))
    );
    paid.handler.go.add_permits(1);
    first.await.expect("answered").expect(201);

    // The same key on another route belongs to another request, whose answer is stored too.
    let body = community(&paid.server, "Runners").await;
    let made = send(&ana, "/communities", KEY, body).await.expect(201);
    let both = found(&ana).await;
    assert_eq!(both.len(), 2);
    let made_there = &both[1];
    assert_eq!(made_there["route"], "/communities");
    assert_eq!(made_there["answer"], made.json);
    assert_eq!(
        made_there["location"].as_str(),
        made.header("location"),
        "the stored header"
    );
}

/// A refusal by the handler is stored as the answer.
#[tokio::test]
async fn k4_a_kept_refusal_is_told_as_the_answer() {
    let paid = paid().await;
    let declined = send(&paid.ana.client, "/payments/declined", KEY, json!({}))
        .await
        .expect(409);
    let told = &found(&whole(&paid)).await[0];
    assert_eq!(
        (&told["status"], &told["answer"]),
        (&json!(409), &declined.json)
    );
}

#[tokio::test]
async fn k4_nobody_asks_about_requests_of_others() {
    let paid = paid().await;
    send(&paid.ana.client, "/payments/good", KEY, json!({}))
        .await
        .expect(201);
    assert_eq!(found(&whole(&paid)).await.len(), 1);
    let ben = paid.server.member("ben").await;
    assert_eq!(found(&ben.client).await.len(), 0);
    let path = format!("/me/requests?key={KEY}");
    paid.server.client.get(&path).await.expect(401);

    // Negative control: the function without its condition on the caller shows requests of other members.
    let mut conn = paid.server.superuser().await;
    let text: String =
        sqlx::query_scalar("select pg_get_functiondef('requests.look_up(text)'::regprocedure)")
            .fetch_one(&mut conn)
            .await
            .expect("a function");
    let without = text.replace("k.principal = sec.uid() and ", "");
    assert_ne!(without, text);
    sqlx::raw_sql(AssertSqlSafe(without))
        .execute(&mut conn)
        .await
        .expect("replaced");
    assert_eq!(found(&ben.client).await.len(), 1);
}
