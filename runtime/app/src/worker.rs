//! Work that comes round again: sealing the audit log, throwing expired things away.
//!
//! Several processes may run it at once; each round is one short transaction per task.

use crate::{App, clock::Clock};
use kernel::Result;
use std::time::Duration;
use tokio::{sync::watch, time::MissedTickBehavior};

/// How often.
#[derive(Clone, Copy, Debug)]
pub struct WorkerConfig {
    pub seal_every: Duration,
    pub purge_every: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            seal_every: Duration::from_secs(10),
            purge_every: Duration::from_secs(600),
        }
    }
}

/// Runs until `stop` turns true. A round that was begun is finished.
pub async fn run(app: App, config: WorkerConfig, clock: Clock, mut stop: watch::Receiver<bool>) {
    let mut seal = interval(config.seal_every);
    let mut purge = interval(config.purge_every);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            _ = seal.tick() => report("seal the audit log", seal_audit(&app).await),
            _ = purge.tick() => report("purge", app.sessions.purge(clock.now()).await),
        }
    }
    // What was written until now is sealed too.
    report("seal the audit log", seal_audit(&app).await);
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can ask any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn report(task: &'static str, outcome: Result<u64>) {
    match outcome {
        Ok(0) => tracing::debug!(task, "nothing to do"),
        Ok(rows) => tracing::info!(task, rows, "done"),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(task, %error, cause, "failed; the next round tries again");
        }
    }
}

/// Seals what is new in the audit log. How many entries.
pub async fn seal_audit(app: &App) -> Result<u64> {
    let Some(seal) = kernel::audit::seal(&app.db).await? else {
        return Ok(0);
    };
    // Whoever keeps the log outside of the database can tell later whether the table was changed.
    tracing::info!(
        seal = seal.id,
        entries = seal.entries,
        hash = seal.hash,
        "audit log sealed"
    );
    Ok(seal.entries.max(0) as u64)
}
