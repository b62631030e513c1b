//! The job queue: how fast a backlog is processed, how soon a new job starts, and how long a worker takes to stop:
//! `bench jobs`.

use crate::{prepare, search::percentiles};
use anyhow::{Result, ensure};
use kernel::{
    Db,
    config::DbConfig,
    jobs::{self, Job, NewJob, Work, WorkerConfig},
};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// The number of single jobs whose start is measured, one after the other.
const SINGLE: u32 = 200;

/// How long running jobs may continue after a worker was asked to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Returns the results as a Markdown table.
pub async fn run(admin: &str, backlog: i32, at_once: u32) -> Result<String> {
    let mut config = DbConfig::new(prepare::url(admin, "culturepass_app", prepare::SECURED).into());
    config.job_url = Some(prepare::url(admin, "culturepass_job", prepare::SECURED).into());
    config.job_connections = at_once + 2;
    let db = Db::connect(&config)?;
    let mut look = PgConnection::connect(&prepare::on(admin, prepare::SECURED)).await?;
    sqlx::query(
        "insert into jobs.queue (name, payload, max_attempts) select 'bench.nothing', '{}', 1 from generate_series(1, $1)",
    )
    .bind(backlog)
    .execute(&mut look)
    .await?;
    sqlx::raw_sql("vacuum analyze jobs.queue")
        .execute(&mut look)
        .await?;

    let (started, mut starts) = mpsc::unbounded_channel();
    let stuck = started.clone();
    let work = Work {
        jobs: vec![
            Job::new("bench.nothing", |_| async { Ok(()) }),
            Job::new("bench.start", move |_| {
                let started = started.clone();
                async move {
                    let _ = started.send(Instant::now());
                    Ok(())
                }
            }),
            Job::new("bench.stuck", move |_| {
                let _ = stuck.send(Instant::now());
                std::future::pending()
            }),
        ],
        ..Work::default()
    };
    let config = WorkerConfig {
        at_once: at_once as usize,
        grace: GRACE,
        ..WorkerConfig::default()
    };
    let (stop, stopped) = watch::channel(false);
    let begun = Instant::now();
    let worker = tokio::spawn(jobs::run(db.clone(), Arc::new(work), config, stopped));
    while sqlx::query_scalar("select exists (select from jobs.queue)")
        .fetch_one(&mut look)
        .await?
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let drained = f64::from(backlog) / begun.elapsed().as_secs_f64();

    let mut waits = Vec::new();
    for _ in 0..SINGLE {
        let mut cx = db.job("bench", None, Uuid::now_v7()).await?;
        NewJob::new("bench.start", json!({}))?.put(&mut cx).await?;
        cx.commit().await?;
        let committed = Instant::now();
        let start = starts.recv().await.unwrap_or(committed);
        waits.push(start.saturating_duration_since(committed).as_secs_f64() * 1e3);
        // A pause, so that the next job finds an idle worker.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stopping = stopping(&db, &mut look, &mut starts, stop, worker).await?;
    let [p50, p95, p99] = percentiles(waits);
    Ok(format!(
        "| jobs | |\n|---|--:|\n| JB7: {backlog} that do nothing, worked off by {at_once} at once | {drained:.0} a second |\n| \
         JB7: from commit to start, of a worker with nothing to do | p50 {p50:.1} ms, p95 {p95:.1} ms, p99 {p99:.1} ms |\n| \
         JB5: asked to stop while jobs never end, until it has given them back and is gone, {} s of grace | {stopping:.2} s |\n",
        GRACE.as_secs()
    ))
}

/// Stops a worker whose jobs never end. Returns the seconds until it has ended; no job may be locked then.
async fn stopping(
    db: &Db,
    look: &mut PgConnection,
    starts: &mut mpsc::UnboundedReceiver<Instant>,
    stop: watch::Sender<bool>,
    worker: tokio::task::JoinHandle<()>,
) -> Result<f64> {
    for _ in 0..2 {
        let mut cx = db.job("bench", None, Uuid::now_v7()).await?;
        NewJob::new("bench.stuck", json!({}))?.put(&mut cx).await?;
        cx.commit().await?;
        starts.recv().await;
    }
    let begun = Instant::now();
    stop.send(true)?;
    worker.await?;
    let took = begun.elapsed().as_secs_f64();
    let kept: i64 = sqlx::query_scalar(
        "select count(*) from jobs.queue where name = 'bench.stuck' and locked_by is not null",
    )
    .fetch_one(look)
    .await?;
    ensure!(kept == 0, "{kept} jobs are still somebody's");
    Ok(took)
}
