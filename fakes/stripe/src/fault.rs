//! The script of faults: which calls fail, how often, and how.

use crate::random::Random;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// The connection closes, and nothing was done.
    DropBefore,
    /// The connection closes after everything was done.
    DropAfter,
    /// Everything is done, but the answer is delayed; meanwhile the key counts as in use.
    Stall { seconds: u32 },
    /// 500, and nothing was done; stored under the key.
    ErrorBefore,
    /// 500, although everything was done; stored under the key.
    ErrorAfter,
    /// 429; not stored under the key.
    RateLimited,
    /// 409, as for a key in use; not stored under the key.
    Conflict,
    /// Everything is done, but only half of the answer arrives.
    Malformed,
    /// The service is unreachable: every call fails to connect.
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

/// An entry of the script.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    #[serde(flatten)]
    pub kind: Kind,
    /// The method of the calls that fail. None: all methods.
    #[serde(default)]
    pub method: Option<String>,
    /// The beginning of the paths of the calls that fail, such as `/v1/payment_intents`. None: all paths.
    #[serde(default)]
    pub path: Option<String>,
    /// The number of matching calls that succeed first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls fail. None: no limit.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many of a thousand matching calls fail, at random by the seed. None: every call.
    #[serde(default)]
    pub per_mille: Option<u32>,
    /// The time of the fake's clock at which the fault ends. None: never.
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

    /// A fault of the next matching call only.
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
    /// A generator of its own, so that adding a fault does not change the ids of objects.
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

    /// The fault that applies to this call, if any: the first entry that matches.
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
