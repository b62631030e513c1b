//! Adds up, once a second, what counters with `delta` have noted. Knows no counter.

use crate::module::{Module, NoSettings, Parts};
use kernel::{Db, counters, http::ConfigError, jobs::Periodic};
use std::time::Duration;

/// How far behind such a counter may be.
const EVERY: Duration = Duration::from_secs(1);

/// The module. Has no routes.
#[derive(Clone)]
pub struct Counters {
    db: Db,
}

impl Module for Counters {
    const NAME: &'static str = "counters";
    type Settings = NoSettings;

    fn new(parts: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
        })
    }

    fn periodic(&self) -> Vec<Periodic> {
        let db = self.db.clone();
        let add_up = move || {
            let db = db.clone();
            async move { counters::roll_up(&db).await }
        };
        vec![Periodic::new("add up counters", EVERY, add_up)]
    }
}
