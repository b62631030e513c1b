//! Hand-written routes that require a key, because they may call other services and are therefore not a single
//! transaction.

use super::{KEY, send};
use crate::support::{Client, Member, TestServer};
use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode},
    middleware::from_fn_with_state,
    response::IntoResponse,
    routing::post,
};
use futures_util::future::join_all;
use kernel::{
    Error,
    auth::Authenticator,
    config::HttpConfig,
    http::{Http, health::Health},
    idempotency::{Claimed, Keyed, required},
    problems, serve,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore};
use uuid::Uuid;

/// A hand-written route behind the middleware. It behaves according to the last part of its path, and counts its runs.
#[derive(Clone)]
pub struct Handler {
    pub runs: Arc<AtomicU32>,
    pub go: Arc<Semaphore>,
}

async fn pay(
    State(handler): State<Handler>,
    claimed: Claimed,
    axum::extract::Path(what): axum::extract::Path<String>,
) -> kernel::Result<axum::response::Response> {
    let (run, attempt) = (handler.runs.fetch_add(1, SeqCst) + 1, claimed.attempt());
    match what.as_str() {
        "broken" => Err(Error::internal("no luck")),
        // Simulates a failure of the database after the card was charged.
        "charged" if attempt == 1 => Err(Error::internal("no luck")),
        "forbidden" => Err(Error::forbidden()),
        "unknown" => Err(Error::unauthenticated()),
        "too_many" => Err(Error::new(&problems::QUOTA)),
        "declined" => Err(Error::new(&problems::STATE).detail("The card was declined.")),
        "slow" if attempt == 1 => {
            let _go = handler.go.acquire().await;
            Ok((StatusCode::CREATED, "late").into_response())
        }
        _ => Ok((StatusCode::CREATED, format!("run {run}, attempt {attempt}")).into_response()),
    }
}

pub struct Paid {
    pub ana: Member,
    pub handler: Handler,
    pub server: TestServer,
}

pub async fn paid() -> Paid {
    paid_within(None).await
}

async fn paid_within(per_day: Option<u32>) -> Paid {
    let server = TestServer::start().await;
    let handler = Handler {
        runs: Arc::default(),
        go: Arc::new(Semaphore::new(0)),
    };
    let built = &server.built;
    let keyed = Keyed {
        db: built.db.clone(),
        per_day,
    };
    let http = HttpConfig {
        ip_limit: None,
        user_limit: None,
        ..HttpConfig::default()
    };
    let http =
        Http::new(http, Authenticator::new(built.tokens.clone(), Vec::new())).expect("settings");
    let routes = Router::new()
        .route("/payments/{what}", post(pay))
        .with_state(handler.clone())
        .route_layer(from_fn_with_state(keyed, required));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let health = Health::new(built.db.clone(), None);
    let serving = serve::serve(
        listener,
        http.wrap(routes),
        http,
        health,
        std::future::pending(),
    );
    tokio::spawn(serving);
    let mut ana = server.member("ana").await;
    ana.client = Client::new(format!("http://{address}")).with_token(ana.token.clone());
    Paid {
        ana,
        handler,
        server,
    }
}

#[tokio::test]
async fn k1_k2_a_route_that_demands_a_key_does_its_work_once() {
    let paid = paid().await;
    let client = &paid.ana.client;
    let missing = client.post("/payments/good", json!({})).await.expect(400);
    assert!(missing.text.contains("Idempotency-Key"), "{}", missing.text);
    let stranger = Client::new(client.base().to_owned());
    send(&stranger, "/payments/good", KEY, json!({}))
        .await
        .expect(401);
    let first = send(client, "/payments/good", KEY, json!({}))
        .await
        .expect(201);
    let again = send(client, "/payments/good", KEY, json!({}))
        .await
        .expect(201);
    assert_eq!(
        (again.text.as_str(), again.header("idempotent-replayed")),
        (first.text.as_str(), Some("true"))
    );
    // Another path with the same template is a different request.
    send(client, "/payments/other", KEY, json!({}))
        .await
        .expect(422);
    send(client, "/payments/good", KEY, json!({"a": 1}))
        .await
        .expect(422);
    assert_eq!(paid.handler.runs.load(SeqCst), 1);
}

#[tokio::test]
async fn k5_refusals_of_the_work_are_kept_and_those_of_the_caller_and_accidents_are_not() {
    let paid = paid().await;
    let client = &paid.ana.client;
    for (what, status, kept) in [
        ("declined", 409, true),
        ("forbidden", 403, false),
        ("unknown", 401, false),
        ("too_many", 429, false),
        ("broken", 500, false),
    ] {
        let path = format!("/payments/{what}");
        let key = format!("{what}-0123456789abcdef");
        let first = send(client, &path, &key, json!({})).await.expect(status);
        let again = send(client, &path, &key, json!({})).await.expect(status);
        assert_eq!(
            again.text == first.text,
            kept,
            "{what}: {} {}",
            first.text,
            again.text
        );
        assert_eq!(
            again.header("idempotent-replayed").is_some(),
            kept,
            "{what}"
        );
    }
    assert_eq!(paid.handler.runs.load(SeqCst), 9);
}

/// The fingerprint is of the path and the body as JSON, so that a client that writes the same JSON in another way is not
/// refused. While the first request runs, others with the key are told to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k2_the_same_json_is_the_same_request_and_while_it_runs_others_wait() {
    let paid = paid().await;
    let client = &paid.ana.client;
    let text = async |text: &'static str| {
        let body = Some((text, "application/json"));
        let headers = [("idempotency-key", KEY)];
        (client.send_text(Method::POST, "/payments/good", body, &headers)).await
    };
    let first = text(r#"{"a": 1, "b": {"c": [1, 2], "d": null}}"#)
        .await
        .expect(201);
    let again = text("{\"b\":{\"d\":null,\"c\":[1,2]},\n \"a\":1}")
        .await
        .expect(201);
    assert_eq!(again.text, first.text);
    for other in [
        r#"{"a": 1, "b": {"c": [2, 1], "d": null}}"#,
        r#"{"a": 1, "b": {"c": [1, 2]}}"#,
        r#"{"a": "1", "b": {"c": [1, 2], "d": null}}"#,
        "{}",
    ] {
        let refused = text(other).await.expect(422);
        assert_eq!(refused.problem(), "idempotency-key-reused", "{other}");
    }
    assert_eq!(paid.handler.runs.load(SeqCst), 1);

    // One that runs, and one that asks meanwhile: with another body it is refused at once.
    let slow = "slow-0123456789abcdef";
    let running = client.clone();
    let running =
        tokio::spawn(async move { send(&running, "/payments/slow", slow, json!({})).await });
    while paid.handler.runs.load(SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let busy = send(client, "/payments/slow", slow, json!({}))
        .await
        .expect(409);
    assert_eq!(busy.problem(), "request-in-progress");
    assert!(busy.header("retry-after").is_some());
    send(client, "/payments/slow", slow, json!({"a": 1}))
        .await
        .expect(422);
    paid.handler.go.add_permits(1);
    let answered = running.await.expect("answered").expect(201);
    let replayed = send(client, "/payments/slow", slow, json!({}))
        .await
        .expect(201);
    assert_eq!(replayed.text, answered.text);
}

/// The next attempt is told that an earlier one has begun, even if an attempt in between was refused.
#[tokio::test]
async fn k6_after_an_accident_the_next_attempt_knows_that_it_was_begun() {
    let paid = paid().await;
    let client = &paid.ana.client;
    send(client, "/payments/charged", KEY, json!({}))
        .await
        .expect(500);
    let again = send(client, "/payments/charged", KEY, json!({}))
        .await
        .expect(201);
    assert_eq!(again.text, "run 2, attempt 2");
    // An attempt that is refused for lack of permission does not count as begun.
    for _ in 0..2 {
        send(
            client,
            "/payments/forbidden",
            "forbidden-0123456789",
            json!({}),
        )
        .await
        .expect(403);
    }
    let attempts: Vec<i32> = sqlx::query_scalar("select attempt from requests.keys")
        .fetch_all(&mut paid.server.superuser().await)
        .await
        .unwrap();
    assert_eq!(attempts, [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_who_is_gone_without_an_answer_is_followed_by_the_next_and_answers_no_more() {
    let paid = paid().await;
    let client = paid.ana.client.clone();
    let first = tokio::spawn(async move { send(&client, "/payments/slow", KEY, json!({})).await });
    while paid.handler.runs.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let client = &paid.ana.client;
    let busy = send(client, "/payments/slow", KEY, json!({}))
        .await
        .expect(409);
    assert_eq!(
        (busy.problem(), busy.header("retry-after")),
        ("request-in-progress", Some("1"))
    );
    let mut conn = paid.server.superuser().await;
    sqlx::query("update requests.keys set locked_until = now() - interval '1 s'")
        .execute(&mut conn)
        .await
        .unwrap();
    let second = send(client, "/payments/slow", KEY, json!({}))
        .await
        .expect(201);
    assert_eq!(second.text, "run 2, attempt 2");
    paid.handler.go.add_permits(1);
    first.await.expect("answered").expect(201);
    let last = send(client, "/payments/slow", KEY, json!({}))
        .await
        .expect(201);
    assert_eq!(last.text, second.text, "the later attempt's answer counts");
}

/// The negative control: with a lease of zero length, two attempts run at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_without_a_lease_two_work_at_the_same_time() {
    let paid = paid().await;
    let mut conn = paid.server.superuser().await;
    let claim = "requests.claim(text,text,text,text,interval)";
    let text: String = sqlx::query_scalar("select pg_get_functiondef($1::regprocedure)")
        .bind(claim)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let without = text.replace("clock_timestamp() + p_lease", "clock_timestamp()");
    assert_ne!(without, text);
    sqlx::raw_sql(sqlx::AssertSqlSafe(without))
        .execute(&mut conn)
        .await
        .unwrap();
    let client = paid.ana.client.clone();
    let first = tokio::spawn(async move { send(&client, "/payments/slow", KEY, json!({})).await });
    while paid.handler.runs.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = send(&paid.ana.client, "/payments/slow", KEY, json!({}))
        .await
        .expect(201);
    assert_eq!(second.text, "run 2, attempt 2");
    paid.handler.go.add_permits(1);
    first.await.expect("answered").expect(201);
}

/// Eight concurrent requests when three are left for the day. Without a limit all eight are admitted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_keys_are_counted_for_each_member_by_the_database() {
    for (per_day, expected) in [(Some(3), 3), (None, 8)] {
        let paid = paid_within(per_day).await;
        let client = &paid.ana.client;
        let keys: Vec<String> = (0..8).map(|_| Uuid::now_v7().to_string()).collect();
        let sent = keys
            .iter()
            .map(|key| send(client, "/payments/good", key, json!({})));
        let answers = join_all(sent).await;
        let (made, refused): (Vec<_>, Vec<_>) =
            (keys.iter().zip(&answers)).partition(|(_, answer)| answer.status == 201);
        assert_eq!(made.len(), expected);
        assert_eq!(paid.handler.runs.load(SeqCst) as usize, expected);
        for (_, answer) in &refused {
            assert_eq!(answer.problem(), "quota-exceeded", "{}", answer.text);
            let wait = answer.header("retry-after").expect("when to come back");
            assert!((1..=86_400).contains(&wait.parse::<u32>().expect("seconds")));
        }
        // A request that has been answered is answered again, even if the limit is used up.
        send(client, "/payments/good", made[0].0, json!({}))
            .await
            .expect(201);
        let ben = paid.server.member("ben").await;
        let ben = Client::new(client.base().to_owned()).with_token(ben.token);
        send(&ben, "/payments/good", KEY, json!({}))
            .await
            .expect(201);
        // A day later, the refused key can be used like a new one.
        sqlx::query("update requests.taken set day = day - 1")
            .execute(&mut paid.server.superuser().await)
            .await
            .unwrap();
        let key = refused.first().map_or(KEY, |(key, _)| key);
        send(client, "/payments/good", key, json!({}))
            .await
            .expect(201);
    }
}
