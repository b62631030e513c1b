//! Every change is logged once, with its author and request; refused requests leave no entry.

use super::{
    bodies,
    deeds::{Deed, Deeds, mutations},
    operations::{self, Kind, Operation},
    people::{self, Persona, personas},
    rows::{self, oracles, telling},
};
use crate::{
    rules::{oracle::text, world::Row},
    support::{Answer, edits::Edit, model},
};
use codegen::model::Field;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// The callers of requests that must fail.
const TRYING: [&str; 4] = ["anonymous", "platform", "org", "member"];

/// An entry of the audit log.
#[derive(Debug, PartialEq)]
struct Entry {
    entity_type: String,
    entity_id: Uuid,
    action: String,
    performed_by: Option<Uuid>,
    reason: Option<String>,
    /// Whether the session belongs to the member who made the change.
    in_session: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_abuse_71_every_change_is_written_down_once_and_what_is_refused_never() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let mut deeds = Deeds::new(&server, &world, &people).await;
    let (mut wrong, mut edits) = (Vec::new(), 0);
    for operation in mutations() {
        let (mut done, mut refusals) = (false, Vec::new());
        for mut deed in deeds.plan(operation).await {
            deeds.prepare(&deed).await;
            let person = deeds.person(deed.by);
            let is_change = edit(&mut deed, person).await;
            let refused = outdated(&deed, deeds.person(deed.by)).await;
            wrong.extend(silent(&mut conn, &operation, &refused).await);
            let answer = deeds.carry_out(&deed).await;
            if answer.status.is_success() {
                wrong.extend(match is_change {
                    true => written(&mut conn, &deed, &answer).await,
                    false => unwritten(&mut conn, &deed, &answer).await,
                });
                edits += usize::from(is_change);
                done = true;
                break;
            }
            wrong.extend(silent(&mut conn, &operation, &answer).await);
            refusals.push(answer.text);
        }
        if !done {
            let title = operation.title();
            wrong.push(format!("{title} never succeeded: {refusals:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(edits > 80, "{edits} changes");
}

/// The prepared bodies of PUT and PATCH change nothing: this puts a change into them, if one can be found. Returns
/// whether the deed now changes something.
async fn edit(deed: &mut Deed, person: &Persona) -> bool {
    let kind = deed.operation.kind;
    if !matches!(kind, Kind::Replace | Kind::Merge) {
        return true;
    }
    let shown = person.client.get(&deed.path()).await;
    let keys = operations::body_keys("Replace", deed.operation.resource.name);
    let all: serde_json::Map<String, Value> = (keys.into_iter())
        .filter_map(|key| Some((key.to_owned(), shown.json.get(key)?.clone())))
        .collect();
    let Some(edit) = Edit::find(&person.client, &deed.path(), &json!(all)).await else {
        return false;
    };
    deed.body = Some(match (kind, &deed.body) {
        (Kind::Replace, Some(body)) => edit.within(body, 7),
        _ => edit.body(7),
    });
    true
}

/// The log entries after a request that changes nothing, which must have none.
async fn unwritten(conn: &mut PgConnection, deed: &Deed, answer: &Answer) -> Option<String> {
    let request = answer.header("x-request-id").expect("a request id");
    let entries = entries(conn, request).await;
    (!entries.is_empty()).then(|| format!("{}: {entries:?}", deed.operation.title()))
}

/// Sends the deed with an outdated `If-Match`, or, for a new row, with an unknown key.
async fn outdated(deed: &Deed, person: &Persona) -> Answer {
    let mut body = deed.body.clone();
    if let (Kind::Create, Some(body)) = (deed.operation.kind, &mut body) {
        body["nonsense"] = json!(1);
    }
    let stale = [("if-match", "\"999999-0000000000000000\"")];
    let method = deed.operation.method();
    person.client.send(method, &deed.path(), body, &stale).await
}

async fn entries(conn: &mut PgConnection, request: &str) -> Vec<Entry> {
    let rows = sqlx::query(
        "select a.entity_type, a.entity_id, a.action, a.performed_by, a.reason,
                exists (select from app.sessions s where s.id = a.session_id and s.user_id = a.performed_by)
         from audit.audit_logs a where a.request_id = $1::text::uuid order by a.id",
    )
    .bind(request)
    .fetch_all(conn)
    .await
    .expect("the audit log");
    let entry = |row: &PgRow| Entry {
        entity_type: row.get(0),
        entity_id: row.get(1),
        action: row.get(2),
        performed_by: row.get(3),
        reason: row.get(4),
        in_session: row.get(5),
    };
    rows.iter().map(entry).collect()
}

async fn silent(conn: &mut PgConnection, operation: &Operation, answer: &Answer) -> Option<String> {
    let request = answer.header("x-request-id").expect("a request id");
    let entries = entries(conn, request).await;
    let clean = entries.is_empty() && answer.status.is_client_error();
    (!clean).then(|| format!("{}: {} and {entries:?}", operation.title(), answer.status))
}

/// Transitions that change other objects as well, by triggers in `spec/sql/`.
const FOLLOWED: [&str; 2] = [
    "POST /commission-proposals/{id}/accept",
    "POST /quotes/{id}/accept",
];

/// Checks that there is one entry about the object, and entries about others only if the action changes others.
async fn written(conn: &mut PgConnection, deed: &Deed, answer: &Answer) -> Option<String> {
    let operation = &deed.operation;
    let id = match answer.header("location") {
        Some(place) => place.rsplit('/').next(),
        None => text(&deed.row, "id"),
    };
    let id: Uuid = id.expect("an id").parse().expect("a UUID");
    let request = answer.header("x-request-id").expect("a request id");
    let (own, others): (Vec<Entry>, Vec<Entry>) = entries(conn, request)
        .await
        .into_iter()
        .partition(|entry| entry.entity_id == id);
    let expected = Entry {
        entity_type: operation.resource.name.to_owned(),
        entity_id: id,
        action: operation.name().to_owned(),
        performed_by: Some(deed.by),
        reason: operation.wants_reason().then(|| "because".to_owned()),
        in_session: true,
    };
    let takes_along = match operation.kind {
        Kind::Archive | Kind::Restore | Kind::Suspend | Kind::Unsuspend => true,
        Kind::Create => {
            let entity = operations::entity(model(), operation.resource);
            entity.creator.is_some() || entity.fields.iter().any(|field| field.moves)
        }
        _ => FOLLOWED.contains(&operation.title().as_str()),
    };
    let by_others = others
        .iter()
        .any(|entry| entry.performed_by != Some(deed.by));
    if own != [expected] || !others.is_empty() && !takes_along || by_others {
        return Some(format!("{}: {own:?}, and {others:?}", operation.title()));
    }
    None
}

#[tokio::test]
async fn a1_abuse_71_sql_of_the_request_role_is_written_down_too() {
    let server = people::server().await;
    let mut hand = server.database.request_role().await;
    let mut conn = server.superuser().await;
    let [olga, binh] = [PEOPLE[2].id, PEOPLE[3].id];
    for (who, end, entries_wanted, rows) in [
        (olga, "commit", 1, 1),
        (olga, "rollback", 0, 1),
        // Binh can't change this profile, so there is nothing to log.
        (binh, "commit", 0, 0),
    ] {
        let request = Uuid::now_v7();
        sqlx::raw_sql("begin")
            .execute(&mut hand)
            .await
            .expect("begin");
        sqlx::query("select sec.enter($1, null, 'update', $2)")
            .bind(who)
            .bind(request)
            .execute(&mut hand)
            .await
            .expect("entered");
        let changed = sqlx::query(
            "update app.organizations set description = 'by hand' where id =
             (select scope_id from app.role_assignments where user_id = $1 and scope_type = 'organization' limit 1)
             or id = $2",
        )
        .bind(who)
        .bind(olgas(&mut conn, olga).await)
        .execute(&mut hand)
        .await
        .expect("a statement")
        .rows_affected();
        sqlx::raw_sql(AssertSqlSafe(end))
            .execute(&mut hand)
            .await
            .expect("the end");
        assert_eq!(changed, rows, "{who} {end}");
        let entries = entries(&mut conn, &request.to_string()).await;
        assert_eq!(entries.len(), entries_wanted, "{who} {end}: {entries:?}");
        assert!(
            entries
                .iter()
                .all(|entry| entry.performed_by == Some(olga) && entry.action == "update")
        );
    }
    // Without entering a context, nothing can be changed.
    let changed = sqlx::query("update app.organizations set description = 'by nobody'")
        .execute(&mut hand)
        .await
        .expect("a statement");
    assert_eq!(changed.rows_affected(), 0);
}

async fn olgas(conn: &mut PgConnection, olga: Uuid) -> Uuid {
    sqlx::query_scalar("select scope_id from app.role_assignments where user_id = $1")
        .bind(olga)
        .fetch_one(conn)
        .await
        .expect("an organisation")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_78_what_could_not_be_made_leaves_nothing() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let oracles = oracles(&world, &people);
    let (mut wrong, mut statuses) = (Vec::new(), std::collections::BTreeSet::new());
    let before = counts(&mut conn).await;
    for operation in operations::all() {
        if !matches!(operation.kind, Kind::Create) {
            continue;
        }
        let row = telling(&world, operation.resource, &people, &oracles, 1)[0];
        for person in people.iter().filter(|person| TRYING.contains(&person.name)) {
            for (body, media) in broken(&operation, row) {
                let body = Some((body.as_str(), media));
                let path = operation.template();
                let answer = person
                    .client
                    .send_text(operation.method(), &path, body, &[])
                    .await;
                statuses.insert(answer.status.as_u16());
                if !answer.status.is_client_error() {
                    wrong.push(format!(
                        "{} as {}: {}",
                        operation.title(),
                        person.name,
                        answer.status
                    ));
                }
            }
        }
        let after = counts(&mut conn).await;
        if after != before {
            wrong.push(format!(
                "{}: {:?}",
                operation.title(),
                difference(&before, &after)
            ));
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        [400, 401, 403, 409, 415, 422]
            .iter()
            .all(|status| statuses.contains(status)),
        "{statuses:?}"
    );
}

/// Bodies that are invalid in various ways.
fn broken(operation: &Operation, row: &Row) -> Vec<(String, &'static str)> {
    let json = "application/json";
    let right = bodies::create(operation.resource, row);
    let with = |key: &str, value: Value| {
        let mut body = right.clone();
        body[key] = value;
        body.to_string()
    };
    let mut all = vec![
        (right.to_string(), "text/plain"),
        ("{".to_owned(), json),
        ("[]".to_owned(), json),
        (with("nonsense", json!(1)), json),
        (with("id", json!(Uuid::now_v7())), json),
        (with("status", json!("active")), json),
    ];
    if clashes(operation) {
        all.push((right.to_string(), json));
    }
    let references = operation.resource.expands.iter();
    all.extend(
        references
            .filter(|reference| reference.is_reference() && right.get(reference.column).is_some())
            .map(|reference| (with(reference.column, json!(Uuid::now_v7())), json)),
    );
    all
}

/// Whether creating a copy of an existing row must fail, because the body contains all columns of something unique.
fn clashes(operation: &Operation) -> bool {
    let entity = operations::entity(model(), operation.resource);
    let keys = operations::body_keys("Create", operation.resource.name);
    let given = |name: &String| keys.contains(&name.as_str());
    // A unique value with `moves` is taken over from the existing row.
    let field =
        |field: &Field| field.unique && !field.moves && !field.optional && given(&field.name);
    entity
        .unique
        .iter()
        // With a condition, the existing row may not be one of those that it applies to.
        .filter(|columns| entity.unique_where(columns).is_none())
        .any(|columns| columns.iter().all(given))
        || entity.fields.iter().any(field)
}

/// The number of rows of every table, including the audit log.
async fn counts(conn: &mut PgConnection) -> Vec<(String, i64)> {
    let model = model();
    let tables = model
        .entities
        .iter()
        .map(|entity| format!("app.{}", entity.plural));
    let parts: Vec<String> = tables
        .chain(["audit.audit_logs".to_owned()])
        .map(|table| format!("select '{table}', count(*) from {table}"))
        .collect();
    sqlx::query_as(AssertSqlSafe(parts.join(" union all ") + " order by 1"))
        .fetch_all(conn)
        .await
        .expect("counts")
}

fn difference(before: &[(String, i64)], after: &[(String, i64)]) -> Vec<String> {
    let pairs = before.iter().zip(after);
    pairs
        .filter(|(before, after)| before != after)
        .map(|((table, before), (_, after))| format!("{table}: {before}, then {after}"))
        .collect()
}
