//! A circuit breaker: after a number of consecutive attempts without an answer, calls are refused at once for a while
//! instead of each waiting for its own time-out. Callers get a quick answer, and the service is not flooded with
//! waiting calls when it recovers.
//!
//! After that pause a single call is let through. If it is answered, all calls are allowed again; if it is not, or if
//! its caller gave up, the next call is let through after another pause of the same length.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

pub struct Breaker {
    /// The number of consecutive attempts without an answer.
    failures: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failed: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    pub fn new(failures: u32, pause: Duration) -> Self {
        Self {
            failures: failures.max(1),
            pause,
            state: Mutex::default(),
        }
    }

    /// Whether an attempt may be made; otherwise how long to wait.
    pub fn admit(&self) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = state.open_until else {
            return Ok(());
        };
        let now = Instant::now();
        if now < until {
            return Err(until - now);
        }
        // Other calls remain refused until this call is answered.
        state.open_until = Some(now + self.pause);
        Ok(())
    }

    /// Records whether an attempt was answered, with whatever status.
    pub fn record(&self, answered: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = state.open_until.is_some();
        if answered {
            *state = State::default();
        } else {
            state.failed = state.failed.saturating_add(1);
            if state.failed >= self.failures {
                state.open_until = Some(Instant::now() + self.pause);
            }
        }
        match (was_open, state.open_until.is_some()) {
            (false, true) => tracing::error!(
                failed = state.failed,
                "Stripe does not answer; calls are refused for a while"
            ),
            (true, false) => tracing::warn!("Stripe answers again"),
            _ => {}
        }
    }
}
