//! `GET /me/export`: all data of a member and none of others, complete or visibly incomplete.

use crate::support::{TestServer, document, model};
use codegen::model::{Lifecycle, OnArchive, Relation};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Relations to members whose rows are not the member's own data, and why. Rows that only lose their reference when
/// the member is archived (`on archive detach`) are not the member's data either: they were made for others, or only
/// mention the member.
const NOT_THEIRS: &[(&str, &str, &str)] = &[
    ("calendar_feed", "user", "a hash of the feed's secret"),
    (
        "check_in",
        "scanned_by",
        "work for a host, whose record it is",
    ),
    ("credential", "user", "a hash of the password"),
    ("email_token", "user", "a secret that was sent by mail"),
    ("fraud_flag", "entity", "what the platform looks into"),
    ("fraud_flag", "decided_by", "a decision of the platform's"),
    (
        "media_upload",
        "entity",
        "becomes a picture within minutes, or nothing",
    ),
    (
        "media_upload",
        "uploaded_by",
        "becomes a picture within minutes, or nothing",
    ),
    (
        "notification_delivery",
        "user",
        "says how a listed notification was sent",
    ),
    (
        "notification",
        "named",
        "what somebody else was told; the member's own are listed",
    ),
    ("referral", "referee", "the referrer's"),
    ("refund", "requested_by", "of a listed order"),
    (
        "subscription",
        "user",
        "a business's; its payments are listed",
    ),
    ("ticket", "buyer", "the holder's; its order is listed"),
];

/// Relations whose rows are exported by hand-written code, and the name in the file.
const BY_HAND: &[(&str, &str, &str)] = &[
    ("session", "user", "sessions"),
    ("external_identity", "user", "identities"),
    ("ticket_transfer", "from", "ticket_transfers"),
    ("ticket_transfer", "to", "ticket_transfers"),
    ("visit", "user", "visits"),
];

/// Relations to rows that are exported, and so lead to a member in two steps or more, whose rows are not the member's
/// own data, and why.
const NOT_THEIRS_BEYOND: &[(&str, &str, &str)] = &[
    (
        "check_in",
        "ticket",
        "the host's record of its door; the ticket and the attendance are listed",
    ),
    (
        "checkpoint_entry",
        "ticket",
        "the host's record of its checkpoints",
    ),
    (
        "dispute",
        "order",
        "between the host and the bank; the order's state tells it",
    ),
    ("dispute", "transaction", "between the host and the bank"),
    ("email_token", "session", "a secret that was sent by mail"),
    ("fraud_flag", "entity", "what the platform looks into"),
    (
        "media_upload",
        "media",
        "became the picture, which is listed",
    ),
    (
        "notification_delivery",
        "notification",
        "says how a listed notification was sent",
    ),
    (
        "notification_delivery",
        "device",
        "says how a listed notification was sent",
    ),
    ("refresh_token", "session", "a hash of a secret"),
    (
        "share_return",
        "transaction",
        "between the platform and the city; the refund is listed",
    ),
    ("transfer", "order", "between the platform and the host"),
    ("transfer", "refund", "between the platform and the host"),
    (
        "wallet_credit_use",
        "credit",
        "which entry has spent them; the entries and what is left of the credits are listed",
    ),
];

/// Relations to rows that are the member's own, by which rows are exported as well, and the name in the file.
const BELOW: &[(&str, &str, &str)] = &[
    ("order_item", "order", "order_items"),
    ("refund", "order", "refunds"),
    ("wallet_transaction", "wallet", "wallet_transactions"),
    ("wallet_credit", "wallet", "wallet_credits"),
    ("wallet_hold", "wallet", "wallet_holds"),
];

/// Whether the row is archived with the member or prevents it.
fn goes_along(relation: &Relation) -> bool {
    relation.on_archive != OnArchive::Detach
}

/// Relations to members that are neither exported nor listed as exceptions.
fn unsaid(is_theirs: fn(&Relation) -> bool) -> Vec<String> {
    let (user, identity) = model().entity("user").expect("members");
    let listed: BTreeSet<(String, String)> = identity
        .has
        .iter()
        .map(|has| (model().entities[has.child].name.clone(), has.via.clone()))
        .collect();
    let mut unsaid = Vec::new();
    for entity in &model().entities {
        let to_members = entity.belongs.iter();
        let to_members = to_members.filter(|r| r.targets.contains(&user) && is_theirs(r));
        for relation in to_members {
            let (name, of) = (relation.name.clone(), entity.name.clone());
            let is_said =
                |all: &[(&str, &str, &str)]| all.iter().any(|one| one.0 == of && one.1 == name);
            if !listed.contains(&(of.clone(), name.clone()))
                && !is_said(NOT_THEIRS)
                && !is_said(BY_HAND)
            {
                unsaid.push(format!("{of}.{name}"));
            }
        }
    }
    unsaid
}

/// Rows that are archived with a member are exported, or listed as exceptions with a reason.
#[test]
fn whatever_refers_to_members_is_exported_or_said_not_to_be() {
    let unsaid = unsaid(goes_along);
    assert!(
        unsaid.is_empty(),
        "{unsaid:?}: list them below the member, by `has` of spec/entities/user.yaml, or say in NOT_THEIRS why they are not the member's"
    );
    // The negative control; and there are no needless exceptions.
    assert!(self::unsaid(|_| true).contains(&"community.created_by".to_owned()));
    for (of, name, _) in NOT_THEIRS.iter().chain(BY_HAND) {
        let (_, entity) = model().entity(of).expect("an entity");
        let relation = entity.relation(name).expect("a relation");
        assert!(goes_along(relation), "{of}.{name} need not be said");
    }
}

/// Relations to exported rows of entities that are neither exported nor in [`NOT_THEIRS_BEYOND`]. Those in
/// `below` count as exported, so that what belongs to them is looked at, too.
fn unsaid_beyond(below: &[(&str, &str, &str)]) -> Vec<String> {
    let entities = &model().entities;
    let (_, identity) = model().entity("user").expect("members");
    let mut exported: BTreeSet<&str> = identity
        .has
        .iter()
        .map(|has| entities[has.child].name.as_str())
        .collect();
    exported.extend(BY_HAND.iter().chain(below).map(|(of, ..)| *of));
    let mut unsaid = Vec::new();
    for entity in entities {
        if exported.contains(entity.name.as_str()) {
            continue;
        }
        for relation in entity.belongs.iter().filter(|one| goes_along(one)) {
            let mut targets = relation.targets.iter();
            let is_theirs = targets.any(|id| exported.contains(entities[*id].name.as_str()));
            let mut exceptions = NOT_THEIRS_BEYOND.iter();
            let is_said = exceptions.any(|one| one.0 == entity.name && one.1 == relation.name);
            if is_theirs && !is_said {
                unsaid.push(format!("{}.{}", entity.name, relation.name));
            }
        }
    }
    unsaid
}

/// What belongs to rows of the member, such as the legs of a wallet, is the member's as well, however many steps away.
#[test]
fn whatever_belongs_to_what_is_exported_is_exported_or_said_not_to_be() {
    let unsaid = unsaid_beyond(BELOW);
    assert!(
        unsaid.is_empty(),
        "{unsaid:?}: list them in BELOW of runtime/app/src/me/export.rs, or say in NOT_THEIRS_BEYOND why they are not the member's"
    );
    // The negative control; and there are no needless exceptions.
    let without = unsaid_beyond(&[]);
    for (of, name, _) in BELOW {
        assert!(without.contains(&format!("{of}.{name}")), "{of}.{name}");
    }
    for (of, name, _) in NOT_THEIRS_BEYOND {
        let (_, entity) = model().entity(of).expect("an entity");
        let relation = entity.relation(name).expect("a relation");
        assert!(goes_along(relation), "{of}.{name} need not be said");
    }
}

/// Rows of a member in a table, by a statement that returns ids.
async fn ids_of(
    server: &TestServer,
    statement: &'static str,
    member: uuid::Uuid,
) -> BTreeSet<String> {
    let found = sqlx::query_scalar(statement).bind(member);
    let ids: Vec<String> = found
        .fetch_all(&mut server.superuser().await)
        .await
        .expect("ids");
    ids.into_iter().collect()
}

/// The file has each item and refund of the member's orders and all that happened in their wallets, and nothing of
/// other members.
#[tokio::test]
async fn a_member_takes_along_what_is_below_their_orders_and_wallets() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let buyer: uuid::Uuid = sqlx::query_scalar(
        "select o.user_id from app.orders o join app.order_items i on i.order_id = o.id where not o.sold_at_door group by 1 order by count(*) desc, 1 limit 1",
    )
    .fetch_one(&mut conn)
    .await
    .expect("a buyer");
    // The sample may hold no credits of this member: one row of each kind in a wallet of theirs.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "set session_replication_role = replica;
         insert into app.wallet_accounts (user_id, currency) values ('{buyer}', 'JPY');
         insert into app.wallet_journals (kind, idempotency_key) values ('event_credit', 'export-test-1');
         insert into app.wallet_transactions (wallet_id, journal_id, amount_cents, currency, type, seq)
           select w.id, j.id, n, 'JPY', 'credit', n from app.wallet_accounts w, app.wallet_journals j, generate_series(1, 120) n
           where w.user_id = '{buyer}' and w.currency = 'JPY' and j.idempotency_key = 'export-test-1';
         insert into app.wallet_credits (wallet_id, journal_id, amount_cents, remaining_cents, currency, expires_at)
           select w.id, j.id, 5, 5, 'JPY', now() + interval '1 day' from app.wallet_accounts w, app.wallet_journals j
           where w.user_id = '{buyer}' and w.currency = 'JPY' and j.idempotency_key = 'export-test-1';
         insert into app.wallet_holds (wallet_id, amount_cents, currency, reference, expires_at)
           select w.id, 2, 'JPY', 'order:1', now() + interval '1 hour' from app.wallet_accounts w
           where w.user_id = '{buyer}' and w.currency = 'JPY';
         insert into app.refunds (order_id, amount_cents, wallet_cents, organizer_cents, currency, stripe_idempotency_key)
           select o.id, 1, 1, 1, o.currency, 'export-test-2' from app.orders o where o.user_id = '{buyer}' and not o.sold_at_door limit 1"
    )))
    .execute(&mut conn)
    .await
    .expect("rows below");
    let member = server.sign_in(buyer).await;
    let file = member.client.get("/me/export").await.expect(200).json;
    for (name, statement) in [
        (
            "order_items",
            "select i.id::text from app.order_items i join app.orders o on o.id = i.order_id where o.user_id = $1 and not o.sold_at_door",
        ),
        (
            "refunds",
            "select r.id::text from app.refunds r join app.orders o on o.id = r.order_id where o.user_id = $1 and not o.sold_at_door",
        ),
        (
            "wallet_transactions",
            "select t.id::text from app.wallet_transactions t join app.wallet_accounts w on w.id = t.wallet_id where w.user_id = $1",
        ),
        (
            "wallet_credits",
            "select c.id::text from app.wallet_credits c join app.wallet_accounts w on w.id = c.wallet_id where w.user_id = $1",
        ),
        (
            "wallet_holds",
            "select h.id::text from app.wallet_holds h join app.wallet_accounts w on w.id = h.wallet_id where w.user_id = $1",
        ),
    ] {
        let rows = file[name].as_array().unwrap_or_else(|| panic!("no {name}"));
        let ids = rows.iter().filter_map(|row| row["id"].as_str());
        let ids: BTreeSet<String> = ids.map(str::to_owned).collect();
        assert_eq!(ids.len(), rows.len(), "{name}: each once");
        assert!(!ids.is_empty(), "{name}");
        assert_eq!(ids, ids_of(&server, statement, buyer).await, "{name}");
        assert!(BELOW.iter().any(|(.., known)| *known == name), "{name}");
    }
}

#[tokio::test]
async fn a_member_takes_along_what_the_lists_show_them() {
    let server = TestServer::sample().await;
    server.client.get("/me/export").await.expect(401);
    let mut conn = server.superuser().await;
    // A member with more than a page of likes.
    let busy: uuid::Uuid = sqlx::query_scalar("select user_id from app.likes where status = 'active' group by user_id order by count(*) desc, user_id limit 1")
        .fetch_one(&mut conn)
        .await
        .expect("a member");
    sqlx::query("insert into app.notifications (user_id, title, message, type, dedupe_key) select $1, 'Number ' || n, 'Hello', 'system', 'test:' || n from generate_series(1, 250) n")
        .bind(busy)
        .execute(&mut conn)
        .await
        .expect("notifications");
    let member = server.sign_in(busy).await;
    let answer = member.client.get("/me/export").await.expect(200);
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"culturepass.json\"")
    );
    let Value::Object(mut file) = answer.json else {
        panic!("{}", answer.text);
    };
    assert_eq!(
        file["member"],
        member.client.get("/me").await.expect(200).json
    );
    assert!(file["notifications"].as_array().map(Vec::len) > Some(250));
    let paths = document()["paths"].as_object().expect("paths");
    let mut lists = 0;
    for path in paths.keys() {
        let Some(name) = path.strip_prefix("/me/") else {
            continue;
        };
        let Some(Value::Array(rows)) = file.remove(&name.replace('-', "_")) else {
            continue;
        };
        lists += 1;
        let first = member
            .client
            .get(&format!("{path}?limit=100"))
            .await
            .expect(200);
        let shown = first.json["data"].as_array().expect("a list");
        assert_eq!(rows[..shown.len()], shown[..], "{path}");
        let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
        assert_eq!(ids.len(), rows.len(), "{path}: each once");
    }
    assert!(lists >= 15, "{lists}");
    let rest: BTreeSet<&str> = file.keys().map(String::as_str).collect();
    let mut expected = BTreeSet::from([
        "archived",
        "exported_at",
        "identities",
        "member",
        "sessions",
        "ticket_transfers",
        "visits",
    ]);
    expected.extend(BELOW.iter().map(|(.., name)| *name));
    assert_eq!(rest, expected);
    assert!(
        file["sessions"]
            .as_array()
            .is_some_and(|sessions| !sessions.is_empty())
    );
    // The file contains no secrets: neither device tokens nor hashes.
    for secret in ["password", "token_hash", "stripe_customer_id\":\"cus"] {
        assert!(!answer.text.contains(secret), "{secret}");
    }
}

/// The texts of the function that lists what a member has deleted.
async fn listed(server: &TestServer) -> String {
    let body =
        "select prosrc from pg_proc where oid = 'app.archived_of_caller(uuid, int)'::regprocedure";
    sqlx::query_scalar(body)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("a function")
}

/// What a member has deleted is still stored, until it is erased with the account: the file has it, too.
#[tokio::test]
async fn a_member_takes_along_what_they_deleted() {
    let server = TestServer::sample().await;
    let member = server.member("edda_deletes").await;
    let other = server.member("egon_deletes").await;
    let mut conn = server.superuser().await;
    let venue: uuid::Uuid =
        sqlx::query_scalar("select id from app.venues where status = 'active' order by id limit 1")
            .fetch_one(&mut conn)
            .await
            .expect("a venue");
    for (of, words) in [(&member, "It was loud."), (&other, "It was quiet.")] {
        let body =
            json!({"entity_type": "venue", "entity_id": venue, "rating": 2, "comment": words});
        let review = of.client.post("/reviews", body).await.expect(201).id();
        let path = format!("/reviews/{review}");
        of.client.delete(&path).await.expect(204);
    }
    // More than is read at once, and one row of each other kind.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "set session_replication_role = replica;
         insert into app.likes (user_id, event_id, status) select '{0}', sec.uuid_v7(), 'archived' from generate_series(1, 1000);
         insert into app.follows (follower_id, entity_type, entity_id, status) values ('{0}', 'venue', '{venue}', 'archived');
         insert into app.devices (user_id, platform, push_token, status) values ('{0}', 'ios', 'a-token-of-long-ago', 'archived')",
        member.id
    )))
    .execute(&mut conn)
    .await
    .expect("rows");
    // What the app does not show, because the member has turned that off.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "insert into app.notifications (user_id, title, message, type, dedupe_key, in_app) values
           ('{}', 'By mail alone', 'Hello', 'system', 'test', false), ('{}', 'To another one', 'Hello', 'system', 'test', false)",
        member.id, other.id
    )))
    .execute(&mut server.superuser().await)
    .await
    .expect("notifications");
    let answer = member.client.get("/me/export").await.expect(200);
    let rows = answer.json["archived"].as_array().expect("a list");
    assert!(answer.text.contains("By mail alone") && !answer.text.contains("To another one"));
    let of = |object: &str| rows.iter().filter(|row| row["object"] == object).count();
    let counts = ["review", "like", "follow", "device"].map(of);
    assert_eq!(counts, [1, 1000, 1, 1]);
    let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "each once");
    assert!(answer.text.contains("It was loud."));
    for others in ["It was quiet.", "a-token-of-long-ago"] {
        assert!(!answer.text.contains(others), "{others}");
    }
    assert!(answer.json["reviews"].as_array().is_some_and(Vec::is_empty));
}

/// Every list below the member whose rows can be archived is among them.
#[tokio::test]
async fn what_can_be_archived_of_a_member_is_in_the_export() {
    let server = TestServer::start().await;
    let text = listed(&server).await;
    let (_, identity) = model().entity("user").expect("members");
    let mut found = 0;
    for has in &identity.has {
        let child = &model().entities[has.child];
        // Followers are other members' rows.
        if child.lifecycle != Lifecycle::SoftDelete
            || (child.name == "follow" && has.via == "entity")
        {
            continue;
        }
        let from = format!("from app.{} ", child.plural);
        assert!(text.contains(&from), "{}", child.name);
        found += 1;
    }
    assert!(found >= 9, "{found}");
}

/// If a member is signed out during the export, the file is cut off, which can be noticed.
#[tokio::test]
async fn a_member_is_sent_one_file_at_a_time_and_none_after_signing_out() {
    let server = TestServer::start().await;
    let member = server.member("mo_who_moves").await;
    let (first, second) = tokio::join!(
        member.client.open("/me/export", &[]),
        member.client.open("/me/export", &[])
    );
    let statuses = BTreeSet::from([first.status().as_u16(), second.status().as_u16()]);
    // The second request came either while the first file was being written, or after that.
    assert!(
        statuses == BTreeSet::from([200, 429]) || statuses == BTreeSet::from([200]),
        "{statuses:?}"
    );
    drop((first, second));
    for _ in 0..100 {
        if member.client.get("/me/export").await.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    member.client.get("/me/export").await.expect(200);
    sqlx::query(
        "update app.sessions set revoked_at = now(), revoked_because = 'signed_out' where id = $1",
    )
    .bind(member.session)
    .execute(&mut server.superuser().await)
    .await
    .expect("signed out");
    member.client.get("/me/export").await.expect(401);
}
