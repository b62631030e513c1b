//! Which statements recur although they are none of the usual ones: lists with several filters, in another order or with
//! another page size. There are too many to keep all of them prepared, but planning one takes milliseconds, often more
//! than running it, and clients ask the same few over and over.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::atomic::{AtomicU64, Ordering},
};

/// The number of texts that can be remembered.
const SLOTS: usize = 512;

/// Remembers recent texts by their hash, in the place that the hash gives: a text that comes in between drives the
/// former one out. So a text is worth keeping if it comes back before one of about five hundred others, and texts that
/// are asked once leave the cache of prepared statements alone. The hash is another in each process, so that nobody can
/// choose texts for the same place.
pub(super) struct Recurring {
    hasher: RandomState,
    slots: [AtomicU64; SLOTS],
}

impl Recurring {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            slots: [const { AtomicU64::new(0) }; SLOTS],
        }
    }

    /// Remembers the text. True if it was remembered already.
    pub(super) fn again(&self, text: &str) -> bool {
        let hash = self.hasher.hash_one(text);
        let slot = &self.slots[hash as usize % SLOTS];
        slot.swap(hash, Ordering::Relaxed) == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_recurs_until_many_others_have_come() {
        let recurring = Recurring::new();
        assert!(!recurring.again("select 1"));
        assert!(recurring.again("select 1"));
        assert!(recurring.again("select 1"));
        for other in 0..20_000 {
            assert!(!recurring.again(&format!("select {other} from others")));
        }
        assert!(!recurring.again("select 1"));
    }
}
