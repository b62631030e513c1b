//! What time it is. What is stored, or compared with what is stored, goes by the clock of the database, which all servers
//! share; what a server decides by itself, as whether a signature is too old, by one that tests can put wrong.
//!
//! Nobody else asks the machine: `tests/src/house.rs` has the exceptions, each with its reason.

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Cx, Result, failpoint};
use std::sync::Arc;

/// When the transaction began, by the clock of the database.
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
