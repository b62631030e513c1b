//! Two people at the same moment: every two operations on one row, and on a row and one that it depends on.
//!
//! Each pair is played on fresh rows one after the other, in both orders, and then so that both requests meet at a locked
//! row. What comes of that is what comes of one of the orders: the answers, the rows, and the entries of the audit log.

mod acts;
mod deadlocks;
mod outcome;
mod stage;

use crate::{
    endings::scene::{SHARED, Scene},
    support::{Superuser, model},
    trending::stage::run,
};
use acts::Act;
use codegen::model::{DerivedKind, Lifecycle};
use outcome::Outcome;
use sqlx::AssertSqlSafe;
use stage::{First, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// Labels of further rows than the first one of their entity.
const ALSO: [&str; 3] = ["invitation", "offer of a role", "gathering"];

/// Every so many-th pair on one row is played, and of those on a row and one that it depends on, which are many more.
/// `PAIRS_EVERY=1` plays all of them, and `PAIRS_OF` the pairs of these labels.
const EVERY: u64 = 20;
const EVERY_RELATED: u64 = 150;

fn every(usual: u64) -> u64 {
    let given = std::env::var("PAIRS_EVERY").ok();
    given.map_or(usual, |text| text.parse().expect("a number"))
}

/// Whether the pair is among those that are played: the same ones in every run.
fn is_played(name: &str, usual: u64) -> bool {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 20).is_multiple_of(every(usual))
}

/// One label for each entity, and some more.
fn labels(scene: &Scene<'_>) -> Vec<String> {
    let mut first: BTreeMap<&str, &String> = BTreeMap::new();
    for (label, row) in &scene.rows {
        if SHARED.contains(&row.kind()) {
            continue;
        }
        // Whoever has no other part in a scene.
        let is_better = row.kind() != "user" || label == "stranger";
        if is_better {
            first.entry(row.kind()).or_insert(label);
        }
    }
    first.insert(
        "event",
        scene.rows.get_key_value("event").expect("an event").0,
    );
    let chosen: BTreeSet<&str> = first
        .into_values()
        .map(String::as_str)
        .chain(ALSO)
        .collect();
    chosen.into_iter().map(str::to_owned).collect()
}

#[derive(Default)]
struct Seen {
    tried: usize,
    changed: usize,
    faults: Vec<String>,
}

impl Seen {
    fn add(&mut self, fault: String) {
        println!("{fault}");
        self.faults.push(fault);
    }
}

struct Pair<'a> {
    acts: [&'a Act; 2],
    /// Labels of rows, and how they are prepared.
    starts: Vec<(&'a str, &'a str)>,
    /// The locked rows at which the two meet.
    gates: Vec<Vec<&'a str>>,
}

impl Pair<'_> {
    fn name(&self) -> String {
        let starts: Vec<&str> = self.starts.iter().map(|(_, start)| *start).collect();
        format!(
            "{} | {} | {}",
            self.acts[0].name(),
            self.acts[1].name(),
            starts.join(" ")
        )
    }

    async fn play(&self, stage: &Stage, seen: &mut Seen) {
        seen.tried += 1;
        let name = self.name();
        let mut orders = Vec::new();
        for first in [First::One, First::Other] {
            let Some(outcome) = stage.in_order(self.acts, &self.starts, first).await else {
                return;
            };
            if outcome.has_failed() || outcome.is_falsely_written() {
                let told = format!("{name}, {first:?} before the other: {outcome:?}");
                seen.add(told);
            }
            orders.push(outcome);
        }
        if !orders.iter().any(Outcome::is_change) {
            return;
        }
        seen.changed += 1;
        for gate in &self.gates {
            for first in [First::One, First::Other] {
                let Some(outcome) = stage.together(self.acts, &self.starts, gate, first).await
                else {
                    continue;
                };
                if orders.contains(&outcome) {
                    continue;
                }
                let against: Vec<String> =
                    orders.iter().map(|order| outcome.against(order)).collect();
                seen.add(format!(
                    "{name}\n   at {gate:?}, {first:?} first:\n   {}",
                    against.join("\n   ")
                ));
            }
        }
    }
}

/// The acts on each label.
async fn all_acts(stage: &Stage) -> BTreeMap<String, Vec<Act>> {
    let labels = labels(&stage.scene().await);
    let mut all = BTreeMap::new();
    let only = std::env::var("PAIRS_OF").ok();
    let is_wanted = |label: &String| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|one| one == label))
    };
    for label in labels.into_iter().filter(is_wanted) {
        let acts = acts::of(stage, &label).await;
        all.insert(label, acts);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_changes_of_one_row_are_one_after_the_other() {
    let stage = Stage::new().await;
    let all = all_acts(&stage).await;
    let mut seen = Seen::default();
    for (label, acts) in &all {
        let acts: Vec<&Act> = acts.iter().filter(|act| !act.is_create()).collect();
        for (at, one) in acts.iter().enumerate() {
            for other in &acts[at..] {
                let starts: BTreeSet<&str> = [one, other].map(|act| act.start.as_str()).into();
                for start in starts {
                    let pair = Pair {
                        acts: [one, other],
                        starts: vec![(label, start)],
                        gates: vec![vec![label]],
                    };
                    if is_played(&pair.name(), EVERY) {
                        pair.play(&stage, &mut seen).await;
                    }
                }
            }
        }
    }
    finish(&stage, seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_and_what_it_depends_on_change_one_after_the_other() {
    let stage = Stage::new().await;
    let all = all_acts(&stage).await;
    let mut seen = Seen::default();
    for (child, acts) in &all {
        let parents = parents(&stage, child).await;
        for parent in parents.iter().filter(|parent| all.contains_key(*parent)) {
            for one in acts {
                for other in all[parent].iter().filter(|act| !act.is_create()) {
                    let mut gates = vec![vec![parent.as_str()]];
                    if !one.is_create() {
                        gates.push(vec![child.as_str()]);
                    }
                    let pair = Pair {
                        acts: [one, other],
                        starts: vec![(child, &one.start), (parent, &other.start)],
                        gates,
                    };
                    if is_played(&pair.name(), EVERY_RELATED) {
                        pair.play(&stage, &mut seen).await;
                    }
                }
            }
        }
    }
    finish(&stage, seen).await;
}

/// The negative control: without the foreign key to live rows, an announcement stays active below an institution that is
/// archived at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_of_neither_order_is_found() {
    let stage = Stage::new().await;
    let announced = acts::of(&stage, "grant").await;
    let announced = announced.iter().find(|act| act.is_create());
    let archived = acts::of(&stage, "institution").await;
    let archived = archived.iter().find(|act| act.is_archive());
    let pair = Pair {
        acts: [announced.expect("a new one"), archived.expect("an end")],
        starts: Vec::new(),
        gates: vec![vec!["institution"]],
    };
    let mut seen = Seen::default();
    pair.play(&stage, &mut seen).await;
    assert!(seen.faults.is_empty(), "{:?}", seen.faults);
    let mut conn = stage.hall.server.superuser().await;
    let unguarded = "alter table app.grant_announcements drop constraint grant_announcements_live_institution_id_fkey";
    run(&mut conn, unguarded.to_owned()).await;
    // A machine that is busy with other things may have one done before the other has come.
    for _ in 0..5 {
        pair.play(&stage, &mut seen).await;
        if !seen.faults.is_empty() {
            return;
        }
    }
    panic!("what comes of neither order is not found");
}

/// The labels of the rows on which this one depends.
async fn parents(stage: &Stage, child: &str) -> Vec<String> {
    let mut scene = stage.scene().await;
    let row = scene.row(child).clone();
    let found = scene.foundations(&row).await;
    let labels = found
        .iter()
        .filter(|one| **one != row)
        .map(|one| scene.label(one));
    labels.collect()
}

async fn finish(stage: &Stage, seen: Seen) {
    let mut faults = seen.faults;
    let mut conn = stage.hall.server.superuser().await;
    faults.extend(unsound(&mut conn).await);
    println!(
        "{} pairs, {} of which change something",
        seen.tried, seen.changed
    );
    assert!(
        faults.is_empty(),
        "{} faults of {} pairs:\n{}",
        faults.len(),
        seen.tried,
        faults.join("\n")
    );
}

/// What is wrong with the tables afterwards: money, and counters.
async fn unsound(conn: &mut Superuser) -> Vec<String> {
    let mut found: Vec<String> = sqlx::query_scalar(
        "select fault || ' ' || entity_type || ' ' || entity_id from app.money_invariants",
    )
    .fetch_all(&mut *conn)
    .await
    .expect("the view");
    found.extend(miscounted(conn).await);
    found
}

/// Counters without a condition that differ from a count.
async fn miscounted(conn: &mut Superuser) -> Vec<String> {
    let mut found = Vec::new();
    for parent in &model().entities {
        for derived in &parent.derived {
            let DerivedKind::Count { has, filter: None } = &derived.kind else {
                continue;
            };
            let has = &parent.has[*has];
            let child = &model().entities[has.child];
            let via = child.relation(&has.via).expect("a relation");
            let (plural, name, id) = (&parent.plural, &derived.name, via.id_column());
            let of_type = via
                .type_column()
                .map(|column| format!(" and c.{column} = '{}'", parent.name))
                .unwrap_or_default();
            let live = match child.lifecycle {
                Lifecycle::SoftDelete => " and c.status = 'active'",
                _ => "",
            };
            let apart = format!(
                "select exists (select from information_schema.columns where table_schema = 'counters' and table_name = '{plural}' and column_name = '{name}')"
            );
            let is_apart: bool = sqlx::query_scalar(AssertSqlSafe(apart))
                .fetch_one(&mut *conn)
                .await
                .expect("looked");
            let schema = if is_apart { "counters" } else { "app" };
            let text = format!(
                "select count(*) from {schema}.{plural} p where p.{name} <> (select count(*) from app.{} c where c.{id} = p.id{of_type}{live})",
                child.plural
            );
            let wrong: i64 = sqlx::query_scalar(AssertSqlSafe(text))
                .fetch_one(&mut *conn)
                .await
                .expect("counted");
            if wrong > 0 {
                found.push(format!("{wrong} {plural} with a wrong {name}"));
            }
        }
    }
    found
}
