//! How many pictures are looked at at once: apart from the threads that answer requests, and so few that their memory is
//! bounded. Who waits too long is told so.

use crate::{Kind, Prepared, Refused, prepare};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Cheap to clone.
#[derive(Clone)]
pub struct Workshop {
    benches: Arc<Semaphore>,
    patience: Duration,
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
        }
    }

    pub async fn prepare(
        &self,
        bytes: Bytes,
        kind: Kind,
    ) -> Result<Result<Prepared, Refused>, Busy> {
        let bench = self.benches.clone().acquire_owned();
        let bench = tokio::time::timeout(self.patience, bench).await;
        let bench = bench.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let work = tokio::task::spawn_blocking(move || {
            // Until it is done, even if nobody waits for it any more.
            let _bench = bench;
            prepare(&bytes, kind)
        });
        // A decoder that panics has met a file that it can't read.
        Ok(work.await.unwrap_or(Err(Refused::Broken)))
    }
}
