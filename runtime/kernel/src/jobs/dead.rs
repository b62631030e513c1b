//! Dead jobs, those that failed too often: listed for administrators without their secret values, retried, or
//! discarded.
//!
//! The calling code must have checked that the caller may do this.

use super::Work;
use crate::{cx::Db, error::Result, member::Member};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{Row, postgres::PgRow, types::Json};
use uuid::Uuid;

/// Shown instead of the value of a payload member that must stay hidden.
const HIDDEN: &str = "•";

#[derive(Clone, Debug, PartialEq)]
pub struct Dead {
    pub id: Uuid,
    /// Ascending: newer jobs have a higher number.
    pub place: i64,
    pub name: String,
    /// Members that the job does not declare as shown are replaced by a placeholder.
    pub payload: Map<String, Value>,
    pub on_behalf_of: Option<Uuid>,
    pub request_id: Option<Uuid>,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Newest first. `work` knows which payload members may be shown.
pub async fn dead(
    db: &Db,
    work: &Work,
    name: Option<&str>,
    before: Option<i64>,
    limit: i32,
) -> Result<Vec<Dead>> {
    let rows = sqlx::query(
        "select id, place, name, payload, on_behalf_of, request_id, attempts, last_error, created_at, ended_at
         from jobs.dead($1, $2, $3)",
    )
    .bind(name)
    .bind(before)
    .bind(limit)
    .fetch_all(&mut *db.queue().await?)
    .await?;
    let dead = rows.iter().map(|row| read(row, work));
    Ok(dead.collect::<Result<_, sqlx::Error>>()?)
}

/// The outcome of retrying a dead job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revived {
    Queued,
    /// Another job with the same unique key is waiting already, so this one stays dead.
    Waiting,
    Missing,
}

/// Puts the job back into the queue, starting with its first attempt. Recorded in the audit log.
pub async fn revive(db: &Db, by: Option<&Member>, request: Uuid, id: Uuid) -> Result<Revived> {
    let mut cx = db.job("jobs", by, request).await?;
    let revived = sqlx::query_scalar("select jobs.revive($1)").bind(id);
    let revived: Option<String> = revived.fetch_one(cx.conn()).await?;
    cx.has_enqueued();
    cx.commit().await?;
    Ok(match revived.as_deref() {
        Some("queued") => Revived::Queued,
        Some(_) => Revived::Waiting,
        None => Revived::Missing,
    })
}

/// Discards the job. Recorded in the audit log. Returns whether it was there.
pub async fn discard(db: &Db, by: Option<&Member>, request: Uuid, id: Uuid) -> Result<bool> {
    let mut cx = db.job("jobs", by, request).await?;
    let discarded = sqlx::query_scalar("select jobs.discard($1)").bind(id);
    let discarded = discarded.fetch_one(cx.conn()).await?;
    cx.commit().await?;
    Ok(discarded)
}

fn read(row: &PgRow, work: &Work) -> Result<Dead, sqlx::Error> {
    let name: String = row.try_get("name")?;
    let Json(payload) = row.try_get("payload")?;
    let shown = work.job(&name).map_or(&[][..], |job| job.shown);
    Ok(Dead {
        id: row.try_get("id")?,
        place: row.try_get("place")?,
        payload: redacted(payload, shown),
        on_behalf_of: row.try_get("on_behalf_of")?,
        request_id: row.try_get("request_id")?,
        attempts: row.try_get("attempts")?,
        last_error: row.try_get("last_error")?,
        created_at: row.try_get("created_at")?,
        ended_at: row.try_get("ended_at")?,
        name,
    })
}

fn redacted(mut payload: Map<String, Value>, shown: &[&str]) -> Map<String, Value> {
    for (key, value) in &mut payload {
        if !shown.contains(&key.as_str()) {
            *value = HIDDEN.into();
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_shown_is_only_there() {
        let payload = json!({"template": "reset", "to": "ana@example.org", "deep": {"token": "t"}});
        let Value::Object(payload) = payload else {
            unreachable!()
        };
        let shown = Value::Object(redacted(payload, &["template"]));
        assert_eq!(shown, json!({"template": "reset", "to": "•", "deep": "•"}));
    }
}
