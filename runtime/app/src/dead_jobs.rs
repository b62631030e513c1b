//! `/jobs/dead`: jobs that failed too often, which platform administrators can inspect, retry or discard.
//!
//! The queue is accessed in a transaction of the `jobs` module, after the database has confirmed the member's role. A
//! payload's values are shown only if the job's declaration allows it.

mod query;

use crate::access::{Access, Table};
use crate::module::{Module, NoSettings, Parts, administrator, id, uncached};
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::{delete, get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{
    Db, Error, Member, Result, counters,
    cursor::CursorKey,
    http::ConfigError,
    jobs::{self, Job, Periodic, Revived, Work},
    openapi::Objects,
    problems,
};
use query::Query;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

/// The retention time of dead jobs, during which administrators can inspect them.
const DEAD_FOR: TimeDelta = TimeDelta::days(30);
/// The retention time of events that every consumer has received as a job.
const TOLD_FOR: TimeDelta = TimeDelta::days(7);
/// The retention time of answers to requests with an `Idempotency-Key`.
const ANSWERED_FOR: TimeDelta = TimeDelta::hours(72);
const PURGED_AT_ONCE: i32 = 1000;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct DeadJobs {
    db: Db,
    /// The declared jobs, which tell what of a payload may be shown.
    work: Arc<OnceLock<Work>>,
    cursors: Arc<CursorKey>,
}

impl Module for DeadJobs {
    const NAME: &'static str = "jobs";
    type Settings = NoSettings;

    fn new(parts: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            work: parts.work.clone(),
            cursors: Arc::new(CursorKey::new(&parts.secret("cursors"))),
        })
    }

    fn routes(&self, _: &Router) -> Router {
        Router::new()
            .route("/jobs/dead", get(list))
            .route("/jobs/dead/{id}", delete(discard))
            .route("/jobs/dead/{id}/retry", post(retry))
            .with_state(self.clone())
    }

    fn access() -> Table {
        &[
            ("listDeadJobs", Access::PlatformAdmin),
            ("discardDeadJob", Access::PlatformAdmin),
            ("retryDeadJob", Access::PlatformAdmin),
        ]
    }

    fn document() -> openapi::OpenApi {
        Document::openapi()
    }

    fn jobs(&self) -> Vec<Job> {
        let purge = |queue: Self, _| async move { Ok(purge(&queue.db).await?) };
        let cascade = |queue: Self, _| async move { Ok(cascade(&queue.db).await?) };
        let mut jobs = vec![
            Job::of(self, "jobs.purge", purge),
            Job::of(self, "jobs.cascade", cascade),
        ];
        if counts_later() {
            let count =
                |queue: Self, _| async move { Ok(counters::roll_up(&queue.db).await.map(drop)?) };
            jobs.push(Job::of(self, "jobs.count", count));
        }
        jobs
    }

    fn periodic(&self) -> Vec<Periodic> {
        let mut all = vec![
            Periodic::every("jobs.purge", Duration::from_hours(1)),
            // For what was locked or failed when the job that archiving enqueues ran.
            Periodic::every("jobs.cascade", Duration::from_mins(1)),
        ];
        if counts_later() {
            all.push(Periodic::every("jobs.count", Duration::from_secs(1)));
        }
        all
    }
}

/// Whether the spec has a counter that a job adds up (`delta`).
fn counts_later() -> bool {
    !generated::COUNTED_LATER.is_empty()
}

/// Archives and restores what is left to follow archived and restored rows. Each batch is a transaction; if the worker is
/// stopped, the next run goes on where this one was.
async fn cascade(db: &Db) -> Result<()> {
    while jobs::cascade(db).await? {}
    Ok(())
}

async fn purge(db: &Db) -> Result<()> {
    let full = PURGED_AT_ONCE as u64;
    while jobs::purge(db, DEAD_FOR, PURGED_AT_ONCE).await? == full {}
    while jobs::purge_events(db, TOLD_FOR, PURGED_AT_ONCE).await? == full {}
    while jobs::purge_requests(db, ANSWERED_FOR, PURGED_AT_ONCE).await? == full {}
    Ok(())
}

static OBJECTS: Objects = Objects(&[("DeadJob", "dead_job")]);

#[derive(OpenApi)]
#[openapi(paths(list, retry, discard), modifiers(&OBJECTS))]
struct Document;

/// A job that failed in all its attempts. It is kept for 30 days.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "019a6d3c-7c3e-7b1a-9d2f-0242ac120002", "name": "sessions.mail",
    "payload": {"template": "reset_password", "to": "•"}, "on_behalf_of": null, "attempts": 20,
    "request_id": "019a6d3c-7c3e-7b1a-9d2f-0242ac120004", "last_error": "the mail server refused the connection",
    "created_at": "2026-11-20T18:30:00Z", "ended_at": "2026-11-23T20:11:00Z"}))]
#[serde(tag = "object", rename = "dead_job")]
struct DeadJob {
    id: Uuid,
    /// `<module>.<job>`
    name: String,
    /// Input of the job; `"•"` replaces values that are not shown.
    #[schema(value_type = Object)]
    payload: Map<String, Value>,
    /// Id of the member for whom the job runs.
    on_behalf_of: Option<Uuid>,
    /// `X-Request-Id` of the response to the request that enqueued the job.
    request_id: Option<Uuid>,
    attempts: i32,
    last_error: Option<String>,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
struct DeadJobList {
    data: Vec<DeadJob>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

impl From<jobs::Dead> for DeadJob {
    fn from(dead: jobs::Dead) -> Self {
        Self {
            id: dead.id,
            name: dead.name,
            payload: dead.payload,
            on_behalf_of: dead.on_behalf_of,
            request_id: dead.request_id,
            attempts: dead.attempts,
            last_error: dead.last_error,
            created_at: dead.created_at,
            ended_at: dead.ended_at,
        }
    }
}

/// List dead jobs
///
/// Newest first. Only for platform administrators.
#[utoipa::path(get, path = "/jobs/dead", operation_id = "listDeadJobs", tag = "Oversight",
    security(("bearer" = [])), params(
        ("name" = Option<String>, Query, description = "Only jobs of this name", max_length = 127, example = "sessions.mail"),
        ("limit" = Option<i32>, Query, description = "Jobs per page (default 20)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page", min_length = 1, max_length = 1000)),
    responses(
        (status = 200, description = "A page of dead jobs", body = DeadJobList),
        (status = 403, description = "The caller is not a platform administrator"),
        (status = 422, description = "A parameter is unknown or has a wrong value")))]
async fn list(
    State(queue): State<DeadJobs>,
    caller: Member,
    RawQuery(text): RawQuery,
) -> Result<Response> {
    administrator(&caller)?;
    let user = caller.id();
    let query = Query::read(text.as_deref().unwrap_or_default())?;
    let before = query.before(&queue.cursors, user)?;
    let limit = query.limit();
    let work = queue.work.get().cloned().unwrap_or_default();
    let mut dead = jobs::dead(&queue.db, &work, query.name(), before, limit as i32 + 1).await?;
    let more = dead.len() > limit;
    dead.truncate(limit);
    let last = dead.last().filter(|_| more);
    let page = DeadJobList {
        next_cursor: last.map(|job| query.cursor(&queue.cursors, user, job.place)),
        data: dead.into_iter().map(DeadJob::from).collect(),
    };
    Ok(uncached(page))
}

/// Retry a dead job
///
/// The job is enqueued again with all its attempts; this is audited. Only for platform administrators.
#[utoipa::path(post, path = "/jobs/dead/{id}/retry", operation_id = "retryDeadJob", tag = "Oversight",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Id of the job")),
    responses(
        (status = 204, description = "The job is enqueued"),
        (status = 403, description = "The caller is not a platform administrator"),
        (status = 404, description = "The dead job does not exist"),
        (status = 409, description = "A newer job of the same name and key is waiting already")))]
async fn retry(
    State(queue): State<DeadJobs>,
    caller: Member,
    Path(job): Path<String>,
) -> Result<StatusCode> {
    administrator(&caller)?;
    match jobs::revive(&queue.db, Some(&caller), caller.request_id, id(&job)?).await? {
        Revived::Queued => Ok(StatusCode::NO_CONTENT),
        Revived::Missing => Err(Error::not_found()),
        Revived::Waiting => Err(Error::new(&problems::CONFLICT)
            .detail("A newer job of the same kind and key waits already; give this one up.")),
    }
}

/// Discard a dead job
///
/// Deletes the job for good; this is audited. Only for platform administrators.
#[utoipa::path(delete, path = "/jobs/dead/{id}", operation_id = "discardDeadJob", tag = "Oversight",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Id of the job")),
    responses(
        (status = 204, description = "The job is deleted"),
        (status = 403, description = "The caller is not a platform administrator"),
        (status = 404, description = "The dead job does not exist")))]
async fn discard(
    State(queue): State<DeadJobs>,
    caller: Member,
    Path(job): Path<String>,
) -> Result<StatusCode> {
    administrator(&caller)?;
    if jobs::discard(&queue.db, Some(&caller), caller.request_id, id(&job)?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found())
    }
}
