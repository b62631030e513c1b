//! The worker of this application: the jobs of all modules, those that were enqueued and those that come round again.

use crate::App;
use kernel::jobs::{self, WorkerConfig};
use std::sync::Arc;
use tokio::sync::watch;

/// Runs until `stop` turns true. Jobs that were begun are finished, or given back.
pub async fn run(app: App, config: WorkerConfig, stop: watch::Receiver<bool>) {
    jobs::run(app.db.clone(), Arc::new(app.work()), config, stop).await;
    // What was written until now is sealed too.
    app.modules.audit_logs.seal_at_the_end().await;
}
