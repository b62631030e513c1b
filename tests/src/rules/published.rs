//! Which actions show a row to strangers who could not see it before: those that are meant to, and no other. A draft
//! that is called off, for example, was nobody's business before and is nobody's afterwards.

use crate::support::{TestServer, model, resources};
use codegen::model::{Change, Entity, Transition};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Actions whose purpose it is: of a profile, a member of a community, an event, a booked place.
const MEANT: [&str; 6] = [
    "business.approve",
    "community_member.join",
    "community_member.approve",
    "event.publish",
    "organization.approve",
    "promotion.activate",
];

/// How many rows of an entity are tried: some are hidden for another reason.
const ROWS: i32 = 12;

/// The states in which strangers see a row.
struct Shown {
    /// By row.
    states: Vec<BTreeSet<String>>,
}

impl Shown {
    async fn of(
        server: &TestServer,
        entity: &Entity,
        field: &str,
        states: &BTreeSet<&str>,
    ) -> Self {
        let table = format!("app.{}", entity.plural);
        let path = resources()[entity.name.as_str()].path;
        let mut conn = server.superuser().await;
        let ids =
            format!("select id from {table} where status = 'active' order by id limit {ROWS}");
        let ids: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(ids))
            .fetch_all(&mut conn)
            .await
            .expect("rows");
        let mut shown = Vec::new();
        for id in ids {
            let mut of_row = BTreeSet::new();
            for state in states {
                // Without triggers, which refuse most of it; a state that the row can't have shows nothing.
                let set = format!(
                    "set session_replication_role = replica; update {table} set {field} = '{state}' where id = '{id}'"
                );
                let set = sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut conn).await;
                let answer = server.client.get(&format!("/{path}/{id}")).await;
                if set.is_ok() && answer.status == 200 {
                    of_row.insert((*state).to_owned());
                }
            }
            shown.push(of_row);
        }
        Self { states: shown }
    }

    /// Whether strangers see some row after the transition that they did not see before.
    fn by(&self, from: &[String], to: &str) -> bool {
        let hidden_before = |row: &BTreeSet<String>| from.iter().any(|from| !row.contains(from));
        let mut rows = self.states.iter();
        rows.any(|row| row.contains(to) && hidden_before(row))
    }
}

/// The field, the states before and the state after.
fn change(transition: &Transition) -> Option<(&str, &[String], &str)> {
    match &transition.change {
        Change::State { field, from, to } => Some((field, from, to)),
        Change::Set(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_could_see_is_shown_by_what_is_meant_to_show_it_alone() {
    let server = TestServer::demo().await;
    let mut found = Vec::new();
    for entity in &model().entities {
        let changes: Vec<_> = entity.transitions.iter().filter_map(change).collect();
        let all = changes
            .iter()
            .flat_map(|(_, from, to)| from.iter().map(String::as_str).chain([*to]));
        let states: BTreeSet<&str> = all.collect();
        let (Some((field, ..)), false) = (changes.first(), entity.internal) else {
            continue;
        };
        let shown = Shown::of(&server, entity, field, &states).await;
        for transition in &entity.transitions {
            if change(transition).is_some_and(|(_, from, to)| shown.by(from, to)) {
                found.push(format!("{}.{}", entity.name, transition.name));
            }
        }
        if entity.name == "event" {
            // The control: cancelling a draft would be found.
            assert!(shown.by(&["draft".to_owned()], "cancelled"));
            assert!(!shown.by(&["published".to_owned()], "cancelled"));
        }
    }
    assert_eq!(found, MEANT);
}
