//! The worker of this application, which runs the jobs of all modules: enqueued ones and periodic ones.

use crate::App;
use kernel::jobs::{self, WorkerConfig};
use std::sync::Arc;
use tokio::sync::watch;

/// Runs until `stop` becomes true. Jobs in progress are finished, or returned to the queue.
pub async fn run(app: App, config: WorkerConfig, stop: watch::Receiver<bool>) {
    jobs::run(app.db.clone(), Arc::new(app.work()), config, stop).await;
    // Finally seals audit log entries that were written since the last seal.
    app.modules.audit_logs.seal_at_the_end().await;
}
