//! A request's place among those that are in progress at the same time.
//!
//! A request whose body is slow to arrive gives its place up, and takes one again once the body is complete. Otherwise a
//! few clients that send slowly would hold all places while nothing is worked on.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone)]
pub(crate) struct Place {
    all: Arc<Semaphore>,
    /// None: given up.
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Place {
    /// None: all places are taken.
    pub fn take(all: &Arc<Semaphore>) -> Option<Self> {
        let permit = all.clone().try_acquire_owned().ok()?;
        Some(Self {
            all: all.clone(),
            held: Arc::new(Mutex::new(Some(permit))),
        })
    }

    pub fn give_up(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes a place again if it was given up. False: all are taken.
    pub fn take_again(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = self.all.clone().try_acquire_owned().ok();
        }
        held.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_given_up_is_free_for_others() {
        let all = Arc::new(Semaphore::new(1));
        let one = Place::take(&all).expect("the only place");
        assert!(Place::take(&all).is_none());
        assert!(one.take_again(), "it is held anyway");
        one.give_up();
        let other = Place::take(&all).expect("the place that was given up");
        assert!(!one.take_again());
        drop(other);
        assert!(one.clone().take_again());
        assert!(Place::take(&all).is_none());
        drop(one);
        assert!(Place::take(&all).is_some());
    }
}
