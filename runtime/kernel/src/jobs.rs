//! What a module does without being asked by a request: jobs that somebody enqueued, and work that comes round.
//!
//! Only the two shapes; knows no module.

use crate::error::Result;
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};

/// Work that comes round again.
#[derive(Clone)]
pub struct Periodic {
    /// For the log: `seal the audit log`.
    pub name: &'static str,
    pub every: Duration,
    /// Whether it runs a last time when the worker stops.
    pub at_the_end: bool,
    run: Arc<dyn Fn() -> BoxFuture<'static, Result<u64>> + Send + Sync>,
}

impl Periodic {
    /// `run` is one short round and says how much it did. Several workers may run it at once.
    pub fn new<F>(
        name: &'static str,
        every: Duration,
        run: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<u64>> + Send + 'static,
    {
        Self {
            name,
            every,
            at_the_end: false,
            run: Arc::new(move || Box::pin(run())),
        }
    }

    pub fn and_at_the_end(mut self) -> Self {
        self.at_the_end = true;
        self
    }

    pub async fn round(&self) -> Result<u64> {
        (self.run)().await
    }
}
