//! Sign-up, sign-in, sessions and their end.
//!
//! The module's tables are its own (`internal` in the spec): it accesses them as the job role `sessions`, never as the
//! caller. Neither the text of an answer nor the time that it takes reveals whether an address belongs to a member.

mod bodies;
mod email;
mod endings;
pub(crate) mod export;
mod external;
mod handles;
mod identities;
mod issue;
mod links;
mod list;
mod mail;
mod password;
mod purge;
mod recover;
mod refresh;
pub mod routes;
pub(crate) mod secret;
mod settings;
mod sign_in;
mod sign_up;
mod throttle;

pub use bodies::Session;
pub use issue::{Device, Signed};
pub use password::hash_once as password_hash;
pub use settings::{SessionsConfig, Settings};

use crate::{
    access::{Access, Table},
    clock::Clock,
    module::{Module, Parts},
};
use axum::Router;
use delivery::mail::Mailer;
use kernel::{
    Cx, Db, Error, Member, Result,
    auth::Tokens,
    cursor::CursorKey,
    cx::Steps,
    http::ConfigError,
    jobs::{Job, Periodic},
    problems,
};
use password::Hasher;
use secret::Key;
use std::{sync::Arc, time::Duration};
use utoipa::{OpenApi, openapi};
use uuid::Uuid;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    db: Db,
    tokens: Arc<Tokens>,
    mailer: Arc<dyn Mailer>,
    clock: Clock,
    hasher: Hasher,
    key: Key,
    cursors: CursorKey,
    config: SessionsConfig,
}

impl Module for Sessions {
    const NAME: &'static str = "sessions";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        let config = SessionsConfig::new(&settings, parts)?;
        let hasher = Hasher::new(
            config.hash_memory_kib,
            config.hash_passes,
            config.hashes_at_once,
        );
        Ok(Self(Arc::new(Inner {
            db: parts.db.clone(),
            tokens: parts.tokens.clone(),
            mailer: parts.mailer.clone(),
            clock: parts.clock.clone(),
            hasher,
            key: Key::new(&config.secret),
            cursors: CursorKey::new(&parts.secret("cursors")),
            config,
        })))
    }

    fn routes(&self, _: &Router) -> Router {
        routes::router(self.clone())
    }

    fn access() -> Table {
        &[
            ("signOut", Access::Member),
            ("signOutEverywhere", Access::Member),
            ("stepUp", Access::Member),
            ("changeEmail", Access::Member),
            ("changePassword", Access::Member),
            ("listMyIdentities", Access::Member),
            ("listMySessions", Access::Member),
            ("unlinkMyIdentity", Access::Concerned),
            ("endMySession", Access::Concerned),
        ]
    }

    fn document() -> openapi::OpenApi {
        routes::Document::openapi()
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![Periodic::every("sessions.purge", self.0.config.purge_every)]
    }

    fn jobs(&self) -> Vec<Job> {
        self.all_jobs()
    }
}

impl Sessions {
    /// Begins a transaction of the module without a caller, for reading: one that writes is [`run`](Self::run).
    async fn cx(&self, request: Uuid) -> Result<Cx> {
        self.0.db.job(Self::NAME, None, request).await
    }

    /// Begins a transaction of the module on behalf of a signed-in member, for reading.
    async fn cx_of(&self, member: &Member) -> Result<Cx> {
        let request = member.request_id;
        self.0.db.job(Self::NAME, Some(member), request).await
    }

    /// Runs a transaction of the module without a caller.
    async fn run<'env, T>(
        &self,
        request: Uuid,
        work: impl for<'cx> FnMut(&'cx mut Cx) -> Steps<'cx, 'env, Result<T>> + Send,
    ) -> Result<T> {
        self.0.db.run(Self::NAME, None, request, work).await
    }

    /// Runs a transaction of the module on behalf of a signed-in member.
    async fn run_of<'env, T>(
        &self,
        member: &Member,
        work: impl for<'cx> FnMut(&'cx mut Cx) -> Steps<'cx, 'env, Result<T>> + Send,
    ) -> Result<T> {
        let (db, request) = (&self.0.db, member.request_id);
        db.run(Self::NAME, Some(member), request, work).await
    }

    /// Runs a transaction of the module on behalf of an account whose owner has just proven its password or its
    /// mailbox.
    async fn run_of_owner<'env, T>(
        &self,
        user: Uuid,
        request: Uuid,
        work: impl for<'cx> FnMut(&'cx mut Cx) -> Steps<'cx, 'env, Result<T>> + Send,
    ) -> Result<T> {
        let db = &self.0.db;
        db.run_of_account(Self::NAME, user, request, work).await
    }
}

fn hours(duration: Duration) -> String {
    (duration.as_secs() / 3600).to_string()
}

/// The one answer to every failed sign-in, so that the cause of the failure is not revealed.
fn wrong_credentials() -> Error {
    Error::new(&problems::INVALID_CREDENTIALS)
}

fn too_many(seconds: u64) -> Error {
    Error::new(&problems::QUOTA)
        .detail("Too many attempts. `Retry-After` says when to try again.")
        .limited("attempts", None, seconds)
}
