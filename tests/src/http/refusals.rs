//! Callers who could not be allowed an operation on any row are refused before anything is looked up.

use super::{
    operations::{self, Operation},
    people,
};
use crate::support::{Client, TestServer, database::Content};
use kernel::{
    Actor, Facts,
    config::DbConfig,
    rule::possible::{Possible, possible},
};
use reqwest::Method;
use serde_json::json;
use server::seed::demo::PEOPLE;
use std::time::Duration;
use uuid::Uuid;

/// The server's database does not exist: a caller who is refused nevertheless was refused without it.
#[tokio::test]
async fn abuse_40_refusals_of_strangers_need_no_database() {
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    let server = TestServer::start_with(Content::Reference, |parts| {
        parts.db = DbConfig::new(nowhere.into());
        parts.db.job_url = Some(nowhere.into());
        parts.db.acquire_timeout = Duration::from_millis(10);
    })
    .await;
    let member = server.member("somebody").await;
    let (mut refused, mut asked) = (0, 0);
    for operation in operations::all() {
        let answer = send(&server.client, &operation, "{}", &Uuid::nil().to_string()).await;
        // A nested list checks the parent's rule and the child's.
        let rules = [
            Some(operation.rule()),
            operation.below().map(|(child, _)| child.rules.read),
        ];
        let never = rules
            .into_iter()
            .flatten()
            .any(|rule| possible(rule, &Actor::Anonymous, None) == Possible::Never);
        assert_eq!(
            answer,
            if never { 401 } else { 503 },
            "{}",
            operation.title()
        );
        refused += usize::from(never);
        asked += usize::from(!never);
        // The roles of signed-in callers are in the database, so they can't be refused without it.
        if operation.has_id() {
            continue;
        }
        let answer = send(&member.client, &operation, "{}", &Uuid::nil().to_string()).await;
        assert_eq!(answer, 503, "{}", operation.title());
    }
    assert!(
        refused > 150 && asked > 50,
        "{refused} refused, {asked} asked"
    );
}

/// Once the roles have been read, such callers are refused before the object and the body are checked.
#[tokio::test]
async fn abuse_40_a_role_that_never_can_learns_nothing_of_objects_and_bodies() {
    let server = people::server().await;
    let member = server.member("somebody").await;
    let mut conn = server.superuser().await;
    let actor = Actor::User {
        id: member.id,
        session: None,
    };
    let facts = Facts {
        user: Some(member.id),
        ..Facts::default()
    };
    let mut refused = 0;
    for operation in operations::all() {
        if possible(operation.rule(), &actor, Some(&facts)) != Possible::Never {
            continue;
        }
        let text = format!(
            "select id from app.{} order by id limit 1",
            operation.resource.plural
        );
        let there: Option<Uuid> = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_optional(&mut conn)
            .await
            .expect("an id");
        let there = there.unwrap_or_default().to_string();
        for (id, body) in [
            (there.as_str(), "{}"),
            (&there, "{\"nonsense\": 1}"),
            (&Uuid::now_v7().to_string(), "{}"),
            ("no-id", "{"),
        ] {
            let status = send(&member.client, &operation, body, id).await;
            assert_eq!(status, 403, "{} of {id} with {body}", operation.title());
        }
        refused += 1;
    }
    assert!(refused > 50, "only {refused}");
}

/// A reason is checked like every other body: a single visible line, and no duplicate keys.
#[tokio::test]
async fn a_reason_is_one_line_that_can_be_seen() {
    let server = TestServer::demo().await;
    let mut people = Vec::new();
    for person in &PEOPLE {
        people.push(server.sign_in(person.id).await.client);
    }
    let nowhere = Uuid::now_v7().to_string();
    let long = "x".repeat(501);
    let mut tried = 0;
    for operation in operations::all() {
        if !operation.wants_reason() {
            continue;
        }
        let (path, title) = (operation.path(&nowhere), operation.title());
        let ask = async |client: &Client, text: &str| {
            let body = Some((text, "application/json"));
            client.send_text(Method::POST, &path, body, &[]).await
        };
        // A member whose roles allow it; others are refused before the body is checked.
        let mut who = None;
        for client in &people {
            if ask(client, "{}").await.status != 403 {
                who = Some(client);
                break;
            }
        }
        let Some(who) = who else { continue };
        for reason in [
            "",
            " \u{a0}",
            "\u{200b}",
            "ill\u{3164}",
            "il\u{202e}l",
            "i\u{7}ll",
            "i\u{0}ll",
            "i\nll",
            long.as_str(),
        ] {
            let answer = ask(who, &json!({"reason": reason}).to_string()).await;
            assert_eq!(answer.status, 422, "{title} {reason:?}: {}", answer.text);
            assert_eq!(answer.pointers(), ["/reason"], "{title} {reason:?}");
        }
        let twice = ask(who, r#"{"reason": "ill", "reason": "well"}"#).await;
        assert_eq!(twice.problem(), "invalid-syntax", "{title}");
        let right = ask(who, r#"{"reason": " ill "}"#).await;
        assert_eq!(right.status, 404, "{title}: {}", right.text);
        tried += 1;
    }
    assert!(tried > 2, "{tried}");
}

async fn send(client: &Client, operation: &Operation, body: &str, id: &str) -> u16 {
    let method = operation.method();
    let has_body = operation.mutates() && method != Method::DELETE;
    let wants = !matches!(method, Method::POST) || operation.wants_reason() || !operation.has_id();
    let json = json!({"reason": "because"}).to_string();
    let body = match (has_body && wants, operation.wants_reason() && body == "{}") {
        (false, _) => None,
        (true, true) => Some((json.as_str(), "application/json")),
        (true, false) => Some((body, "application/json")),
    };
    let path = operation.path(id);
    let headers = [("if-match", "*")];
    client
        .send_text(method, &path, body, &headers)
        .await
        .status
        .as_u16()
}
