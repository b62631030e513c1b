//! Quotas of actions that create no row, counted in the database per member and day (UTC) across all processes.
//!
//! Quotas of rows are enforced by triggers (`quota` in the spec).

use crate::{
    cx::Cx,
    error::{Error, Result},
    problems,
};
use chrono::Timelike;

/// Counts one use in the caller's transaction, so a rolled back use does not count. 429 if none is left.
pub async fn take(cx: &mut Cx, what: &'static str, per_day: u32) -> Result<()> {
    ask(cx, "select requests.take($1, $2)", what, per_day).await
}

/// 429 if no use is left. For actions that are counted only if they fail, by [`take`] in a transaction of its own:
/// without this, an attempt beyond the limit would still show whether it succeeds.
pub async fn check(cx: &mut Cx, what: &'static str, per_day: u32) -> Result<()> {
    ask(cx, "select requests.has_left($1, $2)", what, per_day).await
}

/// When the next day begins, in UTC.
pub fn seconds_to_midnight() -> u64 {
    let passed = chrono::Utc::now().num_seconds_from_midnight();
    u64::from(86_400_u32.saturating_sub(passed))
}

async fn ask(cx: &mut Cx, text: &'static str, what: &'static str, per_day: u32) -> Result<()> {
    let limit = i32::try_from(per_day).unwrap_or(i32::MAX);
    let is_left: bool = sqlx::query_scalar(text)
        .bind(what)
        .bind(limit)
        .fetch_one(cx.conn())
        .await?;
    match is_left {
        true => Ok(()),
        false => Err(Error::new(&problems::QUOTA)
            .detail(format!(
                "{per_day} requests of this kind a day are the limit"
            ))
            .limited(what, Some((per_day, 86_400)), seconds_to_midnight())),
    }
}
