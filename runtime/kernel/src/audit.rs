//! The audit log's seals: made by the worker, checked by the command line.
//!
//! The log itself is written by triggers; nothing here can write or change an entry.

use crate::{cx::Db, error::Result};
use sqlx::Row;
use uuid::Uuid;

/// One seal over all entries of transactions that had finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    pub id: i64,
    pub entries: i64,
    /// Publish it somewhere the database cannot reach.
    pub hash: String,
}

/// Seals what is new. `None`: nothing is.
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

/// A seal that does not fit the log any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub seal: i64,
    pub problem: String,
}

/// The first broken seal; `None`: the log is as it was sealed.
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
