//! After so many attempts in a row without an answer, calls are refused here for a while instead of waiting each for its
//! own time-out: whoever asks is told at once, and the service is not waited for by everybody when it comes back.
//!
//! Then one call is let through. If it is answered all are; if not, or if nobody waits for its answer any more, the next
//! one is let through after the same while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

pub struct Breaker {
    /// Attempts in a row.
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

    /// Whether an attempt may be made, or how long to wait.
    pub fn admit(&self) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = state.open_until else {
            return Ok(());
        };
        let now = Instant::now();
        if now < until {
            return Err(until - now);
        }
        // For the others it stays as it is until this one is answered.
        state.open_until = Some(now + self.pause);
        Ok(())
    }

    /// An attempt was answered, whatever the answer, or it was not.
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
