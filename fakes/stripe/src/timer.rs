//! Timers: what happens by itself after some time.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    RefundSettles(String),
    RefundFails(String),
    /// An authorization that was not captured in time.
    AuthorizationExpires(String),
    /// The end of a subscription's period. Contains the time of the end, so that an outdated timer is recognized.
    PeriodEnds(String, i64),
    InvoiceRetries(String),
    /// The first invoice was not paid in time.
    SubscriptionExpires(String),
    /// The invoice of a pending update was not paid in time.
    UpdateExpires(String),
}

/// The timers in the order of their times, and then in the order in which they were set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Timers {
    // Stored as a list of pairs, since keys of JSON objects can't be pairs of numbers.
    #[serde(with = "pairs")]
    due: BTreeMap<(i64, u64), Timer>,
    count: u64,
}

impl Timers {
    pub fn set(&mut self, at: i64, timer: Timer) {
        self.count += 1;
        self.due.insert((at, self.count), timer);
    }

    pub fn next_until(&mut self, now: i64) -> Option<(i64, Timer)> {
        let entry = self.due.first_entry()?;
        let at = entry.key().0;
        (at <= now).then(|| (at, entry.remove()))
    }
}

mod pairs {
    use super::Timer;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    type Map = BTreeMap<(i64, u64), Timer>;

    pub fn serialize<S: Serializer>(map: &Map, to: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Map, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().collect())
    }
}
