//! Deliveries of events: which are due, to which endpoint, and how they are disturbed.
//!
//! Events are delivered at least once and in any order, as Stripe documents. This module has no socket: the sender
//! asks for deliveries that are due and reports the results.

use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Platform,
    Connect,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub url: String,
    /// Several while a secret is being rotated.
    pub secrets: Vec<String>,
}

/// Disturbances of deliveries, at random by the seed. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mischief {
    /// The maximum number of times that an event is delivered; the actual number is random.
    pub copies: u32,
    pub delay_seconds: u32,
    /// The maximum additional delay, which is random for each delivery, so that events overtake one another.
    pub shuffle_seconds: u32,
    /// How many of a thousand events are never delivered. They can still be listed.
    pub drop_per_mille: u32,
    /// Whether deliveries are held back until this is set to false.
    pub hold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Waiting,
    Sending,
    Delivered,
    /// Never delivered, because of [`Mischief`].
    Dropped,
    /// Given up after three days of attempts.
    GivenUp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub id: u64,
    pub event: String,
    pub target: Target,
    pub state: State,
    pub due: i64,
    pub planned: i64,
    pub attempts: u32,
    /// The status of the last answer. None: there was no answer.
    pub status: Option<u16>,
}

/// A delivery to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub delivery: u64,
    pub target: Target,
    pub url: String,
    pub signature: String,
    pub body: Vec<u8>,
}

const GIVE_UP_SECONDS: i64 = 3 * 24 * 60 * 60;
const WAITS: &[i64] = &[5, 30, 120, 600, 3600, 4 * 3600];

/// The number of finished deliveries that are remembered for inspection.
const REMEMBERED: usize = 20_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhooks {
    pub platform: Option<Endpoint>,
    pub connect: Option<Endpoint>,
    pub mischief: Mischief,
    deliveries: VecDeque<Delivery>,
    count: u64,
    random: Random,
}

impl Webhooks {
    pub fn new(seed: u64) -> Self {
        Self {
            platform: None,
            connect: None,
            mischief: Mischief::default(),
            deliveries: VecDeque::new(),
            count: 0,
            random: Random::new(seed ^ 0xB0),
        }
    }

    pub fn endpoint(&self, target: Target) -> Option<&Endpoint> {
        match target {
            Target::Platform => self.platform.as_ref(),
            Target::Connect => self.connect.as_ref(),
        }
    }

    pub fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter()
    }

    /// Plans the deliveries of an event, if there is an endpoint for it. Returns whether there is.
    pub fn plan(&mut self, event: &str, of_account: bool, now: i64) -> bool {
        let target = if of_account {
            Target::Connect
        } else {
            Target::Platform
        };
        if self.endpoint(target).is_none() {
            return false;
        }
        let more = u64::from(self.mischief.copies.max(1));
        let copies = 1 + self.random.below(more);
        let dropped = self.random.chance(self.mischief.drop_per_mille);
        for _ in 0..copies {
            let spread = u64::from(self.mischief.shuffle_seconds) + 1;
            let later = i64::try_from(self.random.below(spread)).unwrap_or_default();
            self.count += 1;
            self.deliveries.push_back(Delivery {
                id: self.count,
                event: event.to_owned(),
                target,
                state: if dropped {
                    State::Dropped
                } else {
                    State::Waiting
                },
                due: now + i64::from(self.mischief.delay_seconds) + later,
                planned: now,
                attempts: 0,
                status: None,
            });
        }
        while self.deliveries.len() > REMEMBERED
            && self.deliveries.front().is_some_and(|first| first.is_over())
        {
            self.deliveries.pop_front();
        }
        true
    }

    /// Delivers an event once more, without disturbances.
    pub fn resend(&mut self, event: &str, of_account: bool, now: i64) {
        let mischief = std::mem::take(&mut self.mischief);
        self.plan(event, of_account, now);
        self.mischief = mischief;
    }

    /// Takes the deliveries that are due, in the order of their times; if they are shuffled, in random order within a
    /// second.
    pub fn take_due(&mut self, now: i64) -> Vec<Delivery> {
        if self.mischief.hold {
            return Vec::new();
        }
        let mut due: Vec<(i64, u64, usize)> = Vec::new();
        for (at, delivery) in self.deliveries.iter().enumerate() {
            if delivery.state == State::Waiting && delivery.due <= now {
                let place = match self.mischief.shuffle_seconds {
                    0 => delivery.id,
                    _ => self.random.next(),
                };
                due.push((delivery.due, place, at));
            }
        }
        due.sort_unstable();
        let take = |(_, _, at): (i64, u64, usize)| {
            let delivery = &mut self.deliveries[at];
            delivery.state = State::Sending;
            delivery.attempts += 1;
            delivery.clone()
        };
        due.into_iter().map(take).collect()
    }

    /// Records the status of the endpoint's answer. None: there was no answer. Returns the event if the delivery is
    /// finished by this.
    pub fn answered(&mut self, id: u64, status: Option<u16>, now: i64) -> Option<String> {
        // Deliveries are sorted by id.
        let at = self
            .deliveries
            .binary_search_by_key(&id, |delivery| delivery.id);
        let delivery = self.deliveries.get_mut(at.ok()?)?;
        delivery.status = status;
        if status.is_some_and(|status| (200..300).contains(&status)) {
            delivery.state = State::Delivered;
            return Some(delivery.event.clone());
        }
        let attempt = usize::try_from(delivery.attempts).unwrap_or(usize::MAX);
        let wait = WAITS
            .get(attempt.saturating_sub(1))
            .or(WAITS.last())
            .copied();
        delivery.due = now + wait.unwrap_or(5);
        delivery.state = State::Waiting;
        if delivery.due - delivery.planned > GIVE_UP_SECONDS {
            delivery.state = State::GivenUp;
        }
        None
    }

    /// After a restart, deliveries that were being sent are sent again.
    pub fn resume(&mut self) {
        let interrupted = self.deliveries.iter_mut();
        for delivery in interrupted.filter(|delivery| delivery.state == State::Sending) {
            delivery.state = State::Waiting;
        }
    }
}

impl Delivery {
    fn is_over(&self) -> bool {
        matches!(
            self.state,
            State::Delivered | State::Dropped | State::GivenUp
        )
    }
}
