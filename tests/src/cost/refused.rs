//! The cost of refusing a member who could never be allowed something. Roles are rows, so the database has to be
//! asked; this test counts the statements.
//!
//! An invalid request is refused after the query that identifies the caller. A valid one is tried first, so that
//! normal requests pay nothing for refusals: its own statement runs, which the policies let affect no row, and then
//! the roles are read. No other table is queried. Anonymous callers are refused without the database; `http::refusals`
//! shows that.

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

/// Round trips to begin the transaction with the caller's identity, and to read the caller's roles.
const TELLING: u32 = 2;
/// The same again after an error of the database, which aborts the first transaction.
const AGAIN: u32 = 2;
/// Another attempt that returns nothing, if some writers of such an object can't see it afterwards.
const UNSEEN: u32 = 3;
const FACTS: &str = "select sec.facts()";
const REASON: &str = "select sec.set_reason($1)";

/// Operations that change something and are never allowed to members without roles.
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

/// The statements on our tables and functions, each prepared once on the only connection.
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
    // The first request of a connection also reads the types of the database.
    for operation in &operations {
        send(&member.client, operation, "no-id", wrong(operation)).await;
    }
    let before = settled(&proxy).await;
    for operation in &operations {
        send(&member.client, operation, "no-id", wrong(operation)).await;
    }
    // None can be refused with fewer round trips, so the sum proves it for each.
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
        // Hooks of the application query the database first.
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
            // For `If-Match: *` the version is looked up, of a row that the policy shows.
            Kind::Replace | Kind::Merge => 1 + unseen(operation.resource.hides),
            // A single statement, after which the connection is returned with its ping.
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

    // The control: a request that the member may make costs more, and that is noticed.
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

/// Whether the text is the statement of the operation, the lookup of its version, or the query that identifies the
/// caller.
fn is_its_own(operation: &Operation, text: &str) -> bool {
    let (resource, sql) = (operation.resource, &operation.resource.sql);
    let own = match operation.kind {
        Kind::Create => sql.create,
        Kind::Archive => sql.archive,
        Kind::Restore => sql.restore,
        Kind::Suspend => sql.suspend,
        Kind::Unsuspend => sql.unsuspend,
        Kind::Transition(transition) => transition.sql,
        // An empty body sets nothing.
        Kind::Replace | Kind::Merge => sql.update,
        _ => sql.probe,
    };
    // The condition that identifies the caller comes before `returning`.
    let change = own
        .split_once("returning ")
        .map_or(own, |(change, _)| change);
    [own, sql.probe, FACTS, REASON].contains(&text)
        || text.starts_with(change)
        || text.starts_with(&format!("update app.{} as t set", resource.plural))
}
