//! Limits how many pictures are processed at a time, so that their memory is bounded. They are processed outside of
//! the threads that answer requests. A caller that waits too long gets an error.

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

/// The limited processor of pictures. Cheap to clone; clones share the limit.
#[derive(Clone)]
pub struct Workshop {
    benches: Arc<Semaphore>,
    patience: Duration,
    work: Arc<Work>,
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
        Self {
            benches: Arc::new(Semaphore::new(at_once.max(1))),
            patience,
            work: Arc::default(),
        }
    }

    /// How many pictures are being processed now, and the maximum so far.
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
            // The permit is held until the work is done, even if the caller has stopped waiting.
            let _bench = bench;
            let _looking = Looking::begin(counted);
            prepare(&bytes, kind)
        });
        // If the decoder panics, the file counts as unreadable.
        Ok(work.await.unwrap_or(Err(Refused::Broken)))
    }
}
