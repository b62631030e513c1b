//! CulturePass by hand: what a spec cannot say.
//!
//! Signing in and sessions, a member's own view of things, the audit log, the hooks that generated routes call, and the
//! worker. May use everything generated; reaches the database only through [`kernel::Cx`].

pub mod api;
mod audit_logs;
mod background;
pub mod clock;
pub mod hooks;
pub mod mail;
mod me;
pub mod sessions;
pub mod worker;

use background::Background;
use clock::Clock;
use kernel::{Db, auth::Tokens};
use mail::Mailer;
use sessions::{Sessions, SessionsConfig};
use std::{sync::Arc, time::Duration};

/// The application with everything it talks to.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub sessions: Sessions,
    background: Background,
}

impl App {
    pub fn new(
        db: Db,
        tokens: Arc<Tokens>,
        mailer: Arc<dyn Mailer>,
        clock: Clock,
        config: SessionsConfig,
    ) -> Self {
        let background = Background::default();
        let sessions = Sessions::new(
            db.clone(),
            tokens,
            mailer,
            clock,
            background.clone(),
            config,
        );
        Self {
            db,
            sessions,
            background,
        }
    }

    /// Waits for work that answers did not wait for, such as mail. The last thing before the process ends.
    pub async fn finish(&self, patience: Duration) {
        self.background.finish(patience).await;
    }
}
