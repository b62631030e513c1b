//! One attempt at one job, as its handler sees it.

use super::{Job, store};
use crate::{
    cx::{Cx, Db},
    error::{Error, Result},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use uuid::Uuid;

pub struct Run {
    pub id: Uuid,
    /// 1, 2, …
    pub attempt: u32,
    /// The member for whom, whose account was good a moment ago.
    pub on_behalf_of: Option<Uuid>,
    /// Of the request that enqueued it; else its own id.
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

    /// One that does not fit is never going to: the job is dead at once.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.payload)
            .map_err(|error| Failure::last(Error::internal(format!("the payload: {error}"))))
    }

    /// A transaction of the job's module, for its member.
    pub async fn begin(&self) -> Result<Cx> {
        let (db, module, request) = (&self.db, self.module, self.request_id);
        match self.on_behalf_of {
            Some(member) => db.job_of_account(module, member, request).await,
            None => db.job(module, None, request).await,
        }
    }

    /// Ends the transaction and with it the job: what was written is written once, however often the job is tried.
    /// Fails if somebody else has the job by now; then nothing is written.
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

/// Why an attempt failed, and whether another one may help. Errors convert to one that may.
///
/// Its text is kept with the job and shown to administrators: no secrets and no addresses.
#[derive(Debug)]
pub struct Failure {
    pub(super) error: Error,
    pub(super) last: bool,
    pub(super) retry_in: Option<Duration>,
}

impl Failure {
    /// Trying again would change nothing: the job is dead.
    pub fn last(error: impl Into<Error>) -> Self {
        Self {
            last: true,
            ..Self::from(error.into())
        }
    }

    /// Whoever refused said when to come again.
    pub fn retry_in(error: impl Into<Error>, delay: Duration) -> Self {
        Self {
            retry_in: Some(delay),
            ..Self::from(error.into())
        }
    }

    /// Why, for whoever looks after it.
    pub fn text(&self) -> String {
        match std::error::Error::source(&self.error) {
            Some(cause) => cause.to_string(),
            None => self.error.to_string(),
        }
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
