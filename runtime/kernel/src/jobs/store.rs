//! The functions of the job queue in the database, as the worker calls them. Each call is a transaction by itself.

use super::Consumer;
use crate::{cx::Db, error::Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow, types::Json};
use std::time::Duration;
use uuid::Uuid;

/// A job that this worker has leased.
#[derive(Debug)]
pub(super) struct Claimed {
    pub id: Uuid,
    pub name: String,
    pub payload: Value,
    pub on_behalf_of: Option<Uuid>,
    pub request_id: Option<Uuid>,
    pub attempt: i32,
}

/// Which attempt at which job a worker makes. If the job has another attempt by now, another worker has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub job: Uuid,
    pub worker: Uuid,
    pub attempt: i32,
}

pub(super) async fn claim(
    db: &Db,
    worker: Uuid,
    names: &[&'static str],
    limit: usize,
    lease: Duration,
) -> Result<Vec<Claimed>> {
    let text = "select id, name, payload, on_behalf_of, request_id, attempt from jobs.claim($1, $2, $3, $4)";
    let rows = sqlx::query(text)
        .bind(worker)
        .bind(names)
        .bind(limit as i32)
        .bind(span(lease))
        .fetch_all(&mut *db.queue().await?)
        .await?;
    Ok(rows.iter().map(claimed).collect::<Result<_, _>>()?)
}

/// Those of `ids` that are still leased to this worker.
pub(super) async fn heartbeat(
    db: &Db,
    worker: Uuid,
    ids: &[Uuid],
    lease: Duration,
) -> Result<Vec<Uuid>> {
    let held = sqlx::query_scalar("select jobs.heartbeat($1, $2, $3)")
        .bind(worker)
        .bind(ids)
        .bind(span(lease));
    Ok(held.fetch_all(&mut *db.queue().await?).await?)
}

pub(super) async fn rescue(db: &Db) -> Result<i32> {
    let rescued = sqlx::query_scalar("select jobs.rescue()");
    Ok(rescued.fetch_one(&mut *db.queue().await?).await?)
}

/// False: another worker has the job by now.
pub(super) async fn complete(db: &Db, lease: Lease) -> Result<bool> {
    let completed = sqlx::query_scalar(COMPLETE)
        .bind(lease.job)
        .bind(lease.worker)
        .bind(lease.attempt);
    Ok(completed.fetch_one(&mut *db.queue().await?).await?)
}

pub(super) const COMPLETE: &str = "select jobs.complete($1, $2, $3)";

/// The new state of the job: `queued`, `dead` or `superseded`; `None`: another worker has the job by now.
pub(super) async fn fail(
    db: &Db,
    lease: Lease,
    error: &str,
    delay: Duration,
    last: bool,
) -> Result<Option<String>> {
    let failed = sqlx::query_scalar("select jobs.fail($1, $2, $3, $4, $5, $6)")
        .bind(lease.job)
        .bind(lease.worker)
        .bind(lease.attempt)
        .bind(error)
        .bind(span(delay))
        .bind(last);
    Ok(failed.fetch_one(&mut *db.queue().await?).await?)
}

pub(super) async fn release(db: &Db, worker: Uuid, ids: &[Uuid]) -> Result<i32> {
    let released = sqlx::query_scalar("select jobs.release($1, $2)")
        .bind(worker)
        .bind(ids);
    Ok(released.fetch_one(&mut *db.queue().await?).await?)
}

pub(super) async fn is_active(db: &Db, member: Uuid) -> Result<bool> {
    let active = sqlx::query_scalar("select sec.is_active($1)").bind(member);
    Ok(active.fetch_one(&mut *db.queue().await?).await?)
}

/// How far the runs of a periodic job were enqueued.
#[derive(Debug)]
pub(super) struct Tick {
    /// The name of the job.
    pub name: String,
    /// The last tick for which runs were enqueued.
    pub last_tick: DateTime<Utc>,
    /// The current time of the database.
    pub seen_at: DateTime<Utc>,
}

pub(super) async fn ticks(db: &Db, names: &[&'static str]) -> Result<Vec<Tick>> {
    let rows = sqlx::query("select name, last_tick, seen_at from jobs.ticks($1)")
        .bind(names)
        .fetch_all(&mut *db.queue().await?)
        .await?;
    let ticks = rows.iter().map(|row| {
        Ok(Tick {
            name: row.try_get("name")?,
            last_tick: row.try_get("last_tick")?,
            seen_at: row.try_get("seen_at")?,
        })
    });
    Ok(ticks.collect::<Result<_, sqlx::Error>>()?)
}

/// Enqueues the runs of a job from its last tick up to `upto`. False: another process has enqueued them already.
pub(super) async fn tick(
    db: &Db,
    last: &Tick,
    upto: DateTime<Utc>,
    runs: &[DateTime<Utc>],
    each: bool,
) -> Result<bool> {
    let ticked = sqlx::query_scalar("select jobs.tick($1, $2, $3, $4, $5, null)")
        .bind(&last.name)
        .bind(last.last_tick)
        .bind(upto)
        .bind(runs)
        .bind(each);
    Ok(ticked.fetch_one(&mut *db.queue().await?).await?)
}

/// Registers which jobs consume which events.
pub(super) async fn subscribe(db: &Db, consumers: &[Consumer]) -> Result<()> {
    let events: Vec<&str> = consumers.iter().map(|one| one.event).collect();
    let jobs: Vec<&str> = consumers.iter().map(|one| one.job).collect();
    sqlx::query("select jobs.subscribe($1, $2)")
        .bind(events)
        .bind(jobs)
        .execute(&mut *db.queue().await?)
        .await?;
    Ok(())
}

/// Turns events into jobs. Returns the number of events.
pub(super) async fn relay(db: &Db, limit: i32) -> Result<i32> {
    let relayed = sqlx::query_scalar("select jobs.relay($1)").bind(limit);
    Ok(relayed.fetch_one(&mut *db.queue().await?).await?)
}

/// Figures of the queue for monitoring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub queued: i64,
    pub running: i64,
    pub dead: i64,
    /// For how long the oldest job that is due has been waiting.
    pub oldest_seconds: f64,
}

pub async fn figures(db: &Db) -> Result<Figures> {
    let text = "select queued, running, dead, oldest_seconds from jobs.figures()";
    let (queued, running, dead, oldest_seconds) = sqlx::query_as(text)
        .fetch_one(&mut *db.queue().await?)
        .await?;
    Ok(Figures {
        queued,
        running,
        dead,
        oldest_seconds,
    })
}

/// Archives or restores one batch of the children that are still to follow their parent. False: none are left, or other
/// transactions are at work on them. A batch that fails is logged, and done again in a minute.
pub async fn cascade(db: &Db) -> Result<bool> {
    let cascaded = sqlx::query_scalar("select jobs.cascade()");
    let done: Option<String> = cascaded.fetch_one(&mut *db.queue().await?).await?;
    if let Some(error) = done.as_ref().filter(|error| !error.is_empty()) {
        tracing::error!(%error, "children of an archived or restored row could not follow it");
    }
    Ok(done.is_some())
}

/// Deletes dead jobs that are older than the retention time, at most `limit` at once. Returns how many.
pub async fn purge(db: &Db, kept: TimeDelta, limit: i32) -> Result<u64> {
    let purged: i64 = sqlx::query_scalar("select jobs.purge(now() - $1::interval, $2)")
        .bind(kept)
        .bind(limit)
        .fetch_one(&mut *db.queue().await?)
        .await?;
    Ok(purged.max(0) as u64)
}

/// Deletes stored answers of idempotency keys that are older than the retention time, at most `limit` at once. Returns
/// how many.
pub async fn purge_requests(db: &Db, kept: TimeDelta, limit: i32) -> Result<u64> {
    let purged: i64 = sqlx::query_scalar("select requests.purge(now() - $1::interval, $2)")
        .bind(kept)
        .bind(limit)
        .fetch_one(&mut *db.queue().await?)
        .await?;
    Ok(purged.max(0) as u64)
}

/// Deletes events that were turned into jobs longer ago than the retention time, at most `limit` at once. Returns how
/// many.
pub async fn purge_events(db: &Db, kept: TimeDelta, limit: i32) -> Result<u64> {
    let purged: i64 = sqlx::query_scalar("select jobs.purge_events(now() - $1::interval, $2)")
        .bind(kept)
        .bind(limit)
        .fetch_one(&mut *db.queue().await?)
        .await?;
    Ok(purged.max(0) as u64)
}

fn claimed(row: &PgRow) -> Result<Claimed, sqlx::Error> {
    let Json(payload) = row.try_get("payload")?;
    Ok(Claimed {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        payload,
        on_behalf_of: row.try_get("on_behalf_of")?,
        request_id: row.try_get("request_id")?,
        attempt: row.try_get("attempt")?,
    })
}

/// In microseconds, the smallest part of an interval in PostgreSQL: with nanoseconds it could not be sent. Rounded up, so
/// that nothing is due early.
fn span(duration: Duration) -> TimeDelta {
    let micros = duration.as_nanos().div_ceil(1000);
    i64::try_from(micros).map_or(TimeDelta::MAX, TimeDelta::microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_has_no_nanoseconds() {
        for (nanos, micros) in [(0, 0), (1, 1), (1_000, 1), (1_500_000_001, 1_500_001)] {
            let span = span(Duration::from_nanos(nanos));
            assert_eq!(span, TimeDelta::microseconds(micros));
            // What PostgreSQL's client does with it.
            assert_eq!(span.num_nanoseconds().map(|all| all % 1000), Some(0));
        }
        assert_eq!(span(Duration::MAX), TimeDelta::MAX);
    }
}
