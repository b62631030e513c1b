//! Closed accounts: they can be reopened for a while; after that no personal data remain.

use crate::support::{Member, TestServer, database::Content};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A text that occurs in everything that the member enters about themselves.
const MARK: &str = "Quintessa";

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
}

/// The tables that contain a text, of all tables.
async fn found(conn: &mut PgConnection, text: &str) -> BTreeSet<String> {
    let tables = sqlx::query("select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')")
        .fetch_all(&mut *conn)
        .await
        .expect("tables");
    let mut found = BTreeSet::new();
    for table in tables {
        let table: String = table.get(0);
        let query = format!("select exists (select from {table} t where t::text ilike '%{text}%')");
        let is_there: bool = sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_one(&mut *conn)
            .await
            .expect("a look");
        if is_there {
            found.insert(table);
        }
    }
    found
}

/// A member with all possible personal data.
async fn told_all(server: &TestServer, conn: &mut PgConnection) -> Member {
    let member = server.member("quintessa").await;
    let me = member.client.get("/me").await.expect(200);
    let body = json!({"display_name": MARK, "bio": format!("I am {MARK}."), "phone": "+61399990000",
        "profile_image_url": format!("https://{MARK}.example.org/a.jpg"), "banner_url": format!("https://{MARK}.example.org/b.jpg"),
        "social_links": {"website": format!("https://{MARK}.example.org")}});
    member
        .client
        .patch("/me", &me.etag(), body)
        .await
        .expect(200);
    let venue: Uuid =
        sqlx::query_scalar("select id from app.venues where status = 'active' order by id limit 1")
            .fetch_one(&mut *conn)
            .await
            .expect("a venue");
    let review = json!({"entity_type": "venue", "entity_id": venue, "rating": 4, "comment": format!("{MARK} was here.")});
    member.client.post("/reviews", review).await.expect(201);
    let device = json!({"platform": "ios", "push_token": format!("token-of-{MARK}")});
    member.client.post("/devices", device).await.expect(201);
    // The followed member gets a notification with the name.
    let followed = server.member("is_followed").await;
    let follow = json!({"entity_type": "user", "entity_id": followed.id});
    member.client.post("/follows", follow).await.expect(201);
    server.settled().await;
    let told =
        "select count(*) from app.notifications where user_id = $1 and title like 'Quintessa%'";
    let told: i64 = sqlx::query_scalar(told)
        .bind(followed.id)
        .fetch_one(&mut *conn)
        .await
        .expect("a count");
    assert_eq!(told, 1);
    let id = member.id;
    run(
        conn,
        &format!(
            "insert into app.notifications (user_id, title, message, type, dedupe_key) values ('{id}', 'Dear {MARK}', 'Hello', 'system', 'test');
             insert into app.mail_suppressions (email, reason) values ('quintessa@example.org', 'bounced');
             insert into app.credentials (user_id, password_hash) values ('{id}', repeat('{MARK}', 9));
             insert into app.external_identities (user_id, issuer, subject, email) values ('{id}', 'https://id.example.org', '{MARK}', 'quintessa@example.org');
             insert into app.email_tokens (user_id, purpose, token_hash, email, issued_for, expires_at) values ('{id}', 'reset_password', repeat('a', 43), 'quintessa@example.org', repeat('b', 43), now());
             insert into app.payment_methods (user_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, is_default) values ('{id}', 'pm_q', '{MARK}', '4242', 1, 2050, true);
             update app.sessions set ip_address = '203.0.113.99', user_agent = '{MARK} 1.0' where user_id = '{id}'"
        ),
    )
    .await;
    member
}

#[tokio::test]
async fn what_was_personal_is_nowhere_after_an_erasure() {
    let server = TestServer::start_with(Content::Sample, |_| {}).await;
    let mut conn = server.superuser().await;
    let member = told_all(&server, &mut conn).await;
    let told = found(&mut conn, MARK).await;
    assert!(
        told.len() >= 8,
        "the search must find the member's data: {told:?}"
    );
    let privacy = &server.built.app.modules.privacy;
    assert_eq!(
        privacy.erase().await.expect("a run"),
        0,
        "an open account must not be erased"
    );

    member.client.delete("/me").await.expect(204);
    server.settled().await;
    assert_eq!(
        privacy.erase().await.expect("a run"),
        0,
        "an account closed today must not be erased"
    );
    let paula = server.member("paula_restores").await;
    server.grant(&paula, "platformAdmin", None).await;
    let restore = format!("/users/{}/restore", member.id);
    paula.client.act(&restore).await.expect(200);
    let again = server.sign_in(member.id).await;
    assert_eq!(
        again.client.get("/me").await.expect(200).json["display_name"],
        MARK
    );
    again.client.delete("/me").await.expect(204);
    server.settled().await;

    run(
        &mut conn,
        &format!("set session_replication_role = replica; update app.users set updated_at = now() - interval '31 days' where id = '{}'", member.id),
    )
    .await;
    let mut conn = server.superuser().await;
    assert_eq!(privacy.erase().await.expect("a run"), 1);
    assert_eq!(privacy.erase().await.expect("a run"), 0, "once");
    // The data remain in the audit log, which can't be changed.
    for text in [MARK, "203.0.113.99", "61399990000"] {
        let mut left = found(&mut conn, text).await;
        left.remove("audit.audit_logs");
        assert_eq!(left, BTreeSet::new(), "{text}");
    }
    let told: Option<DateTime<Utc>> =
        sqlx::query_scalar("select erased_at from app.users where id = $1")
            .bind(member.id)
            .fetch_one(&mut conn)
            .await
            .expect("the member");
    assert!(told.is_some());
    paula.client.act(&restore).await.expect(403);
}

/// Whoever has the address of a closed account keeps what is stored under the address.
#[tokio::test]
async fn what_belongs_to_the_next_owner_of_an_address_outlasts_an_erasure() {
    let server = TestServer::start_with(Content::Sample, |_| {}).await;
    let mut conn = server.superuser().await;
    let member = told_all(&server, &mut conn).await;
    member.client.delete("/me").await.expect(204);
    let next = server.member("has_it_now").await;
    server.settled().await;
    let sign_up = |name: &str, made: &str| {
        format!(
            "insert into app.sign_ups (token_hash, email, handle, display_name, expires_at, created_at)
             values (repeat('{}', 43), 'quintessa@example.org', '{name}', 'Anna', now() + interval '1 day', {made});",
            &name[..1]
        )
    };
    let close = |member: Uuid| {
        format!(
            "update app.users set updated_at = now() - interval '31 days' where id = '{member}';"
        )
    };
    run(
        &mut conn,
        &format!(
            "set session_replication_role = replica;
             update app.users set email = 'Quintessa@example.org' where id = '{}';
             {}{}{}",
            next.id,
            sign_up("before", "now() - interval '40 days'"),
            sign_up("since", "now()"),
            close(member.id)
        ),
    )
    .await;
    let privacy = &server.built.app.modules.privacy;
    assert_eq!(privacy.erase().await.expect("a run"), 1);
    let suppressed =
        "select count(*) from app.mail_suppressions where email = 'quintessa@example.org'";
    let count: i64 = sqlx::query_scalar(suppressed)
        .fetch_one(&mut conn)
        .await
        .expect("a count");
    assert_eq!(count, 1, "mail to the living member is still held back");
    let waiting: Vec<String> = sqlx::query_scalar(
        "select handle::text from app.sign_ups where email = 'quintessa@example.org'",
    )
    .fetch_all(&mut conn)
    .await
    .expect("sign-ups");
    assert_eq!(waiting, ["since"]);
    // It goes with the last account that has the address.
    next.client.delete("/me").await.expect(204);
    server.settled().await;
    run(&mut conn, &close(next.id)).await;
    assert_eq!(privacy.erase().await.expect("a run"), 1);
    let count: i64 = sqlx::query_scalar(suppressed)
        .fetch_one(&mut conn)
        .await
        .expect("a count");
    assert_eq!(count, 0);
}

/// If a part of an erasure fails, it is rolled back as a whole, and other members are erased nevertheless.
#[tokio::test]
async fn an_erasure_is_whole_or_not_at_all() {
    let server = TestServer::start_with(Content::Sample, |_| {}).await;
    let mut conn = server.superuser().await;
    let member = told_all(&server, &mut conn).await;
    let later = server.member("lena_leaves").await;
    for leaves in [&member, &later] {
        leaves.client.delete("/me").await.expect(204);
    }
    server.settled().await;
    run(
        &mut conn,
        &format!(
            "create function app.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
             create trigger refuse before update of comment on app.reviews for each row execute function app.refuse();
             set session_replication_role = replica; update app.users set updated_at = now() - interval '31 days' where id in ('{}', '{}')",
            member.id, later.id
        ),
    )
    .await;
    let mut conn = server.superuser().await;
    let privacy = &server.built.app.modules.privacy;
    assert!(privacy.erase().await.is_err());
    // The member who comes after the failing one.
    assert!(member.id < later.id);
    let erased: bool =
        sqlx::query_scalar("select erased_at is not null from app.users where id = $1")
            .bind(later.id)
            .fetch_one(&mut conn)
            .await
            .expect("the other one");
    assert!(erased);
    let whole = found(&mut conn, MARK).await;
    assert!(
        whole.contains("app.notifications") && whole.contains("app.credentials"),
        "{whole:?}"
    );
    run(&mut conn, "drop trigger refuse on app.reviews").await;
    assert_eq!(privacy.erase().await.expect("a run"), 1);
    conn.close().await.expect("closed");
}
