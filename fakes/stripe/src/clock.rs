//! The fake's clock: either moved manually, or the machine's clock with an offset.

use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Clock {
    /// Stands still until it is advanced.
    Manual { now: i64 },
    /// Runs ahead of the machine's clock by so many seconds.
    Running { ahead: i64 },
}

impl Clock {
    pub fn now(self) -> i64 {
        match self {
            Self::Manual { now } => now,
            Self::Running { ahead } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                let seconds = since.map(|since| since.as_secs()).unwrap_or_default();
                i64::try_from(seconds).unwrap_or_default() + ahead
            }
        }
    }

    pub fn advance(&mut self, seconds: i64) {
        match self {
            Self::Manual { now: at } | Self::Running { ahead: at } => *at += seconds,
        }
    }
}
