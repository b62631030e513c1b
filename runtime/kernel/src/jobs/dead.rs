//! Jobs that failed too often: shown to administrators without what is secret, tried again, or given up.
//!
//! Who calls this decides first whether the caller may.

use super::Work;
use crate::{cx::Db, error::Result, member::Member};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{Row, postgres::PgRow, types::Json};
use uuid::Uuid;

/// In place of a member of the payload that is not shown.
const HIDDEN: &str = "•";

#[derive(Clone, Debug, PartialEq)]
pub struct Dead {
    pub id: Uuid,
    /// Newer jobs have a higher one.
    pub place: i64,
    pub name: String,
    /// Members that its job does not show are hidden.
    pub payload: Map<String, Value>,
    pub on_behalf_of: Option<Uuid>,
    pub request_id: Option<Uuid>,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Newest first. `work` says what may be shown.
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

/// What came of trying a dead job again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revived {
    Queued,
    /// One with the same key waits already; it stays dead.
    Waiting,
    Missing,
}

/// From its first attempt. Goes to the audit log.
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

/// Gives it up. Goes to the audit log. Whether it was there.
pub async fn discard(db: &Db, by: Option<&Member>, request: Uuid, id: Uuid) -> Result<bool> {
    let mut cx = db.job("jobs", by, request).await?;
    let discarded = sqlx::query_scalar("select jobs.discard($1)").bind(id);
    let discarded = discarded.fetch_one(cx.conn()).await?;
    cx.commit().await?;
    Ok(discarded)
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
