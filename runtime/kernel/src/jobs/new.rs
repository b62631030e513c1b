//! Enqueueing, in the caller's transaction.

use crate::{
    cx::Cx,
    error::{Error, Result},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

/// A job to be enqueued. In the transaction of a module: one of its own jobs, with all options. In the transaction of
/// a request: one of those that the spec lists under `on_request`, always on behalf of the caller.
#[derive(Clone, Debug)]
pub struct NewJob {
    name: &'static str,
    payload: Value,
    run_at: Option<DateTime<Utc>>,
    unique_key: Option<String>,
    on_key: &'static str,
    order_key: Option<String>,
    on_behalf_of: Option<Uuid>,
    priority: i32,
}

impl NewJob {
    /// The payload is an object of at most 64 KiB. It is stored unencrypted, so it must not contain secrets.
    pub fn new(name: &'static str, payload: impl Serialize) -> Result<Self> {
        Ok(Self {
            name,
            payload: serde_json::to_value(payload).map_err(Error::internal)?,
            run_at: None,
            unique_key: None,
            on_key: "keep",
            order_key: None,
            on_behalf_of: None,
            priority: 0,
        })
    }

    /// The earliest time at which the job may run.
    pub fn at(self, time: DateTime<Utc>) -> Self {
        Self {
            run_at: Some(time),
            ..self
        }
    }

    /// At most one waiting job of this name has this key: if there is one already, nothing is enqueued.
    pub fn unless_waiting(self, key: impl Into<String>) -> Self {
        Self {
            unique_key: Some(key.into()),
            on_key: "keep",
            ..self
        }
    }

    /// At most one waiting job of this name has this key: if there is one already, it gets the payload and time of
    /// this one.
    pub fn replacing(self, key: impl Into<String>) -> Self {
        Self {
            unique_key: Some(key.into()),
            on_key: "replace",
            ..self
        }
    }

    /// Jobs with the same key run one after the other in the order in which they were enqueued, even while one of them
    /// waits for another attempt. A dead job no longer holds back those behind it.
    pub fn in_order(self, key: impl Into<String>) -> Self {
        Self {
            order_key: Some(key.into()),
            ..self
        }
    }

    /// The job runs for this member. Whether the account is still good is checked before each attempt; if it is not,
    /// the job is dropped.
    pub fn on_behalf_of(self, member: Uuid) -> Self {
        Self {
            on_behalf_of: Some(member),
            ..self
        }
    }

    /// Jobs with a lower priority number run earlier; the default is 0.
    pub fn priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    /// Enqueues the job and returns its id. `None`: a job with the same unique key is waiting already.
    pub async fn put(self, cx: &mut Cx) -> Result<Option<Uuid>> {
        let id = match cx.module() {
            Some(_) => self.enqueue(cx).await?,
            None => self.request(cx).await?,
        };
        cx.has_enqueued();
        Ok(id)
    }

    async fn enqueue(&self, cx: &mut Cx) -> Result<Option<Uuid>> {
        let put = sqlx::query_scalar("select jobs.enqueue($1, $2, $3, $4, $5, $6, $7, $8, null)")
            .bind(self.name)
            .bind(Json(&self.payload))
            .bind(self.run_at)
            .bind(&self.unique_key)
            .bind(self.on_key)
            .bind(&self.order_key)
            .bind(self.on_behalf_of)
            .bind(self.priority);
        Ok(put.fetch_one(cx.conn()).await?)
    }

    async fn request(&self, cx: &mut Cx) -> Result<Option<Uuid>> {
        let me = cx.actor().user();
        if self.order_key.is_some()
            || self.priority != 0
            || self.on_behalf_of.is_some_and(|member| Some(member) != me)
        {
            return Err(Error::internal(
                "a request enqueues on behalf of its caller, without order or priority",
            ));
        }
        let put = sqlx::query_scalar("select jobs.request($1, $2, $3, $4, $5)")
            .bind(self.name)
            .bind(Json(&self.payload))
            .bind(self.run_at)
            .bind(&self.unique_key)
            .bind(self.on_key);
        Ok(put.fetch_one(cx.conn()).await?)
    }
}

/// Removes a waiting job by its unique key: a module one of its own, a request one of its caller. Returns whether
/// there was one.
pub async fn cancel(cx: &mut Cx, name: &'static str, key: &str) -> Result<bool> {
    let cancelled = sqlx::query_scalar("select jobs.cancel($1, $2)")
        .bind(name)
        .bind(key);
    Ok(cancelled.fetch_one(cx.conn()).await?)
}
