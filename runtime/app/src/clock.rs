//! The current time. Times that are stored, or compared with stored times, come from the database's clock, which all
//! servers share. What a server decides by itself, such as whether a signature is too old, uses [`Clock`], which tests
//! can set.
//!
//! No other code may read the machine's clock: `tests/src/house.rs` lists the exceptions, each with its reason.

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Cx, Error, Result, failpoint};
use std::sync::Arc;

/// The start time of the transaction, by the database's clock.
pub async fn of_database(cx: &mut Cx) -> Result<DateTime<Utc>> {
    let now = sqlx::query_scalar("select now()").fetch_one(cx.conn());
    Ok(now.await?)
}

/// The refusal of a time in the past.
#[derive(Clone, Copy)]
pub struct InPast {
    /// The property: `/send_at`
    pub pointer: &'static str,
    /// Why, and what to send instead.
    pub detail: &'static str,
}

/// Refuses a time of a body that is not after the database's `now()`: 422. What the row has already (`before`) may be
/// sent again, since it has become past by itself.
pub async fn refuse_past(
    cx: &mut Cx,
    refusal: InPast,
    at: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
) -> Result<()> {
    // The database stores microseconds.
    let stored = |at: DateTime<Utc>| at.timestamp_micros();
    match at {
        Some(at) if before.map(stored) != Some(stored(at)) && at <= of_database(cx).await? => {
            Err(Error::field(refusal.pointer, "range", refusal.detail))
        }
        _ => Ok(()),
    }
}

#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        let offset = TimeDelta::seconds(failpoint::clock_offset_seconds());
        Self::new(move || Utc::now() + offset)
    }
}
