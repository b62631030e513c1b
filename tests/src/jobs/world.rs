//! A database with both logins, a table in which jobs record that they ran, and workers that start and stop.

use crate::support::{Database, Superuser, database::Content};
use kernel::{
    Cx, Db,
    config::DbConfig,
    jobs::{self, Job, NewJob, Outcome, Run, Work, WorkerConfig},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};
use uuid::Uuid;

/// The longest wait for an expected state. No test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub database: Database,
    pub db: Db,
    /// A superuser's connection.
    pub look: Superuser,
}

pub async fn world() -> World {
    let database = Database::new(Content::Empty).await;
    let mut config = DbConfig::new(database.url("culturepass_app").into());
    config.job_url = Some(database.url("culturepass_job").into());
    (config.connections, config.job_connections) = (4, 8);
    config.acquire_timeout = PATIENCE;
    let db = Db::connect(&config).expect("URLs");
    let mut look = database.superuser().await;
    for text in [
        "create table public.done (id bigint generated always as identity, what text, worker int)",
        "grant insert, select on public.done to culturepass_job",
    ] {
        sqlx::query(text).execute(&mut look).await.expect("a table");
    }
    World { database, db, look }
}

impl World {
    /// A transaction of the module that all jobs here belong to.
    pub async fn module(&self) -> Cx {
        self.db
            .job("tests", None, Uuid::now_v7())
            .await
            .expect("a transaction")
    }

    /// Enqueues a job and commits.
    pub async fn enqueue(&self, name: &'static str, payload: Value) -> Uuid {
        self.put(NewJob::new(name, payload).expect("an object"))
            .await
            .expect("a new job")
    }

    pub async fn put(&self, job: NewJob) -> Option<Uuid> {
        let mut cx = self.module().await;
        let id = job.put(&mut cx).await.expect("enqueued");
        cx.commit().await.expect("committed");
        id
    }

    /// What jobs recorded, in order.
    pub async fn done(&mut self) -> Vec<String> {
        let text = "select what from public.done order by id";
        sqlx::query_scalar(text)
            .fetch_all(&mut self.look)
            .await
            .expect("what was done")
    }

    /// Waits until jobs have recorded this many entries.
    pub async fn until_done(&mut self, count: usize) -> Vec<String> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let done = self.done().await;
            if done.len() >= count {
                return done;
            }
            let jobs = self.jobs().await;
            assert!(
                tokio::time::Instant::now() < until,
                "{done:?} of {count}; {jobs:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until this condition on `jobs.queue` holds for this many jobs.
    pub async fn until(&mut self, condition: &str, count: i64) {
        let text = format!("select count(*) from jobs.queue where {condition}");
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(text.clone()))
                .fetch_one(&mut self.look)
                .await
                .expect("a count");
            if found == count {
                return;
            }
            let jobs = self.jobs().await;
            assert!(
                tokio::time::Instant::now() < until,
                "{condition}: {found}, not {count}: {jobs:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Name, state, attempts and last error of all jobs.
    pub async fn jobs(&mut self) -> Vec<(String, String, i32, Option<String>)> {
        let text = "select name, state, attempts, last_error from jobs.queue order by place";
        sqlx::query_as(text)
            .fetch_all(&mut self.look)
            .await
            .expect("jobs")
    }

    /// Runs a statement as a superuser.
    pub async fn sql(&mut self, text: &'static str) -> u64 {
        let done = sqlx::query(text).execute(&mut self.look).await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"))
            .rows_affected()
    }

    pub async fn member(&mut self) -> Uuid {
        let text = "insert into app.users (handle, display_name, email) values ('ana', 'Ana', 'ana@example.org') returning id";
        sqlx::query_scalar(text)
            .fetch_one(&mut self.look)
            .await
            .expect("a member")
    }

    pub fn start(&self, jobs: Vec<Job>) -> Worker {
        self.start_with(
            Work {
                jobs,
                ..Work::default()
            },
            quick(),
        )
    }

    pub fn start_with(&self, work: Work, config: WorkerConfig) -> Worker {
        work.check().expect("good declarations");
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(jobs::run(self.db.clone(), Arc::new(work), config, stopped));
        Worker { stop, running }
    }
}

/// A worker in the test's process.
pub struct Worker {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Worker {
    /// Stops the worker as a signal would, and waits until it has ended.
    pub async fn stop(self) {
        self.stop.send(true).expect("a worker");
        self.running.await.expect("a worker does not panic");
    }

    /// Kills the worker as `kill -9` would: nothing is finished or given back.
    pub async fn kill(self) {
        self.running.abort();
        let _ = self.running.await;
    }
}

pub fn quick() -> WorkerConfig {
    WorkerConfig {
        poll: Duration::from_millis(20),
        ..WorkerConfig::default()
    }
}

/// A job that records `what` of its payload, in the transaction that completes the job.
pub fn says(name: &'static str) -> Job {
    Job::new(name, |run| async move { say(&run).await })
}

pub async fn say(run: &Run) -> Outcome {
    let payload: Value = run.payload()?;
    let mut cx = run.begin().await?;
    let what = payload["what"].as_str().unwrap_or_default().to_owned();
    sqlx::query("insert into public.done (what) values ($1)")
        .bind(what)
        .execute(cx.conn())
        .await?;
    run.commit(cx).await?;
    Ok(())
}

pub fn what(text: impl std::fmt::Display) -> Value {
    json!({ "what": text.to_string() })
}
