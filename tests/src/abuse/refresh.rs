//! Refresh tokens that are used twice, late, or concurrently.

use crate::support::{
    Answer, Client, TestServer,
    database::Content,
    people::{self, PASSWORD, refresh},
};
use app::clock::Clock;
use chrono::{TimeDelta, Utc};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

async fn server() -> TestServer {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    server
}

/// Lets time pass: makes sessions and tokens older by so many seconds, since they depend on the database's clock.
async fn pass(server: &TestServer, seconds: i64) {
    let older = format!(
        "set session_replication_role = replica;
         update app.sessions set authenticated_at = authenticated_at - interval '{seconds} s',
           expires_at = expires_at - interval '{seconds} s', created_at = created_at - interval '{seconds} s';
         update app.refresh_tokens set used_at = used_at - interval '{seconds} s',
           expires_at = expires_at - interval '{seconds} s', created_at = created_at - interval '{seconds} s'"
    );
    sqlx::raw_sql(AssertSqlSafe(older))
        .execute(&mut server.superuser().await)
        .await
        .expect("older");
}

fn text(answer: &Answer, name: &str) -> String {
    answer.json[name]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.text))
        .to_owned()
}

async fn sign_in(client: &Client) -> Answer {
    people::sign_in(client, "ana", PASSWORD).await.expect(200)
}

#[track_caller]
fn revoked(answer: &Answer) {
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (401, "session-revoked"),
        "{}",
        answer.text
    );
}

async fn revoked_because(server: &TestServer, session: &str) -> (Option<String>, i64) {
    let session: Uuid = session.parse().expect("an id");
    let mut conn = server.superuser().await;
    let because = sqlx::query_scalar("select revoked_because from app.sessions where id = $1")
        .bind(session)
        .fetch_one(&mut conn)
        .await
        .expect("a session");
    let audited = sqlx::query_scalar(
        "select count(*) from audit.audit_logs
         where entity_type = 'session' and entity_id = $1 and changed -> 'revoked_because' ->> 1 = 'token_reused'",
    )
    .bind(session)
    .fetch_one(&mut conn)
    .await
    .expect("a number");
    (because, audited)
}

#[tokio::test]
async fn abuse_14_a_refresh_token_that_comes_back_ends_the_session() {
    let server = server().await;
    let client = &server.client;
    let other = sign_in(client).await;
    let first = sign_in(client).await;
    let second = refresh(client, &text(&first, "refresh_token"))
        .await
        .expect(200);
    let access: Vec<_> = [&first, &second]
        .map(|answer| text(answer, "access_token"))
        .into();
    for token in &access {
        client.with_token(token).get("/me").await.expect(200);
    }
    pass(&server, 11).await;
    revoked(&refresh(client, &text(&first, "refresh_token")).await);
    // The tokens of the thief and of the victim are all invalidated, since they can't be told apart.
    revoked(&refresh(client, &text(&second, "refresh_token")).await);
    for token in &access {
        revoked(&client.with_token(token).get("/me").await);
        revoked(&client.with_token(token).get("/cities").await);
    }
    let told = revoked_because(&server, &text(&first, "session_id")).await;
    assert_eq!(told, (Some("token_reused".to_owned()), 1));
    client
        .with_token(text(&other, "access_token"))
        .get("/me")
        .await
        .expect(200);
}

#[tokio::test]
async fn abuse_14_the_token_before_the_last_is_stolen_even_within_the_overlap() {
    let server = server().await;
    let client = &server.client;
    let first = sign_in(client).await;
    let second = refresh(client, &text(&first, "refresh_token"))
        .await
        .expect(200);
    // A retry of the same request, as if its answer had been lost: the same answer, and no second chain of tokens.
    let again = refresh(client, &text(&first, "refresh_token"))
        .await
        .expect(200);
    assert_eq!(
        text(&again, "refresh_token"),
        text(&second, "refresh_token")
    );
    let third = refresh(client, &text(&second, "refresh_token"))
        .await
        .expect(200);
    revoked(&refresh(client, &text(&first, "refresh_token")).await);
    revoked(&refresh(client, &text(&third, "refresh_token")).await);
    revoked(
        &client
            .with_token(text(&third, "access_token"))
            .get("/me")
            .await,
    );
}

#[tokio::test]
async fn abuse_15_twenty_refreshes_at_once_leave_one_chain() {
    let server = server().await;
    let first = sign_in(&server.client).await;
    let token = text(&first, "refresh_token");
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (client, token) = (server.client.clone(), token.clone());
            tokio::spawn(async move { refresh(&client, &token).await })
        })
        .collect();
    let mut next = Vec::new();
    for one in tries {
        let answer = one.await.expect("an answer");
        match answer.status.as_u16() {
            200 => next.push(text(&answer, "refresh_token")),
            // Some of many concurrent requests may be told to retry, but none may be refused.
            status => assert_eq!(status, 503, "{}", answer.text),
        }
    }
    next.dedup();
    assert_eq!(next.len(), 1, "one next token for all");
    let session: Uuid = text(&first, "session_id").parse().expect("an id");
    let rows: (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where used_at is null) from app.refresh_tokens where session_id = $1",
    )
    .bind(session)
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("counted");
    assert_eq!(rows, (2, 1), "the used one and its only descendant");
    refresh(&server.client, &next[0]).await.expect(200);
}

#[tokio::test]
async fn abuse_16_a_session_ends_after_its_time_and_when_it_lies_idle() {
    const DAY: i64 = 24 * 60 * 60;
    let server = server().await;
    let client = &server.client;

    let idle = sign_in(client).await;
    pass(&server, 14 * DAY + 1).await;
    let answer = refresh(client, &text(&idle, "refresh_token"))
        .await
        .expect(401);
    assert_eq!(answer.problem(), "invalid-token");

    // A session that is used all the time expires nevertheless.
    let mut last = sign_in(client).await;
    for days in [13, 13, 13, 13, 13, 13, 11] {
        pass(&server, days * DAY).await;
        last = refresh(client, &text(&last, "refresh_token"))
            .await
            .expect(200);
    }
    let expires = text(&last, "refresh_expires_at");
    let expires = chrono::DateTime::parse_from_rfc3339(&expires).expect("a time");
    let left = expires.signed_duration_since(Utc::now());
    assert!(
        left <= TimeDelta::days(1),
        "the next token outlives the session: {left}"
    );
    // The last access token expires with the session, not ten minutes later.
    pass(&server, DAY - 100).await;
    last = refresh(client, &text(&last, "refresh_token"))
        .await
        .expect(200);
    let lifetime = last.json["expires_in"].as_i64().expect("seconds");
    assert!((1..=100).contains(&lifetime), "{lifetime} seconds");
    pass(&server, 101).await;
    let answer = refresh(client, &text(&last, "refresh_token"))
        .await
        .expect(401);
    assert_eq!(answer.problem(), "invalid-token");
}

/// Two servers with different clocks: a time stored by one is taken by the other neither for a theft nor for expired.
#[tokio::test]
async fn abuse_14_a_server_with_a_wrong_clock_ends_no_session() {
    for minutes in [-60, -2, 2, 60] {
        let server = TestServer::start_with(Content::Reference, |parts| {
            parts.clock = Clock::new(move || Utc::now() + TimeDelta::minutes(minutes));
        })
        .await;
        people::sign_up(&server, "ana").await;
        let client = &server.client;
        let first = sign_in(client).await;
        let token = text(&first, "refresh_token");
        let second = refresh(client, &token).await.expect(200);
        // Simulates another server, whose answer was lost.
        sqlx::raw_sql("update app.refresh_tokens set used_at = now() where used_at is not null")
            .execute(&mut server.superuser().await)
            .await
            .expect("used");
        let again = refresh(client, &token).await.expect(200);
        assert_eq!(
            text(&again, "refresh_token"),
            text(&second, "refresh_token")
        );
        let listed = "select count(*) from app.sessions where revoked_at is null and expires_at between now() and now() + interval '91 days'";
        let listed: i64 = sqlx::query_scalar(listed)
            .fetch_one(&mut server.superuser().await)
            .await
            .expect("counted");
        assert_eq!(listed, 1, "{minutes}");
    }
}

#[tokio::test]
async fn abuse_16_an_expired_session_is_in_no_list() {
    let server = server().await;
    let client = &server.client;
    let (old, current) = (sign_in(client).await, sign_in(client).await);
    let client = client.with_token(text(&current, "access_token"));
    let count = async || {
        client.get("/me/sessions").await.expect(200).json["data"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(count().await, Some(2));
    let session: Uuid = text(&old, "session_id").parse().expect("an id");
    sqlx::query("update app.sessions set expires_at = now() - interval '1 second' where id = $1")
        .bind(session)
        .execute(&mut server.superuser().await)
        .await
        .expect("moved");
    assert_eq!(count().await, Some(1));
    refresh(&server.client, &text(&old, "refresh_token"))
        .await
        .expect(401);
}
