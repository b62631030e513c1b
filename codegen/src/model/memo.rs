//! A cache of answers about rules, so that each is computed once.
//!
//! Rules refer through `of` to rules of other entities, and every level is asked about from several places. Without
//! the cache the work would multiply at each level. Knows no rule and no SQL.

use super::{EntityId, OfWhat};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The key of an answer: a name for the question, a variant of it, and the rule and entity that it is about.
type Key = (&'static str, usize, EntityId, OfWhat);

/// Belongs to one model that no longer changes. A clone of the model starts with an empty cache, because a model is
/// usually cloned in order to change it.
#[derive(Default)]
pub struct Memo(Mutex<HashMap<Key, Box<dyn Any + Send>>>);

impl Memo {
    /// Returns the answer, which `find` computes at the first call. While it is being computed, recursive calls get
    /// `meanwhile`, which ends circles of rules.
    pub fn once<T: Clone + Send + 'static>(
        &self,
        key: Key,
        meanwhile: T,
        find: impl FnOnce() -> T,
    ) -> T {
        if let Some(known) = self.get(&key) {
            return known;
        }
        self.put(key.clone(), meanwhile);
        let found = find();
        self.put(key, found.clone());
        found
    }

    /// The number of computed answers, which measures the work that a model causes.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get<T: Clone + 'static>(&self, key: &Key) -> Option<T> {
        self.lock().get(key)?.downcast_ref::<T>().cloned()
    }

    fn put<T: Send + 'static>(&self, key: Key, answer: T) {
        self.lock().insert(key, Box::new(answer));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Box<dyn Any + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Memo {
    fn clone(&self) -> Memo {
        Memo::default()
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memo({})", self.len())
    }
}

/// The cache is not part of the model's value, so models are equal regardless of it.
impl PartialEq for Memo {
    fn eq(&self, _: &Memo) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_once_and_a_circle_ends() {
        let memo = Memo::default();
        let key = ("deep", 0, 7, OfWhat::Read);
        let found = memo.once(key.clone(), 0, || 1 + memo.once(key.clone(), 0, || 100));
        assert_eq!(found, 1);
        assert_eq!(memo.once(key, 0, || unreachable!("it is known")), 1);
        assert_eq!(memo.len(), 1);
        assert!(memo.clone().is_empty());
    }
}
