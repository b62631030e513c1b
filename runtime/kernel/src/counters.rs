//! Counters that are a moment behind (`delta` in the spec): changes are noted, and a worker adds them up. An
//! application with such a counter calls this from a periodic job.

use crate::{cx::Db, error::Result};
use uuid::Uuid;

/// Notes that one transaction takes: it holds the counters that it changes until it ends.
const BATCH: i32 = 20_000;

/// Adds up what is noted by now. How many notes; none while another worker is at it.
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
