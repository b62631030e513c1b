//! What it costs to refuse a member who could never be allowed something. Roles are rows, so the database has to be
//! asked; this counts for what.
//!
//! A request that is wrong in itself is refused by the telling query alone. One that is not is tried first, because
//! the usual request should pay nothing for the unusual one: its own statement runs, held by the policies to no
//! row, and then the roles are read. Nothing else is asked, of no other table. Strangers are refused without the
//! database at all; `http::refusals` shows that.

use super::{
    proxy::Proxy,
    trips::{PING, server, settled},
};
use crate::{
    http::{
        bodies,
        operations::{self, Kind, Operation},
    },
    rules::world::Row,
    support::{Answer, Client},
};
use kernel::{
    Actor, Facts,
    rule::possible::{Possible, possible},
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

/// To say who asks, as the transaction is begun; and to read what they hold.
const TELLING: u32 = 2;
/// The same once more after an error of the database, with which the first transaction is lost.
const AGAIN: u32 = 2;
/// Once more with nothing given back, where some who write such an object do not see it afterwards.
const UNSEEN: u32 = 3;
const FACTS: &str = "select sec.facts()";
const REASON: &str = "select sec.set_reason($1)";

/// Whatever changes something and is never for a member without roles.
fn never(member: Uuid) -> Vec<Operation> {
    let actor = Actor::User {
        id: member,
        session: None,
    };
    let no_roles = Facts {
        user: Some(member),
        ..Facts::default()
    };
    let mut all = operations::all();
    all.retain(|operation| {
        operation.mutates()
            && possible(operation.rule(), &actor, Some(&no_roles)) == Possible::Never
    });
    let entities: BTreeSet<&str> = all
        .iter()
        .map(|operation| operation.resource.name)
        .collect();
    assert!(
        entities.len() >= 15 && all.len() > 60,
        "{} of {entities:?}",
        all.len()
    );
    all
}

async fn send(client: &Client, operation: &Operation, id: &str, body: Option<Value>) -> Answer {
    let (method, path) = (operation.method(), operation.path(id));
    let headers = [("if-match", "*")];
    client.send(method, &path, body, &headers).await.expect(403)
}

/// What was asked of our tables and functions: prepared once each, on the only connection there is.
fn asked(proxy: &Proxy) -> Vec<String> {
    let mut texts = proxy.take_prepared();
    texts.retain(|text| text.contains("app.") || text.contains("sec."));
    texts
}

#[tokio::test]
async fn abuse_40_a_wrong_request_of_a_member_is_refused_by_the_telling_query_alone() {
    let (server, proxy) = server().await;
    let member = server.member("somebody").await;
    let operations = never(member.id);
    proxy.take_prepared();
    let wrong = |operation: &Operation| {
        (operation.method() != Method::DELETE).then(|| json!({"nonsense": 1}))
    };
    // The first of a connection also finds out what kinds of values the database knows.
    for operation in &operations {
        send(&member.client, operation, "no-id", wrong(operation)).await;
    }
    let before = settled(&proxy).await;
    for operation in &operations {
        send(&member.client, operation, "no-id", wrong(operation)).await;
    }
    // None can be refused for less, so the sum says it of each.
    let trips = settled(&proxy).await - before;
    let count = u32::try_from(operations.len()).expect("some");
    assert_eq!(trips, count * (TELLING + PING));
    assert_eq!(asked(&proxy), [FACTS]);
}

#[tokio::test]
async fn abuse_40_a_member_is_refused_by_the_statement_itself_and_the_telling_query() {
    let (server, proxy) = server().await;
    let member = server.member("somebody").await;
    let mut conn = server.superuser().await;
    let (mut tried, mut wrong) = (0, Vec::new());
    for operation in never(member.id) {
        // The application's own questions come first.
        if operation.resource.hooks.contains(&operation.name()) {
            continue;
        }
        let Some(row) = some_row(&mut conn, &operation).await else {
            continue;
        };
        let id = row["id"].as_str().expect("an id");
        let (title, body) = (operation.title(), bodies::body(&operation, &row));
        proxy.take_prepared();
        send(&member.client, &operation, id, body.clone()).await;
        let foreign = asked(&proxy).into_iter();
        let foreign = foreign.filter(|text| !is_its_own(&operation, text));
        wrong.extend(foreign.map(|text| format!("{title} asks {text}")));
        let before = settled(&proxy).await;
        send(&member.client, &operation, id, body).await;
        let trips = settled(&proxy).await - before - PING;
        let unseen = |may_be: bool| if may_be { UNSEEN } else { 0 };
        let more = match operation.kind {
            Kind::Create => AGAIN + unseen(operation.resource.created_unseen),
            // For `*` it is looked which version there is, of a row that the policy shows.
            Kind::Replace | Kind::Merge => 1 + unseen(operation.resource.hides),
            // It is one statement, after which the connection goes back, with its ping.
            Kind::Archive => PING,
            _ => u32::from(operation.wants_reason()),
        };
        if trips > TELLING + 1 + more {
            wrong.push(format!("{title}: {trips} trips"));
        }
        tried += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 60, "{tried} operations");

    // The control: what the same member may try looks for more than that, and it shows.
    let path = "/communities/019caddd-0f20-7b8e-a1f8-0bd70ae0784c";
    member.client.get(path).await.expect(404);
    assert!(
        asked(&proxy)
            .iter()
            .any(|text| text.contains("app.communities"))
    );
}

async fn some_row(conn: &mut PgConnection, operation: &Operation) -> Option<Row> {
    let table = operation.resource.plural;
    let text = format!("select to_jsonb(t) from app.{table} t order by t.id limit 1");
    let row: Option<Value> = sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_optional(conn)
        .await
        .expect("looked");
    row.map(|row| row.as_object().expect("a row").clone())
}

/// The statement of the operation, the probe of its version, or the telling query.
fn is_its_own(operation: &Operation, text: &str) -> bool {
    let (resource, sql) = (operation.resource, &operation.resource.sql);
    let own = match operation.kind {
        Kind::Create => sql.create,
        Kind::Archive => sql.archive,
        Kind::Restore => sql.restore,
        Kind::Suspend => sql.suspend,
        Kind::Unsuspend => sql.unsuspend,
        Kind::Transition(transition) => transition.sql,
        // Of a body that gives nothing it sets nothing.
        Kind::Replace | Kind::Merge => sql.update,
        _ => sql.probe,
    };
    // The condition that tells who asks stands before what is given back.
    let change = own
        .split_once("returning ")
        .map_or(own, |(change, _)| change);
    [own, sql.probe, FACTS, REASON].contains(&text)
        || text.starts_with(change)
        || text.starts_with(&format!("update app.{} as t set", resource.plural))
}
