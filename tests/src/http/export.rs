//! `GET /me/export`: all data of a member and none of others, complete or visibly incomplete.

use crate::support::{TestServer, document, model};
use codegen::model::{OnArchive, Relation};
use serde_json::Value;
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
    let expected = [
        "exported_at",
        "identities",
        "member",
        "sessions",
        "ticket_transfers",
        "visits",
    ];
    assert_eq!(rest, BTreeSet::from(expected));
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
