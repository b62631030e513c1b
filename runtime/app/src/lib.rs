//! CulturePass by hand: what a spec cannot say.
//!
//! Signing in and sessions, a member's own view of things, the audit log, the hooks that generated routes call, and the
//! worker. May use everything generated; reaches the database only through [`kernel::Cx`].

pub mod api;
mod audit_logs;
pub mod background;
pub mod clock;
mod counters;
pub mod hooks;
pub mod mail;
mod me;
pub mod module;
pub mod modules;
pub mod sessions;
pub mod worker;

use background::Background;
use kernel::{Db, http::ConfigError};
use module::Parts;
use modules::Modules;
use secrecy::SecretString;
use std::time::Duration;

/// The application with everything it talks to.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub modules: Modules,
    /// Signs the cursors of lists.
    cursor_key: SecretString,
    background: Background,
}

impl App {
    pub fn new(parts: &Parts, settings: modules::Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            modules: Modules::new(parts, settings)?,
            cursor_key: parts.secret("cursors"),
            background: parts.background.clone(),
        })
    }

    /// Waits for work that answers did not wait for, such as mail. The last thing before the process ends.
    pub async fn finish(&self, patience: Duration) {
        self.background.finish(patience).await;
    }
}
