//! Closed accounts: they can be reopened for a while; after that no personal data remain.

use crate::support::{Member, TestServer, database::Content};
use axum::http::Method;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, Row};
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

/// The columns that contain a text, of all tables, such as `app.users.bio`. Stored answers are bytes, which PostgreSQL
/// writes in hexadecimal.
async fn found(conn: &mut PgConnection, text: &str) -> BTreeSet<String> {
    let tables = sqlx::query("select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')")
        .fetch_all(&mut *conn)
        .await
        .expect("tables");
    let mut found = BTreeSet::new();
    for table in tables {
        let table: String = table.get(0);
        let query = format!(
            "select distinct '{table}.' || e.key from {table} t cross join jsonb_each_text(to_jsonb(t)) e
             where e.value ilike '%{text}%' or e.value ilike '%' || encode(convert_to('{text}', 'UTF8'), 'hex') || '%'"
        );
        let columns: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_all(&mut *conn)
            .await
            .expect("a look");
        found.extend(columns);
    }
    found
}

/// Texts that tables which refer to a member keep after the erasure, and why.
const KEPT: &[(&str, &[&str], &str)] = &[
    (
        "app.role_assignments",
        &["scope_name"],
        "the name of a profile, not of a member",
    ),
    (
        "app.broadcasts",
        &["title", "message", "ticket_type_ids"],
        "a host's",
    ),
    (
        "app.check_ins",
        &["nonce", "device", "gate"],
        "a host's record",
    ),
    (
        "app.commission_proposals",
        &["currency", "reason"],
        "a city's",
    ),
    (
        "app.communities",
        &[
            "avatar_url",
            "banner_url",
            "description",
            "name",
            "slug",
            "social_links",
        ],
        "its members'",
    ),
    (
        "app.email_tokens",
        &["token_hash", "issued_for"],
        "deleted with the row, whose address is looked for",
    ),
    ("app.external_identities", &["issuer"], "names no member"),
    (
        "app.fraud_flags",
        &["evidence", "note"],
        "ids, and what the platform decided",
    ),
    (
        "app.media",
        &["url", "medium_url", "small_url", "alt_text", "content_hash"],
        "looked for in tests/src/media/kept.rs",
    ),
    (
        "app.media_uploads",
        &["content_type", "sha256", "alt_text"],
        "looked for in tests/src/media/kept.rs",
    ),
    (
        "app.notification_deliveries",
        &["provider_id", "error"],
        "deleted with the row, whose wording is looked for",
    ),
    (
        "app.notification_preferences",
        &["quiet_hours"],
        "local times, of a member who is nobody",
    ),
    (
        "app.orders",
        &["currency", "idempotency_key", "referrer", "refund_failure"],
        "a host's record of a sale",
    ),
    (
        "app.payment_methods",
        &["last4", "stripe_payment_method_id"],
        "digits that are replaced, and an id at the payment service",
    ),
    ("app.quotes", &["currency", "terms"], "a business's"),
    (
        "app.refunds",
        &[
            "currency",
            "failure_code",
            "stripe_idempotency_key",
            "stripe_refund_id",
        ],
        "a host's record of a sale",
    ),
    ("app.reviews", &["reply"], "the profile's"),
    (
        "app.sign_ups",
        &["token_hash", "locale", "timezone"],
        "deleted with the row, whose name is looked for",
    ),
    (
        "app.subscriptions",
        &[
            "currency",
            "failure_code",
            "stripe_idempotency_key",
            "stripe_item_id",
            "stripe_subscription_id",
        ],
        "a business's",
    ),
    ("app.tickets", &["code", "currency"], "made by the server"),
    (
        "app.transactions",
        &[
            "currency",
            "failure_code",
            "stripe_account_id",
            "stripe_idempotency_key",
            "stripe_payment_intent_id",
        ],
        "a record of a payment",
    ),
    (
        "app.users",
        &["locale", "phone", "stripe_customer_id", "timezone"],
        "the number is looked for below, and the payment service is asked by its id",
    ),
    ("app.wallet_accounts", &["currency"], "names no member"),
    (
        "jobs.queue",
        &["name", "state", "unique_key", "order_key", "last_error"],
        "names and ids",
    ),
    (
        "requests.keys",
        &["method", "route", "key", "fingerprint", "headers"],
        "deleted with the row, whose body is looked for",
    ),
    ("requests.quotas", &["entity"], "a name of the spec's"),
    ("requests.taken", &["entity"], "a name of the spec's"),
];

/// All columns that can hold a text, of tables that refer to members, name their addresses, or hold what they asked for.
async fn texts(conn: &mut PgConnection) -> BTreeSet<String> {
    let columns: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I.%I', n.nspname, c.relname, a.attname)
         from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname not in ('pg_catalog', 'information_schema', 'audit', 'search', 'public') and c.relkind in ('r', 'p')
           and a.attnum > 0 and not a.attisdropped and a.attname not in ('archived_from')
           and a.atttypid::regtype::text in ('text', 'jsonb', 'json', 'bytea', 'text[]', 'inet')
           -- One of a few words.
           and not exists (
             select from pg_constraint k where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum] and k.conname like '%\\_choice')
           and (c.oid = 'app.users'::regclass
             or exists (select from pg_constraint f where f.conrelid = c.oid and f.contype = 'f' and f.confrelid = 'app.users'::regclass)
             or exists (
               select from pg_attribute o
               where o.attrelid = c.oid and o.attname in ('user_id', 'actor_id', 'principal', 'on_behalf_of', 'email')))",
    )
    .fetch_all(conn)
    .await
    .expect("columns");
    columns.into_iter().collect()
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
    // The answer is stored with the key.
    let once = [("idempotency-key", "the-key-of-a-review")];
    let made = member
        .client
        .send(Method::POST, "/reviews", Some(review), &once);
    made.await.expect(201);
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
             update app.sessions set ip_address = '203.0.113.99', user_agent = '{MARK} 1.0', issuer_session = '{MARK}' where user_id = '{id}';
             insert into app.calendar_feeds (user_id, secret_hash) values ('{id}', repeat('{MARK}', 5))"
        ),
    )
    .await;
    elsewhere(conn, id).await;
    member
}

/// What modules store of a member besides.
async fn elsewhere(conn: &mut PgConnection, id: Uuid) {
    run(
        conn,
        &format!(
            "set session_replication_role = replica;
             update app.notifications set message = '{MARK}', data = jsonb_build_object('name', '{MARK}'), dedupe_key = '{MARK}'
             where user_id = '{id}' and title = 'Dear {MARK}';
             insert into app.notification_deliveries (notification_id, user_id, channel, state, wording)
             select n.id, n.user_id, 'email', 'sent', '{MARK}' from app.notifications n where n.user_id = '{id}' and n.title = 'Dear {MARK}';
             insert into app.sign_ups (token_hash, email, handle, display_name, expires_at, created_at)
             values (repeat('s', 43), 'quintessa@example.org', 'quintessa_too', '{MARK}', now(), now() - interval '40 days');
             insert into app.rank_actions (actor_id, event_id, kind, at, weight, counts, network, cohort)
             select '{id}', e.id, 'view', now(), 0, false, '203.0.113.99/32', now() from app.events e order by e.id limit 1;
             with bought as (
               insert into app.orders (user_id, event_id, state, amount_cents, currency, idempotency_key)
               select '{id}', e.id, 'refunded', 0, 'AUD', 'bought by somebody' from app.events e order by e.id limit 1 returning id
             )
             insert into app.refunds (order_id, requested_by_id, state, amount_cents, currency, note, stripe_idempotency_key, settled_at)
             select b.id, '{id}', 'succeeded', 0, 'AUD', '{MARK} is ill.', 'refund', now() from bought b;
             insert into jobs.queue (name, payload, state, max_attempts, run_at, created_at, ended_at)
             select j.name, j.payload::jsonb, j.state, 5, now() + interval '1 year', now() - interval '40 days',
               case j.state when 'dead' then now() end
             from (values
               ('sessions.invite', '{{\"email\": \"quintessa@example.org\"}}', 'dead'),
               ('sessions.reset', '{{\"email\": \"quintessa@example.org\"}}', 'queued'),
               ('sessions.change_address', '{{\"user\": \"{id}\", \"email\": \"{MARK}@example.net\"}}', 'dead'),
               ('sessions.mail', '{{\"to\": \"quintessa@example.org\", \"values\": {{\"name\": \"{MARK}\"}}}}', 'dead'),
               ('notifications.tell_part', '{{\"values\": {{\"follower\": \"{MARK}\"}}, \"data\": {{\"user\": \"{id}\"}}}}', 'dead'),
               ('sessions.mail', '{{\"to\": \"somebody.else@example.org\"}}', 'dead')) j(name, payload, state);
             set session_replication_role = origin"
        ),
    )
    .await;
}

#[tokio::test]
async fn what_was_personal_is_nowhere_after_an_erasure() {
    let server = TestServer::start_with(Content::Sample, |_| {}).await;
    let mut conn = server.superuser().await;
    let member = told_all(&server, &mut conn).await;
    let mut told = found(&mut conn, MARK).await;
    told.extend(found(&mut conn, "203.0.113.99").await);
    // Claim: what the catalogue says can hold a text of a member is looked for below, or said to stay.
    let texts = texts(&mut conn).await;
    assert!(texts.contains("app.check_ins.device") && texts.contains("app.rank_actions.network"));
    let kept = KEPT.iter().flat_map(|(table, columns, _)| {
        columns
            .iter()
            .map(move |column| format!("{table}.{column}"))
    });
    let kept: BTreeSet<String> = kept.collect();
    let unsaid: Vec<&String> = texts
        .difference(&told)
        .filter(|one| !kept.contains(*one))
        .collect();
    assert!(
        unsaid.is_empty(),
        "{unsaid:?}: let `told_all` write into them and `app.erase_member` erase them, or say in KEPT why they stay"
    );
    let needless: Vec<&String> = kept.difference(&texts).collect();
    assert!(needless.is_empty(), "{needless:?}");
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
        &format!("set session_replication_role = replica; update app.users set closed_at = now() - interval '31 days' where id = '{}'", member.id),
    )
    .await;
    let mut conn = server.superuser().await;
    assert_eq!(privacy.erase().await.expect("a run"), 1);
    assert_eq!(privacy.erase().await.expect("a run"), 0, "once");
    // The data remain in the audit log, which can't be changed.
    for text in [MARK, "203.0.113.99", "61399990000"] {
        let mut left = found(&mut conn, text).await;
        left.retain(|column| !column.starts_with("audit."));
        assert_eq!(left, BTreeSet::new(), "{text}");
    }
    let others: i64 = sqlx::query_scalar(
        "select count(*) from jobs.queue where payload ->> 'to' = 'somebody.else@example.org'",
    )
    .fetch_one(&mut conn)
    .await
    .expect("a count");
    assert_eq!(others, 1, "jobs of others stay");
    let told: Option<DateTime<Utc>> =
        sqlx::query_scalar("select erased_at from app.users where id = $1")
            .bind(member.id)
            .fetch_one(&mut conn)
            .await
            .expect("the member");
    assert!(told.is_some());
    paula.client.act(&restore).await.expect(409);
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
            name[..1].to_uppercase()
        )
    };
    let close = |member: Uuid| {
        format!(
            "update app.users set closed_at = now() - interval '31 days' where id = '{member}';"
        )
    };
    run(
        &mut conn,
        &format!(
            "set session_replication_role = replica;
             update app.users set email = 'quintessa@example.org' where id = '{}';
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
             set session_replication_role = replica; update app.users set closed_at = now() - interval '31 days' where id in ('{}', '{}')",
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
        whole.contains("app.notifications.title")
            && whole.contains("app.credentials.password_hash"),
        "{whole:?}"
    );
    run(&mut conn, "drop trigger refuse on app.reviews").await;
    assert_eq!(privacy.erase().await.expect("a run"), 1);
    conn.close().await.expect("closed");
}
