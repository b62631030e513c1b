//! Slow searches and dashboards delay each other, but not other reads and writes.

use crate::support::{
    Client, Superuser, TestServer,
    database::Content,
    people::{self, PASSWORD, sign_in},
};
use sqlx::{AssertSqlSafe, PgConnection};
use std::time::Duration;

/// The advisory lock for which every search of events waits.
const LOCK: &str = "815";

/// A server with two ordinary connections and four for searches, whose searches last until the lock is released.
async fn server(timeout: Duration) -> (TestServer, Superuser) {
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.db.connections = 2;
        parts.db.search_connections = 4;
        parts.db.search_timeout = timeout;
        parts.db.acquire_timeout = timeout;
        parts.http.handler_timeout = Duration::from_secs(120);
    })
    .await;
    let mut conn = server.superuser().await;
    run(
        &mut conn,
        &format!(
            "alter function app.events_search(text, boolean, text[], uuid, int) rename to events_found;
             create function app.events_search(p_text text, p_half boolean, p_within text[], p_before uuid, p_wanted int)
             returns setof uuid language plpgsql security definer as $$
             begin
               perform pg_advisory_xact_lock({LOCK});
               return query select app.events_found(p_text, p_half, p_within, p_before, p_wanted);
             end $$;
             select pg_advisory_lock({LOCK})"
        ),
    )
    .await;
    (server, conn)
}

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Waits until so many searches have reached the database and are waiting for the lock.
async fn wait_for(conn: &mut PgConnection, waiting: i64) {
    wait_for_locks(conn, "advisory", waiting).await;
}

async fn wait_for_locks(conn: &mut PgConnection, kind: &str, waiting: i64) {
    for _ in 0..600 {
        let now: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks l join pg_database d on d.oid = l.database
             where locktype = $1 and not granted and d.datname = current_database()",
        )
        .bind(kind)
        .fetch_one(&mut *conn)
        .await
        .expect("locks");
        if now == waiting {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there were never {waiting} waiting");
}

fn search(client: &Client) -> tokio::task::JoinHandle<u16> {
    let client = client.clone();
    tokio::spawn(async move { client.get("/events?q=jazz").await.status.as_u16() })
}

/// Claim: while as many slow searches of one caller are running as are allowed, everybody can still read, write and
/// list, and another caller can search.
#[tokio::test]
async fn abuse_39_slow_searches_of_one_caller_hold_nobody_else() {
    let (server, mut conn) = server(Duration::from_secs(100)).await;
    let member = server.member("reader").await;
    let id: String = sqlx::query_scalar("select id::text from app.events_public limit 1")
        .fetch_one(&mut conn)
        .await
        .expect("an event");
    let slow: Vec<_> = (0..12).map(|_| search(&server.client)).collect();
    wait_for(&mut conn, 2).await;
    let everything = async {
        for client in [&server.client, &member.client] {
            client.get(&format!("/events/{id}")).await.expect(200);
            client.get("/events?sort=starts_at").await.expect(200);
            client.get("/cities").await.expect(200);
        }
        let community =
            serde_json::json!({"name": "Readers", "city_id": server.city("melbourne").await});
        member
            .client
            .post("/communities", community)
            .await
            .expect(201);
    };
    tokio::time::timeout(Duration::from_secs(60), everything)
        .await
        .expect("no other request waits for a search");
    // The other half of the search connections is reserved for other callers.
    let other: Vec<_> = (0..3).map(|_| search(&member.client)).collect();
    wait_for(&mut conn, 4).await;
    assert!(
        slow.iter()
            .chain(&other)
            .all(|search| !search.is_finished())
    );
    run(&mut conn, &format!("select pg_advisory_unlock({LOCK})")).await;
    for search in slow.into_iter().chain(other) {
        assert_eq!(search.await.expect("an answer"), 200);
    }
}

/// Claim: a slow search is cancelled, and a caller with too many concurrent searches is told to retry later.
#[tokio::test]
async fn abuse_39_a_slow_search_ends_and_a_long_queue_is_refused() {
    let (server, _conn) = server(Duration::from_millis(500)).await;
    let alone = server.client.get("/events?q=jazz").await.expect(503);
    assert!(alone.header("retry-after").is_some());
    let many: Vec<_> = (0..100).map(|_| search(&server.client)).collect();
    let mut answers = Vec::new();
    for search in many {
        answers.push(search.await.expect("an answer"));
    }
    assert!(
        answers.iter().all(|status| [429, 503].contains(status)),
        "{answers:?}"
    );
    assert!(
        answers.contains(&429) && answers.contains(&503),
        "{answers:?}"
    );
    server.client.get("/events?limit=1").await.expect(200);
}

/// Claim: while as many slow dashboards of one member are running as are allowed, everybody can still sign in, refresh
/// and order, and another member can see a dashboard.
#[tokio::test]
async fn abuse_39_slow_figures_of_one_member_hold_nobody_else() {
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.db.job_connections = 4;
        parts.db.figure_connections = 4;
        parts.db.acquire_timeout = Duration::from_secs(60);
        parts.http.handler_timeout = Duration::from_secs(120);
    })
    .await;
    people::sign_up(&server, "ana").await;
    let [one, other] = [
        server.member("one_who_looks").await,
        server.member("other_one").await,
    ];
    let mut conn = server.superuser().await;
    // By default the job role waits ten seconds for a lock, which may be too short on a slow machine.
    run(
        &mut conn,
        "do $$ begin execute format('alter role culturepass_job in database %I set lock_timeout = %L', current_database(), '100s'); end $$",
    )
    .await;
    run(
        &mut conn,
        "begin; lock table app.tickets in access exclusive mode",
    )
    .await;
    let look = |client: &Client| {
        let client = client.clone();
        tokio::spawn(async move { client.get("/me/home").await.status.as_u16() })
    };
    let slow: Vec<_> = (0..12).map(|_| look(&one.client)).collect();
    wait_for_locks(&mut conn, "relation", 2).await;
    let everything = async {
        let signed = sign_in(&server.client, "ana", PASSWORD).await.expect(200);
        let token = signed.json["refresh_token"].as_str().expect("a token");
        people::refresh(&server.client, token).await.expect(200);
        one.client.get("/me/sessions").await.expect(200);
    };
    tokio::time::timeout(Duration::from_secs(60), everything)
        .await
        .expect("no other request waits for dashboards");
    let others: Vec<_> = (0..3).map(|_| look(&other.client)).collect();
    wait_for_locks(&mut conn, "relation", 4).await;
    run(&mut conn, "rollback").await;
    for look in slow.into_iter().chain(others) {
        assert_eq!(look.await.expect("an answer"), 200);
    }
}
