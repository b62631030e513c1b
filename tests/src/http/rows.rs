//! Rows on which operations are tested: choosing the most informative ones, and changing and comparing them as
//! superuser.

use super::people::{self, Persona};
use crate::{
    rules::{
        oracle::{Oracle, text},
        world::{self, Row, World},
    },
    support::model,
};
use codegen::model::EntityId;
use kernel::resource::{Lifecycle, Resource};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// The number of rows of an entity from which some are chosen.
const SAMPLE: usize = 150;

/// All rows, as a superuser sees them.
pub async fn world(conn: &mut PgConnection) -> World {
    world::read(conn, model()).await
}

/// What each caller is allowed, according to the rules as data.
pub fn oracles<'a>(world: &'a World, people: &[Persona]) -> Vec<Oracle<'a>> {
    people
        .iter()
        .map(|person| people::oracle(world, person))
        .collect()
}

/// Up to `count` rows that together show the most different answers; the same ones in every run.
pub fn telling<'w>(
    world: &'w World,
    resource: &Resource,
    people: &[Persona],
    oracles: &[Oracle<'w>],
    count: usize,
) -> Vec<&'w Row> {
    let mut left: Vec<(Vec<u8>, &Row)> = sample(world, resource, people)
        .into_iter()
        .map(|row| (answers(resource, row, oracles), row))
        .collect();
    left.sort_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| text(a.1, "id").cmp(&text(b.1, "id")))
    });
    let mut seen: BTreeSet<(usize, u8)> = BTreeSet::new();
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let news = |answers: &[u8]| {
            let fresh = answers
                .iter()
                .copied()
                .enumerate()
                .filter(|one| !seen.contains(one));
            // Of two rows with equally many new answers, the one on which more is allowed.
            (
                fresh.count(),
                answers.iter().filter(|answer| **answer == 2).count(),
            )
        };
        // The first of the best rows.
        let best = left.iter().rev().max_by_key(|(answers, _)| news(answers));
        let Some((answers, row)) = best.cloned() else {
            break;
        };
        if news(&answers).0 == 0 && !chosen.is_empty() {
            break;
        }
        seen.extend(answers.iter().copied().enumerate());
        left.retain(|(_, other)| other["id"] != row["id"]);
        chosen.push(row);
    }
    chosen
}

/// For each caller and action: 0 hidden, 1 visible but not allowed, 2 allowed.
fn answers(resource: &Resource, row: &Row, oracles: &[Oracle]) -> Vec<u8> {
    let soft = resource.lifecycle == Lifecycle::SoftDelete;
    let mut actions = vec!["update", "archive", "suspend"];
    actions.extend(
        resource
            .transitions
            .iter()
            .map(|transition| transition.name),
    );
    let mut answers = Vec::new();
    for oracle in oracles {
        let seen = oracle.visible(resource, row);
        answers.push(u8::from(seen));
        for action in &actions {
            let may = seen && (soft || *action == "update") && oracle.may(resource, action, row);
            answers.push(u8::from(seen) + u8::from(may));
        }
    }
    answers
}

/// Rows to choose from, those that concern the callers first.
fn sample<'w>(world: &'w World, resource: &Resource, people: &[Persona]) -> Vec<&'w Row> {
    let names: BTreeSet<String> = people
        .iter()
        .flat_map(|person| about(person, world))
        .collect();
    let rows = &world.rows[id(resource)];
    let near = |row: &&Row| {
        row.values()
            .filter_map(|value| value.as_str())
            .any(|value| names.contains(value))
    };
    let (mut first, rest): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(near);
    first.truncate(SAMPLE);
    first.extend(rest.into_iter().take(SAMPLE));
    first
}

/// The caller's own id, and the ids of the scopes of their roles.
pub fn about(person: &Persona, world: &World) -> Vec<String> {
    let own = person.me.map(|id| id.to_string());
    let held = person.facts(world).roles.into_values();
    let scopes = held.flat_map(|held| match held {
        kernel::actor::Held::Of(scopes) => scopes.into_iter().map(|id| id.to_string()).collect(),
        kernel::actor::Held::Everywhere(_) => Vec::new(),
    });
    own.into_iter().chain(scopes).collect()
}

pub fn id(resource: &Resource) -> EntityId {
    model().entity(resource.name).expect("an entity").0
}

/// The stored row as JSON text.
pub async fn stands(conn: &mut PgConnection, resource: &Resource, id: &str) -> String {
    let text = format!(
        "select to_jsonb(t)::text from app.{} t where t.id = $1::uuid",
        resource.plural
    );
    sqlx::query_scalar(AssertSqlSafe(text))
        .bind(id)
        .fetch_one(conn)
        .await
        .expect("the row")
}

/// Sets the status without triggers, so that nothing else changes. Returns the changed row.
pub async fn set_status(
    conn: &mut PgConnection,
    resource: &Resource,
    row: &Row,
    status: &str,
) -> Row {
    let live = match (row.contains_key("live_key"), status) {
        (false, _) => "",
        (true, "archived") => ", live_key = null",
        (true, _) => ", live_key = true",
    };
    set(conn, resource, row, &format!("status = '{status}'{live}")).await;
    let mut row = row.clone();
    row.insert("status".into(), status.into());
    row
}

/// Changes the row without triggers.
pub async fn set(conn: &mut PgConnection, resource: &Resource, row: &Row, what: &str) {
    let statement = format!(
        "begin; set local session_replication_role = replica;
         update app.{} set {what} where id = '{}'; commit",
        resource.plural,
        text(row, "id").expect("an id"),
    );
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(conn)
        .await
        .expect("set");
}
