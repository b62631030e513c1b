//! The hand-written part of CulturePass: everything that the spec language can't express.
//!
//! Sign-in and sessions, the member's own view, the audit log, the hooks that generated routes call, the modules, and
//! the worker. May use everything generated; accesses the database only through [`kernel::Cx`].

mod access;
pub mod api;
mod audit_logs;
pub mod broadcasts;
pub mod calendars;
pub mod clock;
mod copies;
pub mod dashboards;
mod dead_jobs;
pub mod discovery;
pub mod fraud;
mod generated_routes;
pub mod hooks;
mod languages;
pub mod mail;
pub mod marketplace;
mod me;
pub mod media;
pub mod module;
pub mod modules;
pub mod notifications;
pub mod offers;
mod operations;
mod parameters;
pub mod payments;
pub mod privacy;
pub mod problems;
pub mod promotions;
pub mod ratings;
pub mod sessions;
mod signed_links;
mod texts;
pub mod tickets;
pub mod trending;
pub mod wallet;
pub mod worker;

use kernel::{Db, http::ConfigError, jobs::Work};
use module::Parts;
use modules::Modules;
use secrecy::SecretString;
use std::sync::{Arc, OnceLock};

/// The application: the database, all modules, and their jobs.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub modules: Modules,
    /// The key that signs the cursors of lists.
    cursor_key: SecretString,
    work: Arc<OnceLock<Work>>,
}

impl App {
    pub fn new(parts: &Parts, settings: modules::Settings) -> Result<Self, ConfigError> {
        problems::declare();
        let modules = Modules::new(parts, settings)?;
        let work = modules.work();
        modules
            .check()
            .and_then(|()| work.check())
            .map_err(|reason| ConfigError {
                setting: "the jobs of modules",
                reason,
            })?;
        parts.work.get_or_init(|| work);
        Ok(Self {
            db: parts.db.clone(),
            modules,
            cursor_key: parts.secret("cursors"),
            work: parts.work.clone(),
        })
    }

    /// The jobs that the worker runs.
    pub fn work(&self) -> Work {
        self.work.get().cloned().unwrap_or_default()
    }
}
