//! Work that an answer does not wait for, so that its time tells nothing about what was found.
//!
//! Bounded: when too much is waiting, new work is dropped with a warning. Nothing that must not be lost
//! may go here.

use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const AT_ONCE: u32 = 64;

#[derive(Clone)]
pub struct Background(Arc<Semaphore>);

impl Default for Background {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE as usize)))
    }
}

impl Background {
    pub fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = kernel::Result<()>> + Send + 'static,
    ) {
        let Ok(permit) = self.0.clone().try_acquire_owned() else {
            tracing::warn!(work = name, "dropped: too much background work is waiting");
            return;
        };
        tokio::spawn(async move {
            if let Err(error) = work.await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(work = name, %error, cause, "background work failed");
            }
            drop(permit);
        });
    }

    /// Until everything begun is done, but not longer than `patience`.
    pub async fn finish(&self, patience: Duration) {
        let idle = self.0.acquire_many(AT_ONCE);
        if tokio::time::timeout(patience, idle).await.is_err() {
            tracing::warn!("stopping although background work is not done");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn finish_waits_for_what_was_begun() {
        let done = Arc::new(AtomicUsize::new(0));
        let background = Background::default();
        for _ in 0..10 {
            let done = done.clone();
            background.spawn("count", async move {
                tokio::task::yield_now().await;
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
        }
        background.finish(Duration::from_secs(60)).await;
        assert_eq!(done.load(Ordering::SeqCst), 10);
    }
}
