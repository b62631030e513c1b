//! Compares both compiled forms of every rule on random worlds: what the database lets each actor see, do and create,
//! row by row, with `kernel::rule::decide`. A single difference fails; so do too few decisions, and decisions that are
//! always the same. `mutants` shows that broken rules are noticed.

use super::{
    answers,
    oracle::text,
    questions::{self, How, Question},
    world::{self, World},
};
use crate::support::{self, Database, database::Content};
use codegen::model::{EntityId, Model};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Rows per entity, and number of actors.
const SIZE: usize = 12;
const ACTORS: usize = 9;
/// The number of actors who actually perform allowed actions, per entity and action.
const DOERS: usize = 5;

#[tokio::test]
async fn abuse_04_policies_and_predicates_agree_on_random_worlds() {
    let model = support::model();
    let mut wrong = Vec::new();
    let mut tally = Tally::default();
    for seed in [1, 7] {
        let database = Database::new(Content::Empty).await;
        let mut conn = database.superuser().await;
        let (_, questions) = make(&mut conn, model, seed).await;
        for question in &questions {
            if !tally.wants(question) {
                continue;
            }
            tally.count(question);
            wrong.extend(disagreements(&mut conn, model, question).await);
        }
    }
    println!("{}", tally.show());
    assert!(
        wrong.is_empty(),
        "{} disagreements:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    tally.says_enough(model);
}

/// Numbers of questions about rows, and of granted ones.
#[derive(Default)]
struct Tally {
    by_how: BTreeMap<String, (usize, usize)>,
    created: BTreeMap<EntityId, (usize, usize)>,
    done: BTreeMap<(EntityId, &'static str), usize>,
}

impl Tally {
    /// Performing actions is slow, and hardly tests more of the rules than reaching the rows, so a few are enough.
    /// `Blind` is only for the broken policies.
    fn wants(&mut self, question: &Question) -> bool {
        if question.how == How::Blind {
            return false;
        }
        let done = self
            .done
            .entry((question.entity, question.action))
            .or_default();
        *done += usize::from(question.how == How::Do);
        question.how != How::Do || *done <= DOERS
    }

    fn count(&mut self, question: &Question) {
        let add = |sum: &mut (usize, usize)| {
            sum.0 += question.asked.len();
            sum.1 += question.granted.len();
        };
        add(self
            .by_how
            .entry(format!("{:?}", question.how))
            .or_default());
        if question.how == How::Create {
            add(self.created.entry(question.entity).or_default());
        }
    }

    fn show(&self) -> String {
        format!("decisions, and granted ones: {:?}", self.by_how)
    }

    fn says_enough(&self, model: &Model) {
        for (how, (asked, granted)) in &self.by_how {
            assert!(*asked >= 2_000, "{how}: only {asked} decisions");
            // Actions are only tried on rows that the actor can reach.
            let share = granted * 100 / asked;
            let varied = (5..=95).contains(&share) || how == "Do";
            assert!(varied, "{how}: {share} % granted");
        }
        for (entity, (asked, granted)) in &self.created {
            let name = &model.entities[*entity].name;
            assert!(
                *granted > 0 && granted < asked,
                "{name}: {granted} of {asked} can be made"
            );
        }
    }
}

/// Creates a world in an open transaction that is never committed, and its questions.
pub async fn make(conn: &mut PgConnection, model: &Model, seed: u64) -> (World, Vec<Question>) {
    // Planning the nested policies takes longer than running them.
    let settings = "begin; set local plan_cache_mode = force_generic_plan; set local jit = off";
    sqlx::raw_sql(settings).execute(&mut *conn).await.unwrap();
    let world = world::make(conn, model, seed, SIZE).await;
    answers::prepare(conn).await;
    let mut all = Vec::new();
    for me in actors(model, &world) {
        all.extend(questions::of(conn, model, &world, me).await);
    }
    (world, all)
}

/// One line for every row about which the two sides decide differently.
pub async fn disagreements(
    conn: &mut PgConnection,
    model: &Model,
    question: &Question,
) -> Vec<String> {
    let database = answers::ask(conn, model, question).await;
    let differ = question
        .asked
        .iter()
        .filter(|id| database.contains(*id) != question.granted.contains(*id));
    differ
        .map(|id| {
            format!(
                "{:?} {} {} {id} as {:?}: database {}, Rust {}",
                question.how,
                question.action,
                model.entities[question.entity].name,
                question.me,
                database.contains(id),
                question.granted.contains(id)
            )
        })
        .collect()
}

/// The actors: an anonymous one, some members with roles, and some without.
fn actors(model: &Model, world: &World) -> Vec<Option<Uuid>> {
    let active = |id: &&str| {
        world
            .row(model.identity, id)
            .is_some_and(|row| text(row, "status") == Some("active"))
    };
    let person = |row: &world::Row, column: &str| text(row, column).map(str::to_owned);
    let holders: Vec<String> = world.rows[model.assignments]
        .iter()
        .filter_map(|row| person(row, "user_id"))
        .collect();
    let everyone: Vec<String> = world.rows[model.identity]
        .iter()
        .filter_map(|row| person(row, "id"))
        .collect();
    let mut chosen: Vec<&str> = Vec::new();
    for id in holders
        .iter()
        .chain(&everyone)
        .map(String::as_str)
        .filter(active)
    {
        if !chosen.contains(&id) && chosen.len() < ACTORS {
            chosen.push(id);
        }
    }
    std::iter::once(None)
        .chain(chosen.into_iter().map(|id| Some(id.parse().expect("uuid"))))
        .collect()
}
