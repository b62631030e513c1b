//! One attempt at a job: from checking that it may still be made to recording its outcome.

use crate::{
    cx::Db,
    error::{Error, Result},
    http::metrics,
    jobs::{
        Failure, Job, Outcome, Run, backoff,
        store::{self, Lease},
    },
};
use futures_util::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};
use uuid::Uuid;

pub(super) async fn run(db: Db, worker: Uuid, job: Job, claimed: store::Claimed) {
    let lease = Lease {
        job: claimed.id,
        worker,
        attempt: claimed.attempt,
    };
    let name = job.name();
    let (outcome, completed) = match may_run(&db, &job, &claimed).await {
        Ok(true) => {
            let run = Arc::new(Run::new(&db, worker, &job, &claimed));
            let outcome = guarded(&job, run.clone()).await;
            (outcome, run.is_completed())
        }
        Ok(false) => {
            tracing::info!(job = name, id = %claimed.id, "dropped: the member's account is not active any more");
            (Ok(()), false)
        }
        Err(failure) => (Err(failure), false),
    };
    if completed {
        return;
    }
    let written = match outcome {
        Ok(()) => store::complete(&db, lease).await.map(drop),
        Err(failure) => failed(&db, &job, lease, &failure).await,
    };
    if let Err(error) = written {
        // The lease will expire, and another worker will try again.
        let cause = error.cause();
        tracing::error!(job = name, id = %claimed.id, %error, cause, "what came of a job could not be written down");
    }
}

/// False: the job is no longer wanted.
async fn may_run(db: &Db, job: &Job, claimed: &store::Claimed) -> Result<bool, Failure> {
    if claimed.attempt.unsigned_abs() > job.attempts {
        // All its attempts ended because their workers died, so none of them could record a failure.
        let error = Error::internal("every worker that tried went away without finishing");
        return Err(Failure::last(error));
    }
    match claimed.on_behalf_of {
        Some(member) => Ok(store::is_active(db, member).await?),
        None => Ok(true),
    }
}

/// A panic or a timeout counts as a failure like any other.
async fn guarded(job: &Job, run: Arc<Run>) -> Outcome {
    let attempt = AssertUnwindSafe((job.handler)(run)).catch_unwind();
    match tokio::time::timeout(job.timeout, attempt).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => {
            metrics::PANICS.add();
            Err(Error::internal(format!("panicked: {}", message(&*panic))).into())
        }
        Err(_) => Err(Error::internal(format!("took longer than {:?}", job.timeout)).into()),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

async fn failed(db: &Db, job: &Job, lease: Lease, failure: &Failure) -> Result<()> {
    let Lease {
        job: id, attempt, ..
    } = lease;
    let (made, text) = (attempt.unsigned_abs(), failure.text());
    let delay = backoff::delay(made, backoff::random());
    let delay = failure.retry_in.unwrap_or(delay).min(backoff::LONGEST);
    let last = failure.last || made >= job.attempts;
    let became = store::fail(db, lease, &text, delay, last).await?;
    match became.as_deref() {
        Some("dead") => {
            metrics::JOBS_DIED.add();
            tracing::error!(job = job.name(), %id, attempt, error = text, "the job is dead");
        }
        Some(became) => {
            metrics::JOBS_FAILED.add();
            tracing::warn!(job = job.name(), %id, attempt, error = text, became, "an attempt failed");
        }
        None => tracing::warn!(job = job.name(), %id, attempt, "another worker has the job by now"),
    }
    Ok(())
}
