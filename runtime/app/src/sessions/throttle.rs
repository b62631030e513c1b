//! Counting attempts, so that guessing is slow.
//!
//! An attempt is counted before it is made: a hundred at the same time are a hundred, not one.
//! Keys are keyed hashes of what is counted, the same for accounts that exist and that do not.

use super::Sessions;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Cx, Result};
use std::time::Duration;

/// How many attempts in which time.
#[derive(Clone, Copy)]
pub struct Limit {
    pub attempts: i32,
    pub window: Duration,
}

/// Counts one attempt; when there were too many, the seconds until the next.
pub async fn count(
    cx: &mut Cx,
    key: &str,
    limit: Limit,
    now: DateTime<Utc>,
) -> Result<Option<u64>> {
    let window = TimeDelta::from_std(limit.window).unwrap_or(TimeDelta::MAX);
    let (attempts, since): (i32, DateTime<Utc>) = sqlx::query_as(
        "insert into app.throttles as t (key_hash, attempts, counted_from) values ($1, 1, $2)
         on conflict (key_hash) do update set
           attempts = case when t.counted_from <= $3 then 1 else least(t.attempts + 1, 1000000) end,
           counted_from = case when t.counted_from <= $3 then $2 else t.counted_from end
         returning attempts, counted_from",
    )
    .bind(key)
    .bind(now)
    .bind(now - window)
    .fetch_one(cx.conn())
    .await?;
    Ok((attempts > limit.attempts).then(|| (since + window - now).num_seconds().max(1) as u64))
}

pub async fn forget(cx: &mut Cx, keys: &[String]) -> Result<()> {
    sqlx::query("delete from app.throttles where key_hash = any($1)")
        .bind(keys)
        .execute(cx.conn())
        .await?;
    Ok(())
}

impl Sessions {
    /// May another mail go to this address? Counts it.
    pub(super) async fn may_mail(&self, cx: &mut Cx, email: &str) -> Result<bool> {
        let limit = Limit {
            attempts: self.0.config.mails_per_hour,
            window: Duration::from_secs(3600),
        };
        let key = self.0.key.throttle("mail", &[email]);
        Ok(count(cx, &key, limit, self.0.clock.now()).await?.is_none())
    }
}
