//! Counters that are updated with a delay (`delta` in the spec): changes are noted, and a worker adds them up. An
//! application with such a counter (`COUNTED_LATER` of its generated crate) calls this from a periodic job.

use crate::{cx::Db, error::Result};
use uuid::Uuid;

/// How many notes one transaction processes: it locks the counters that it changes until it ends.
const BATCH: i32 = 20_000;

/// Adds up the notes so far. Returns their number; 0 while another worker is doing it.
pub async fn roll_up(db: &Db) -> Result<u64> {
    let mut total = 0;
    loop {
        let mut cx = db.job("counters", None, Uuid::now_v7()).await?;
        let statement = sqlx::query_scalar("select counters.roll_up($1)");
        let taken: i64 = statement.bind(BATCH).fetch_one(cx.conn()).await?;
        cx.commit().await?;
        total += taken.unsigned_abs();
        if taken < i64::from(BATCH) {
            return Ok(total);
        }
    }
}
