//! How many pictures are looked at at once: apart from the threads that answer requests, and so few that their memory is
//! bounded. Who waits too long is told so.

use crate::{Kind, Prepared, Refused, prepare};
use bytes::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// Cheap to clone.
#[derive(Clone)]
pub struct Workshop {
    benches: Arc<Semaphore>,
    patience: Duration,
    work: Arc<Work>,
}

/// Pictures that are being looked at: now, and at most at any time so far. Counted around the decoder itself.
#[derive(Default)]
struct Work {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One of them, until it is done or has failed.
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

/// Others are before.
#[derive(Debug, thiserror::Error)]
#[error("too many pictures are being looked at")]
pub struct Busy;

impl Workshop {
    pub fn new(at_once: usize, patience: Duration) -> Self {
        Self {
            benches: Arc::new(Semaphore::new(at_once.max(1))),
            patience,
            work: Arc::default(),
        }
    }

    /// How many pictures are being looked at, and how many were at most.
    pub fn load(&self) -> (usize, usize) {
        let Work { now, most } = &*self.work;
        (now.load(Ordering::Acquire), most.load(Ordering::Acquire))
    }

    pub async fn prepare(
        &self,
        bytes: Bytes,
        kind: Kind,
    ) -> Result<Result<Prepared, Refused>, Busy> {
        let bench = self.benches.clone().acquire_owned();
        let bench = tokio::time::timeout(self.patience, bench).await;
        let bench = bench.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let counted = self.work.clone();
        let work = tokio::task::spawn_blocking(move || {
            // Until it is done, even if nobody waits for it any more.
            let _bench = bench;
            let _looking = Looking::begin(counted);
            prepare(&bytes, kind)
        });
        // A decoder that panics has met a file that it can't read.
        Ok(work.await.unwrap_or(Err(Refused::Broken)))
    }
}
