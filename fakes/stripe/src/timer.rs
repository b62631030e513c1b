//! What happens by itself when time has passed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    RefundSettles(String),
    RefundFails(String),
    /// An authorization that nobody captured.
    AuthorizationExpires(String),
    /// A period of a subscription ends. Its end is named so that an older timer is known as such.
    PeriodEnds(String, i64),
    InvoiceRetries(String),
    /// Nobody paid the first invoice.
    SubscriptionExpires(String),
}

/// In order of time, then of setting.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Timers {
    // A list of pairs: JSON has no maps by number pairs.
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
