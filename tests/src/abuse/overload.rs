//! A slow, full or locked database: requests are refused in time, and no restart is needed.

use crate::support::{Answer, Member, Superuser, TestServer, database::Content};
use kernel::http::health::Health;
use reqwest::Method;
use serde_json::json;
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::{Duration, Instant};

/// Much longer than all limits that are set here, and much shorter than the locks and sleeps.
const PATIENCE: Duration = Duration::from_secs(20);

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
}

/// Changes a setting of the request role and ends its sessions, so that new ones have the setting.
async fn limited(server: &TestServer, setting: &str) -> Superuser {
    let mut conn = server.superuser().await;
    run(
        &mut conn,
        &format!(
            "do $$ begin execute format('alter role culturepass_app in database %I set {setting}', current_database()); end $$;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'culturepass_app'"
        ),
    )
    .await;
    conn
}

/// Delays every new like by so many seconds.
async fn slow_likes(conn: &mut PgConnection, seconds: u32) {
    run(
        conn,
        &format!(
            "create function app.wait() returns trigger language plpgsql as $$ begin perform pg_sleep({seconds}); return new; end $$;
             create trigger wait before insert on app.likes for each row execute function app.wait()"
        ),
    )
    .await;
}

async fn like(member: &Member) -> Answer {
    let events = member.client.get("/events?limit=1").await.expect(200);
    let event = events.json["data"][0]["id"].clone();
    member
        .client
        .post("/likes", json!({"event_id": event}))
        .await
}

/// Checks that the answer is 503 with `Retry-After`, and contains nothing of the database's message.
fn unavailable(answer: &Answer) {
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (503, "unavailable"),
        "{}",
        answer.text
    );
    assert!(
        !answer.text.contains("statement") && !answer.text.contains("lock"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn abuse_32_a_slow_statement_is_cut_and_its_connection_goes_on() {
    let server = TestServer::start_with(Content::Sample, |parts| parts.db.connections = 1).await;
    let mira = server.member("mira_waits").await;
    let mut conn = limited(&server, "statement_timeout = ''500ms''").await;
    slow_likes(&mut conn, 60).await;
    let begun = Instant::now();
    for _ in 0..3 {
        unavailable(&like(&mira).await);
        // The only connection can be used again.
        mira.client.get("/me").await.expect(200);
    }
    assert!(begun.elapsed() < PATIENCE);
    run(&mut conn, "drop trigger wait on app.likes").await;
    like(&mira).await.expect(201);
}

#[tokio::test]
async fn abuse_33_without_a_free_connection_requests_are_refused_and_probes_are_not() {
    let server = TestServer::start_with(Content::Sample, |parts| {
        parts.db.connections = 1;
        parts.db.acquire_timeout = Duration::from_millis(300);
    })
    .await;
    let mira = server.member("mira_waits").await;
    like(&mira).await.expect(201);
    let mut conn = server.superuser().await;
    slow_likes(&mut conn, 3).await;
    let nora = server.member("nora_waits").await;
    let holding = tokio::spawn(async move { like(&nora).await });
    // The request has the connection once its statement is running.
    let sleeping = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
    let begun = Instant::now();
    while sqlx::query_scalar::<_, i64>(sleeping)
        .fetch_one(&mut conn)
        .await
        .expect("a number")
        == 0
    {
        assert!(begun.elapsed() < PATIENCE);
    }
    let refused = mira.client.get("/me").await;
    unavailable(&refused);
    assert!(refused.header("retry-after").is_some());
    server.client.get("/livez").await.expect(200);
    let health = Health::new(server.built.db.clone(), None);
    assert!(health.ready().await.is_err());
    holding.await.expect("an answer").expect(201);
    mira.client.get("/me").await.expect(200);
    assert_eq!(health.ready().await, Ok(()));
}

#[tokio::test]
async fn abuse_34_a_row_that_is_locked_elsewhere_holds_nobody_up() {
    let server = TestServer::start_with(Content::Demo, |parts| parts.db.connections = 4).await;
    let olga = server.sign_in(PEOPLE[2].id).await;
    let mut conn = limited(&server, "lock_timeout = ''500ms''").await;
    let own =
        "select e.id::text from app.events e join app.role_assignments r on r.scope_id = e.host_id
        where r.user_id = $1 and e.status = 'active' order by e.id limit 2";
    let events: Vec<String> = sqlx::query_scalar(own)
        .bind(olga.id)
        .fetch_all(&mut conn)
        .await
        .expect("events");
    let (locked, free) = (
        format!("/events/{}", events[0]),
        format!("/events/{}", events[1]),
    );
    let change = |path: String| {
        let client = olga.client.clone();
        async move {
            client
                .patch(&path, "*", json!({"description": "Changed."}))
                .await
        }
    };
    let mut other = server.superuser().await;
    let mut holding = other.begin().await.expect("a transaction");
    sqlx::query("select from app.events where id = $1::uuid for update")
        .bind(&events[0])
        .execute(&mut *holding)
        .await
        .expect("locked");
    // More requests than there are connections.
    let begun = Instant::now();
    let waiting = (0..12).map(|_| change(locked.clone()));
    for answer in futures_util::future::join_all(waiting).await {
        assert!(
            [503, 409].contains(&answer.status.as_u16()),
            "{}",
            answer.text
        );
    }
    change(free.clone()).await.expect(200);
    olga.client.get(&locked).await.expect(200);
    assert!(begun.elapsed() < PATIENCE);
    holding.rollback().await.expect("let go");
    change(locked).await.expect(200);
}

#[tokio::test]
async fn abuse_37_what_is_searched_for_is_words_and_bounded() {
    let server = TestServer::sample().await;
    let all = server.client.get("/events?limit=100").await.expect(200);
    let all = all.json["data"].as_array().expect("a list").len();
    let search = async |text: &str| {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        server
            .client
            .send(
                Method::GET,
                &format!("/events?limit=100&q={query}"),
                None,
                &[],
            )
            .await
    };
    // Patterns and operators of PostgreSQL are treated as ordinary characters.
    for text in [
        "%", "_", "%%%", "q%", "____", "\\", "'", "!", "&", "|", "q & ", "(", ":*", "<->", "q:*x",
        ".*", "^", "[q-z]+", "\"", "-",
    ] {
        let found = search(text).await;
        assert!(
            [200, 422].contains(&found.status.as_u16()),
            "{text}: {}",
            found.text
        );
        let count = found.json["data"].as_array().map_or(0, Vec::len);
        assert!(count < all, "{text} finds everything");
    }
    for text in ["x".repeat(10_000), "ab ".repeat(3_000), "%".repeat(5_000)] {
        let refused = search(&text).await.expect(422);
        assert_eq!(
            refused.json["errors"][0]["parameter"],
            json!("q"),
            "{}",
            refused.text
        );
    }
    // As many words as the parameter can contain.
    let many = "jazz ".repeat(40);
    search(many.trim()).await.expect(200);
}
