//! The audit log: read by callers that the application admits, sealed by the worker, verified by the command line.
//!
//! The log is written by triggers; nothing here can write or change an entry, and the request role can't even read
//! one. So the calling code must check first whether the caller may read it.

use crate::{cx::Db, error::Result, member::Member};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{Row, postgres::PgRow, types::Json};
use uuid::Uuid;

/// A seal: a hash over all entries of transactions that had finished by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    pub id: i64,
    pub entries: i64,
    /// The hash, to be published somewhere that the database can't reach.
    pub hash: String,
}

/// Seals the entries that are not sealed yet. `None`: there are none.
pub async fn seal(db: &Db) -> Result<Option<Seal>> {
    let mut cx = db.job("audit", None, Uuid::now_v7()).await?;
    let statement = sqlx::query("select seal, row_count, hash from audit.seal()");
    let row = statement.fetch_optional(cx.conn()).await?;
    let seal = row.map(|row| -> Result<Seal, sqlx::Error> {
        Ok(Seal {
            id: row.try_get(0)?,
            entries: row.try_get(1)?,
            hash: row.try_get(2)?,
        })
    });
    let seal = seal.transpose()?;
    cx.commit().await?;
    Ok(seal)
}

/// A seal that does not match the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub seal: i64,
    pub problem: String,
}

/// The first seal that does not match; `None`: the log is unchanged since it was sealed.
pub async fn verify(db: &Db) -> Result<Option<Broken>> {
    let mut cx = db.job("audit", None, Uuid::now_v7()).await?;
    let statement = sqlx::query("select seal, problem from audit.verify()");
    let row = statement.fetch_optional(cx.conn()).await?;
    let broken = row.map(|row| -> Result<Broken, sqlx::Error> {
        Ok(Broken {
            seal: row.try_get(0)?,
            problem: row.try_get(1)?,
        })
    });
    Ok(broken.transpose()?)
}

/// Whether a seal with this hash exists. Somebody who can rewrite the log can also remove its last seals, but not a
/// hash that was published elsewhere.
pub async fn has_seal(db: &Db, hash: &str) -> Result<bool> {
    let mut cx = db.job("audit", None, Uuid::now_v7()).await?;
    let statement = sqlx::query_scalar("select audit.has_seal($1)").bind(hash);
    Ok(statement.fetch_one(cx.conn()).await?)
}

/// Which entries to list. A filter that is `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub entity_type: Option<String>,
    pub entity_id: Option<Uuid>,
    pub performed_by: Option<Uuid>,
    /// Only entries older than the one with this id.
    pub before: Option<i64>,
    pub limit: i32,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: i64,
    pub entity_type: String,
    pub entity_id: Uuid,
    pub action: String,
    pub performed_by: Option<Uuid>,
    pub performed_role: String,
    pub request_id: Option<Uuid>,
    pub reason: Option<String>,
    /// Column → `[before, after]`, with `"•"` for values that the log does not keep. Of a new row only columns that
    /// are not null, and `status` only if it is not `active`.
    pub changed: Value,
    pub created_at: DateTime<Utc>,
}

/// Newest first.
pub async fn history(db: &Db, reader: &Member, asked: &Asked) -> Result<Vec<Entry>> {
    let mut cx = db.job("audit", Some(reader), reader.request_id).await?;
    let rows = sqlx::query(
        "select id, entity_type, entity_id, action, performed_by, performed_role, request_id, reason, changed, created_at
         from audit.history($1, $2, $3, $4, $5)",
    )
    .bind(&asked.entity_type)
    .bind(asked.entity_id)
    .bind(asked.performed_by)
    .bind(asked.before)
    .bind(asked.limit)
    .fetch_all(cx.conn())
    .await?;
    Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
}

fn entry(row: &PgRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        id: row.try_get("id")?,
        entity_type: row.try_get("entity_type")?,
        entity_id: row.try_get("entity_id")?,
        action: row.try_get("action")?,
        performed_by: row.try_get("performed_by")?,
        performed_role: row.try_get("performed_role")?,
        request_id: row.try_get("request_id")?,
        reason: row.try_get("reason")?,
        changed: pairs(row.try_get("changed")?),
        created_at: row.try_get("created_at")?,
    })
}

/// The log stores only the values that a row was created with; the pair is completed with null for the old value.
fn pairs(Json(changed): Json<Map<String, Value>>) -> Value {
    let pair = |(column, value)| match value {
        Value::Array(_) => (column, value),
        made => (column, Value::Array(vec![Value::Null, made])),
    };
    changed.into_iter().map(pair).collect()
}
