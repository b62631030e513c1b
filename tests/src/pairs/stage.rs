//! Plays two acts on fresh scenes: one after the other in both orders, and at the same moment.

use super::{
    acts::{Act, Sent},
    outcome::Outcome,
};
use crate::{
    endings::scene::{Group, Hall, Named, Scene},
    support::{Answer, Superuser},
    trending::stage::run,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::time::Duration;
use tokio::{sync::Mutex, task::JoinHandle};

pub struct Stage {
    pub hall: Hall,
    watch: Mutex<Superuser>,
}

/// Who comes to the row first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    One,
    Other,
}

impl Stage {
    pub async fn new() -> Self {
        let hall = Hall::with(|parts| parts.db.connections = 6).await;
        let mut conn = hall.server.superuser().await;
        run(&mut conn, include_str!("more.sql").to_owned()).await;
        // A deadlock is noticed after a second otherwise.
        let name = hall.server.database.name();
        let sooner = format!("alter database {name} set deadlock_timeout = '30ms'");
        run(&mut conn, sooner).await;
        let watch = Mutex::new(hall.server.superuser().await);
        Self { hall, watch }
    }

    pub async fn scene(&self) -> Scene<'_> {
        let mut scene = Scene::new(&self.hall, Group::Bare).await;
        let ids: serde_json::Map<String, Value> = (scene.rows.iter())
            .map(|(label, row)| (label.clone(), json!(row.id)))
            .collect();
        let more: Value = sqlx::query_scalar("select tests.more($1, $2)")
            .bind(json!(ids))
            .bind(&scene.word)
            .fetch_one(&mut *scene.conn)
            .await
            .expect("more rows");
        for (label, row) in more.as_object().expect("rows") {
            let id = row["id"].as_str().expect("an id").parse().expect("an id");
            scene.note(label, row["entity"].as_str().expect("an entity"), id);
        }
        scene
    }

    async fn prepared(
        &self,
        acts: [&Act; 2],
        starts: &[(&str, &str)],
    ) -> Option<(Scene<'_>, [Sent; 2])> {
        let mut scene = self.scene().await;
        for (label, start) in starts {
            if !prepare(&mut scene, label, start).await {
                return None;
            }
        }
        let one = acts[0].request(&mut scene, true).await;
        let other = acts[1].request(&mut scene, false).await;
        Some((scene, [one, other]))
    }

    /// One after the other. None: the rows can't be brought into these states.
    pub async fn in_order(
        &self,
        acts: [&Act; 2],
        starts: &[(&str, &str)],
        first: First,
    ) -> Option<Outcome> {
        let (mut scene, [one, other]) = self.prepared(acts, starts).await?;
        let answers = match first {
            First::One => {
                let one = one.send().await;
                [one, other.send().await]
            }
            First::Other => {
                let other = other.send().await;
                [one.send().await, other]
            }
        };
        Some(Outcome::read(&mut scene, &answers).await)
    }

    /// Both at the same moment: they wait for the locked rows of the gate, in this order, and go on together.
    pub async fn together(
        &self,
        acts: [&Act; 2],
        starts: &[(&str, &str)],
        gate: &[&str],
        first: First,
    ) -> Option<Outcome> {
        let (mut scene, [one, other]) = self.prepared(acts, starts).await?;
        let rows: Vec<Named> = gate.iter().map(|label| scene.row(label).clone()).collect();
        scene.sql("begin").await;
        for row in rows {
            scene
                .sql(format!(
                    "select from {} where id = '{}' for update",
                    row.table(),
                    row.id
                ))
                .await;
        }
        let mut watch = self.watch.lock().await;
        let (first_one, second_one) = match first {
            First::One => (one, other),
            First::Other => (other, one),
        };
        let first_one = tokio::spawn(first_one.send());
        arrived(watch.looking(), &[&first_one]).await;
        let second_one = tokio::spawn(second_one.send());
        arrived(watch.looking(), &[&first_one, &second_one]).await;
        scene.sql("commit").await;
        let (a, b) = (answer(first_one).await, answer(second_one).await);
        let answers = match first {
            First::One => [a, b],
            First::Other => [b, a],
        };
        Some(Outcome::read(&mut scene, &answers).await)
    }
}

async fn answer(of: JoinHandle<Answer>) -> Answer {
    of.await.expect("no request panics")
}

/// Waits until each of the requests waits for a lock, or is answered without.
async fn arrived(watch: &mut PgConnection, requests: &[&JoinHandle<Answer>]) {
    let count = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..2000 {
        let found: i64 = sqlx::query_scalar(count)
            .fetch_one(&mut *watch)
            .await
            .expect("counted");
        let open = requests.iter().filter(|request| !request.is_finished());
        if found as usize >= open.count() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Brings the row into a state. False if the database refuses.
pub async fn prepare(scene: &mut Scene<'_>, label: &str, start: &str) -> bool {
    if start.is_empty() {
        return true;
    }
    let row = scene.row(label);
    let text = start
        .replace("{table}", &row.table())
        .replace("{id}", &row.id.to_string());
    let done = sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut *scene.conn)
        .await;
    if done.is_err() {
        scene.sql("set session_replication_role = origin").await;
    }
    done.is_ok()
}
