//! The script of what goes wrong: which calls, how often, and in what way.

use crate::random::Random;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// The connection closes and nothing is done.
    DropBefore,
    /// Everything is done and the connection closes.
    DropAfter,
    /// Everything is done and the answer is late; meanwhile the key is in use.
    Stall { seconds: u32 },
    /// 500 and nothing is done; kept under the key.
    ErrorBefore,
    /// 500 and everything is done; kept under the key.
    ErrorAfter,
    /// 429; not kept.
    RateLimited,
    /// 409 as of a key in use; not kept.
    Conflict,
    /// Everything is done, and half of the answer arrives.
    Malformed,
    /// Every call fails to connect.
    Away,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::DropBefore,
        Self::DropAfter,
        Self::Stall { seconds: 30 },
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::RateLimited,
        Self::Conflict,
        Self::Malformed,
        Self::Away,
    ];
}

/// One line of the script.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    #[serde(flatten)]
    pub kind: Kind,
    /// Of calls with this method; of all if missing.
    #[serde(default)]
    pub method: Option<String>,
    /// Of paths that begin so (`/v1/payment_intents`); of all if missing.
    #[serde(default)]
    pub path: Option<String>,
    /// So many fitting calls are left alone first.
    #[serde(default)]
    pub skip: u32,
    /// So often; without end if missing.
    #[serde(default)]
    pub times: Option<u32>,
    /// Of a thousand fitting calls, by the seed; of each if missing.
    #[serde(default)]
    pub per_mille: Option<u32>,
    /// Until this time of the fake's clock.
    #[serde(default)]
    pub until: Option<i64>,
}

impl Fault {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            method: None,
            path: None,
            skip: 0,
            times: None,
            per_mille: None,
            until: None,
        }
    }

    /// Of the next fitting call only.
    pub fn once(kind: Kind) -> Self {
        Self {
            times: Some(1),
            ..Self::new(kind)
        }
    }

    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        let method_fits = self
            .method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        method_fits
            && self
                .path
                .as_ref()
                .is_none_or(|start| path.starts_with(start.as_str()))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Script {
    faults: Vec<Fault>,
    /// Of its own, so that adding a fault changes no id.
    random: Random,
}

impl Script {
    pub fn new(seed: u64) -> Self {
        Self {
            faults: Vec::new(),
            random: Random::new(seed ^ 0xFA),
        }
    }

    pub fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub fn clear(&mut self) {
        self.faults.clear();
    }

    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What goes wrong with this call, if anything: the first line that fits.
    pub fn strike(&mut self, method: &str, path: &str, now: i64) -> Option<Kind> {
        self.faults
            .retain(|fault| fault.times != Some(0) && fault.until.is_none_or(|until| now < until));
        for fault in &mut self.faults {
            if !fault.fits(method, path) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault
                .per_mille
                .is_some_and(|chance| !self.random.chance(chance))
            {
                continue;
            }
            if let Some(times) = &mut fault.times {
                if *times == 0 {
                    continue;
                }
                *times -= 1;
            }
            return Some(fault.kind);
        }
        None
    }
}
