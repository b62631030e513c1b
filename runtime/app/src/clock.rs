//! The current time. Times that are stored, or compared with stored times, come from the database's clock, which all
//! servers share. What a server decides by itself, such as whether a signature is too old, uses [`Clock`], which tests
//! can set.
//!
//! No other code may read the machine's clock: `tests/src/house.rs` lists the exceptions, each with its reason.

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Cx, Result, failpoint};
use std::sync::Arc;

/// The start time of the transaction, by the database's clock.
pub async fn of_database(cx: &mut Cx) -> Result<DateTime<Utc>> {
    let now = sqlx::query_scalar("select now()").fetch_one(cx.conn());
    Ok(now.await?)
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
