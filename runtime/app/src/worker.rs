//! The periodic work of all modules.
//!
//! Several processes may run it at once; each round is one short transaction per task.

use futures_util::future::join_all;
use kernel::jobs::Periodic;
use tokio::{sync::watch, time::MissedTickBehavior};

/// Runs until `stop` turns true. A round that was begun is finished.
pub async fn run(work: Vec<Periodic>, stop: watch::Receiver<bool>) {
    let each = work.into_iter().map(|work| again(work, stop.clone()));
    join_all(each).await;
}

async fn again(work: Periodic, mut stop: watch::Receiver<bool>) {
    let mut interval = tokio::time::interval(work.every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            _ = interval.tick() => round(&work).await,
        }
    }
    if work.at_the_end {
        round(&work).await;
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can ask any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn round(work: &Periodic) {
    let task = work.name;
    match work.round().await {
        Ok(0) => tracing::debug!(task, "nothing to do"),
        Ok(rows) => tracing::info!(task, rows, "done"),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(task, %error, cause, "failed; the next round tries again");
        }
    }
}
