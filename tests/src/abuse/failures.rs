//! Failing requests: their changes are rolled back, and the next caller is not affected.

use crate::support::{Client, Member, TestServer, database::Content, fragile, socket};
use kernel::{Caller, http::metrics};
use reqwest::Method;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use std::{collections::BTreeSet, time::Duration};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// Olga, and her event that others can't see.
struct Draft {
    olga: Member,
    event: Uuid,
}

async fn draft(server: &TestServer) -> Draft {
    let olga = server.sign_in(PEOPLE[2].id).await;
    let event = sqlx::query_scalar(
        "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone)
         select o.city_id, 'organization', o.id, 'Secret', 'secret', now() + interval '1 day', now() + interval '2 days', 'UTC'
         from app.role_assignments r join app.organizations o on o.id = r.scope_id where r.user_id = $1 returning id",
    )
    .bind(olga.id)
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("an event");
    Draft { olga, event }
}

async fn title(server: &TestServer, event: Uuid) -> String {
    sqlx::query_scalar("select title from app.events where id = $1")
        .bind(event)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("a title")
}

/// The number of transactions in this database that were begun and neither committed nor rolled back.
async fn left_open(server: &TestServer) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'",
    )
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("activity")
}

#[tokio::test]
async fn abuse_38_a_panic_undoes_what_was_begun_and_frees_what_was_held() {
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.db.connections = 1;
        parts.db.acquire_timeout = Duration::from_millis(500);
    })
    .await;
    let Draft { olga, event } = draft(&server).await;
    let fragile = fragile::serve_events(&server, |http| http.max_requests = 1).await;
    let fragile = fragile.with_token(olga.token);
    let path = format!("/events/{event}");
    let before = metrics::PANICS.get();
    // More failures than there are connections and permits.
    for what in ["panic", "error", "broken"].repeat(5) {
        let answer = fragile.patch(&path, "*", json!({"title": what})).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (500, "internal-error"),
            "{what}: {}",
            answer.text
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert!(!answer.text.contains("canary"), "{}", answer.text);
        assert_eq!(title(&server, event).await, "Secret", "{what}");
    }
    assert_eq!(metrics::PANICS.get() - before, 5);
    let answer = fragile.patch(&path, "*", json!({"title": "Alive"})).await;
    assert_eq!(answer.expect(200).json["title"], "Alive");
    assert_eq!(left_open(&server).await, 0);
}

/// The number of communities without the founder's role or without exactly one audit entry.
const HALF_DONE: &str = "
    select count(*) from app.communities c where
      not exists (select from app.role_assignments r where r.scope_id = c.id and r.role = 'orgAdmin')
      or (select count(*) from audit.audit_logs l where l.entity_id = c.id and l.action = 'create') <> 1";

#[tokio::test]
async fn abuse_39_clients_that_hang_up_leave_nothing_half_done() {
    let server = TestServer::start_with(Content::Reference, |parts| {
        parts.db.connections = 2;
        parts.db.acquire_timeout = Duration::from_secs(5);
    })
    .await;
    server.database.lift_quotas().await;
    let mira = server.member("mira").await;
    let city = server.city("melbourne").await;
    let post = |n: u64| {
        let body = json!({"city_id": city, "name": format!("Choir {n}")}).to_string();
        let length = body.len();
        format!(
            "POST /communities HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
            mira.token
        )
    };
    // The first request shows how long one takes, so that the others can be aborted at all stages.
    let started = std::time::Instant::now();
    let first = json!({"city_id": city, "name": "Choir"});
    mira.client.post("/communities", first).await.expect(201);
    let whole = started.elapsed();
    for n in 0..100 {
        let mut stream = socket::connect(server.client.base()).await;
        stream.write_all(post(n).as_bytes()).await.expect("sent");
        tokio::time::sleep(whole.mul_f64(n as f64 / 100.0)).await;
        drop(stream);
    }
    // Both connections of the pool are available again.
    let (one, two) = tokio::join!(
        mira.client.get("/communities?limit=100"),
        mira.client.get("/me")
    );
    two.expect(200);
    let seen = one.expect(200).json["data"]
        .as_array()
        .expect("a list")
        .len();
    assert!(seen > 1, "at least one request must have been finished");
    for _ in 0..100 {
        let state = server.built.db.state();
        if state.idle == state.open as usize && left_open(&server).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let state = server.built.db.state();
    assert_eq!((state.open as usize, state.open), (state.idle, 2));
    assert_eq!(left_open(&server).await, 0);
    let half: i64 = sqlx::query_scalar(HALF_DONE)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("communities");
    assert_eq!(half, 0);
}

/// The number of rounds of three requests. `reuse` tests ten times as many, without HTTP.
const ROUNDS: u64 = 300;

/// With a single connection: whatever happens in a member's request, the anonymous caller after it stays anonymous.
#[tokio::test]
async fn abuse_73_nothing_of_a_caller_is_left_for_the_next() {
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.db.connections = 1;
        parts.db.acquire_timeout = Duration::from_secs(10);
    })
    .await;
    let Draft { olga, event } = draft(&server).await;
    let paula = server.sign_in(PEOPLE[0].id).await;
    let fragile = fragile::serve_events(&server, |http| {
        http.handler_timeout = Duration::from_millis(40);
        http.body_timeout = Duration::ZERO;
    })
    .await;
    let path = format!("/events/{event}");
    let mut answers = BTreeSet::new();
    for round in 0..ROUNDS {
        let (token, title) = match round % 6 {
            0 => (&paula.token, "panic"),
            1 => (&olga.token, "error"),
            2 => (&olga.token, "broken"),
            3 => (&paula.token, "slow"),
            4 => (&olga.token, "Secret"),
            _ => (&paula.token, ""),
        };
        let client = fragile.with_token(token.clone());
        let request = disturb(&client, &path, title, round);
        if let Some(status) = request.await {
            answers.insert(status);
        }
        stranger_sees_nothing(&server, &path, round).await;
    }
    assert!(
        [200, 422, 500, 503]
            .iter()
            .all(|status| answers.contains(status)),
        "{answers:?}"
    );
    // The negative control: in Paula's context the same queries return rows.
    let known = fragile.with_token(paula.token.clone()).get(&path).await;
    assert_eq!(known.status, 200);
}

/// Sends one request, which is aborted after a while in every fourth round.
async fn disturb(client: &Client, path: &str, title: &str, round: u64) -> Option<u16> {
    let request = async {
        match title {
            "" if (round / 6).is_multiple_of(2) => client.get("/events?limit=5").await,
            "" => client.patch(path, "*", json!({"nonsense": 1})).await,
            title => client.patch(path, "*", json!({"title": title})).await,
        }
    };
    let patience = match round % 4 {
        3 => Duration::from_micros(200 * (round % 50)),
        _ => Duration::from_secs(30),
    };
    let answer = tokio::time::timeout(patience, request).await.ok()?;
    Some(answer.status.as_u16())
}

async fn stranger_sees_nothing(server: &TestServer, path: &str, round: u64) {
    let settings: Vec<(String, String)> = {
        let caller = Caller::anonymous(Uuid::now_v7());
        let mut cx = server
            .built
            .db
            .begin_read(&caller)
            .await
            .expect("a connection");
        sqlx::query_as(
            "select name, setting from (
               select 'uid' as name, sec.uid()::text as setting
               union all select 'action', sec.action()
               union all select 'session', sec.session()::text
               union all select 'platform', nullif(sec.is_platform_admin(), false)::text
               union all select 'cities', nullif(sec.scopes_city_admin(), '{}')::text
               union all select 'profiles', nullif(sec.scopes_org_admin(), '{}')::text
               union all select 'archived', nullif(sec.show_archived(), false)::text) s
             where setting is not null and setting <> ''",
        )
        .fetch_all(cx.conn())
        .await
        .expect("settings")
    };
    assert_eq!(settings, Vec::new(), "round {round}");
    let answer = server.client.get(path).await;
    assert_eq!(answer.status, 404, "round {round}: {}", answer.text);
    if round.is_multiple_of(10) {
        let list = server
            .client
            .send(Method::GET, "/events?state=draft", None, &[])
            .await;
        assert_eq!(
            list.json["data"],
            Value::Array(Vec::new()),
            "round {round}: {}",
            list.text
        );
    }
}
