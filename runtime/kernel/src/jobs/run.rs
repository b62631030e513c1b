//! One attempt at one job, as its handler sees it.

use super::{Job, store};
use crate::{
    cx::{Cx, Db},
    error::{Error, Result},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use uuid::Uuid;

pub struct Run {
    pub id: Uuid,
    /// The number of this attempt: 1, 2, …
    pub attempt: u32,
    /// The member on whose behalf the job runs. The account was good when the attempt began.
    pub on_behalf_of: Option<Uuid>,
    /// The id of the request that enqueued the job; for others the job's own id.
    pub request_id: Uuid,
    module: &'static str,
    payload: Value,
    worker: Uuid,
    db: Db,
    completed: AtomicBool,
}

impl Run {
    pub(super) fn new(db: &Db, worker: Uuid, job: &Job, claimed: &store::Claimed) -> Self {
        Self {
            id: claimed.id,
            attempt: claimed.attempt.unsigned_abs(),
            on_behalf_of: claimed.on_behalf_of,
            request_id: claimed.request_id.unwrap_or(claimed.id),
            module: job.module(),
            payload: claimed.payload.clone(),
            worker,
            db: db.clone(),
            completed: AtomicBool::new(false),
        }
    }

    /// Parses the payload. One that does not parse never will, so the job is dead at once.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.payload)
            .map_err(|error| Failure::last(Error::internal(format!("the payload: {error}"))))
    }

    /// Begins a transaction of the job's module, on behalf of its member.
    pub async fn begin(&self) -> Result<Cx> {
        let (db, module, request) = (&self.db, self.module, self.request_id);
        match self.on_behalf_of {
            Some(member) => db.job_of_account(module, member, request).await,
            None => db.job(module, None, request).await,
        }
    }

    /// Commits the transaction and completes the job with it, so what was written is written once however often the
    /// job is attempted. Fails, and writes nothing, if another worker has the job by now.
    pub async fn commit(&self, mut cx: Cx) -> Result<()> {
        let completed: bool = sqlx::query_scalar(store::COMPLETE)
            .bind(self.id)
            .bind(self.worker)
            .bind(self.attempt as i32)
            .fetch_one(cx.conn())
            .await?;
        if !completed {
            return Err(Error::internal("another worker has this job by now"));
        }
        cx.commit().await?;
        self.completed.store(true, Relaxed);
        Ok(())
    }

    pub(super) fn is_completed(&self) -> bool {
        self.completed.load(Relaxed)
    }
}

/// Why an attempt failed, and whether another one may help. Other errors convert to one that may be retried.
///
/// The text is kept with the job and shown to administrators, so it must not contain secrets or addresses.
#[derive(Debug)]
pub struct Failure {
    pub(super) error: Error,
    pub(super) last: bool,
    pub(super) retry_in: Option<Duration>,
}

impl Failure {
    /// Another attempt would change nothing: the job is dead.
    pub fn last(error: impl Into<Error>) -> Self {
        Self {
            last: true,
            ..Self::from(error.into())
        }
    }

    /// The service that refused said when to try again.
    pub fn retry_in(error: impl Into<Error>, delay: Duration) -> Self {
        Self {
            retry_in: Some(delay),
            ..Self::from(error.into())
        }
    }

    /// The reason of the failure, for administrators.
    pub fn text(&self) -> String {
        self.error.reason()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            last: false,
            retry_in: None,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}
