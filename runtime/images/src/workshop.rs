//! Limits how many pictures are processed at a time, so that their memory is bounded. They are processed outside of
//! the threads that answer requests. A caller that waits too long gets an error.
//!
//! A file is read once there is a place for it, so that waiting callers hold no files in memory. Nobody has more than
//! half of the places, so that one member's pictures don't keep those of others waiting.

use crate::{Kind, Prepared, Refused, prepare};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

/// The limited processor of pictures. Cheap to clone; clones share the limit.
#[derive(Clone)]
pub struct Workshop {
    benches: Arc<Semaphore>,
    /// How many of them one member may have.
    share: usize,
    /// The places of the members who have one or wait for one.
    members: Arc<Mutex<HashMap<Uuid, Weak<Semaphore>>>>,
    patience: Duration,
    work: Arc<Work>,
}

/// A place for one picture, freed when it is dropped or its picture is processed.
pub struct Bench {
    work: Arc<Work>,
    _bench: OwnedSemaphorePermit,
    _share: OwnedSemaphorePermit,
}

/// How many pictures are being processed now, and the maximum so far. Counted around the decoding itself.
#[derive(Default)]
struct Work {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Counts a picture as being processed until it is dropped.
struct Looking(Arc<Work>);

impl Looking {
    fn begin(work: Arc<Work>) -> Self {
        let now = work.now.fetch_add(1, Ordering::AcqRel) + 1;
        work.most.fetch_max(now, Ordering::AcqRel);
        Self(work)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The time limit passed while other pictures were being processed.
#[derive(Debug, thiserror::Error)]
#[error("too many pictures are being looked at")]
pub struct Busy;

impl Workshop {
    pub fn new(at_once: usize, patience: Duration) -> Self {
        let at_once = at_once.max(1);
        Self {
            benches: Arc::new(Semaphore::new(at_once)),
            share: (at_once / 2).max(1),
            members: Arc::default(),
            patience,
            work: Arc::default(),
        }
    }

    /// How many pictures are being processed now, and the maximum so far.
    pub fn load(&self) -> (usize, usize) {
        let Work { now, most } = &*self.work;
        (now.load(Ordering::Acquire), most.load(Ordering::Acquire))
    }

    /// Waits for a place for a picture of this member.
    pub async fn enter(&self, member: Uuid) -> Result<Bench, Busy> {
        let until = Instant::now() + self.patience;
        // Not a place that others could use while the member's other pictures are being processed.
        let share = timeout_at(until, self.share_of(member).acquire_owned()).await;
        let share = share.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let bench = timeout_at(until, self.benches.clone().acquire_owned()).await;
        let bench = bench.map_err(|_| Busy)?.map_err(|_| Busy)?;
        Ok(Bench {
            work: self.work.clone(),
            _bench: bench,
            _share: share,
        })
    }

    fn share_of(&self, member: Uuid) -> Arc<Semaphore> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = members.get(&member).and_then(Weak::upgrade) {
            return share;
        }
        members.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        members.insert(member, Arc::downgrade(&share));
        share
    }
}

impl Bench {
    pub async fn prepare(self, bytes: Bytes, kind: Kind) -> Result<Prepared, Refused> {
        let work = tokio::task::spawn_blocking(move || {
            // The whole place is moved here: it is held until the work is done, even if the caller has stopped waiting.
            let bench = self;
            let _looking = Looking::begin(bench.work.clone());
            prepare(&bytes, kind)
        });
        // If the decoder panics, the file counts as unreadable.
        work.await.unwrap_or(Err(Refused::Broken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_member_has_half_of_the_places_and_others_have_the_rest() {
        let workshop = Workshop::new(4, Duration::from_millis(20));
        let (ana, ben) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let hers = [workshop.enter(ana).await, workshop.enter(ana).await];
        assert!(hers.iter().all(Result::is_ok));
        assert!(workshop.enter(ana).await.is_err());
        let his = [workshop.enter(ben).await, workshop.enter(ben).await];
        assert!(his.iter().all(Result::is_ok));
        // All places are taken.
        let eve = Uuid::from_u128(3);
        assert!(workshop.enter(eve).await.is_err());
        drop(hers);
        assert!(workshop.enter(eve).await.is_ok());
        assert!(workshop.enter(ana).await.is_ok());
        drop(his);
        assert!(workshop.enter(Uuid::from_u128(4)).await.is_ok());
        assert_eq!(workshop.members.lock().unwrap().len(), 1, "tidied up");
    }
}
