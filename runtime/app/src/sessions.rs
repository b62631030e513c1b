//! Signing up, signing in, staying signed in, and ending it.
//!
//! The module's tables are its own (`internal` in the spec): it works on them as job `sessions`, never as a
//! caller. What is answered to the unknown and to the known is the same, in words and in time.

mod bodies;
mod email;
mod endings;
mod external;
mod handles;
mod identities;
mod issue;
mod links;
mod list;
mod password;
mod purge;
mod recover;
mod refresh;
pub mod routes;
mod secret;
mod sign_in;
mod sign_up;
mod throttle;

pub use bodies::Session;
pub use issue::{Device, Signed};
pub use password::hash_once as password_hash;

use crate::{
    background::Background,
    clock::Clock,
    mail::{Mailer, Template},
};
use kernel::{Caller, Cx, Db, Error, Result, auth::Tokens, problems};
use password::Hasher;
use secrecy::SecretString;
use secret::Key;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// Everything about sessions that can be set.
#[derive(Clone, Debug)]
pub struct SessionsConfig {
    /// Keys the hashes of throttled addresses and the chain of refresh tokens.
    pub secret: SecretString,
    /// A session ends after this time, however it is used.
    pub session_lifetime: Duration,
    /// A session ends when it was not used for this time.
    pub idle_lifetime: Duration,
    /// A refresh token that comes twice within this time is a repeated request, not a thief.
    pub refresh_overlap: Duration,
    /// How long after signing in sensitive changes need no password.
    pub recent: Duration,
    pub sign_up_lifetime: Duration,
    pub reset_lifetime: Duration,
    /// Failures to sign in, per account and network.
    pub failures_per_address: i32,
    /// Failures to sign in from one network, whatever the account.
    pub failures_per_network: i32,
    /// Failures to sign in, per account from networks that the member never signed in from.
    pub failures_per_account: i32,
    /// Accounts that one password is tried on from one network.
    pub accounts_per_password: i32,
    /// Accounts that one password is tried on from networks that their members never signed in from.
    pub accounts_per_password_anywhere: i32,
    /// Mails of one kind to one address in an hour, asked for from one network.
    pub mails_per_hour: i32,
    /// The same, from networks that the member never signed in from.
    pub mails_per_hour_anywhere: i32,
    /// For how long failures are counted.
    pub failure_window: Duration,
    /// Memory of one password hash.
    pub hash_memory_kib: u32,
    pub hash_passes: u32,
    /// Password hashes computed at the same time.
    pub hashes_at_once: usize,
    /// Where links in mail lead: the web app, which posts the token back.
    pub link_base: String,
    /// Subjects of external issuers who are nobody yet become members.
    pub external_sign_up: bool,
}

impl SessionsConfig {
    pub fn new(secret: SecretString, link_base: String) -> Self {
        const HOUR: u64 = 60 * 60;
        const DAY: u64 = 24 * HOUR;
        Self {
            secret,
            session_lifetime: Duration::from_secs(90 * DAY),
            idle_lifetime: Duration::from_secs(14 * DAY),
            refresh_overlap: Duration::from_secs(10),
            recent: Duration::from_secs(10 * 60),
            sign_up_lifetime: Duration::from_secs(DAY),
            reset_lifetime: Duration::from_secs(HOUR),
            failures_per_address: 10,
            failures_per_network: 100,
            failures_per_account: 100,
            accounts_per_password: 10,
            accounts_per_password_anywhere: 100,
            mails_per_hour: 5,
            mails_per_hour_anywhere: 30,
            failure_window: Duration::from_secs(15 * 60),
            hash_memory_kib: 19 * 1024,
            hash_passes: 2,
            hashes_at_once: 4,
            link_base,
            external_sign_up: true,
        }
    }
}

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    db: Db,
    tokens: Arc<Tokens>,
    mailer: Arc<dyn Mailer>,
    clock: Clock,
    background: Background,
    hasher: Hasher,
    key: Key,
    config: SessionsConfig,
}

impl Sessions {
    pub(crate) fn new(
        db: Db,
        tokens: Arc<Tokens>,
        mailer: Arc<dyn Mailer>,
        clock: Clock,
        background: Background,
        config: SessionsConfig,
    ) -> Self {
        let hasher = Hasher::new(
            config.hash_memory_kib,
            config.hash_passes,
            config.hashes_at_once,
        );
        let key = Key::new(&config.secret);
        Self(Arc::new(Inner {
            db,
            tokens,
            mailer,
            clock,
            background,
            hasher,
            key,
            config,
        }))
    }

    /// A transaction as the module, for a member if there is one.
    async fn cx(&self, on_behalf_of: Option<Uuid>, request: Uuid) -> Result<Cx> {
        self.0.db.job("sessions", on_behalf_of, request).await
    }

    /// The caller's id and session, after the database has agreed that both are still good.
    async fn signed_in(&self, caller: &Caller) -> Result<(Uuid, Option<Uuid>)> {
        let user = caller.user()?;
        drop(self.0.db.begin_read(caller).await?);
        Ok((user, caller.actor.session()))
    }

    async fn mail(&self, template: Template, to: &str, values: &[(&str, &str)]) -> Result<()> {
        self.0.mailer.send(template.fill(to, values)).await
    }

    fn link(&self, page: &str, token: &str) -> String {
        // After `#` it stays in the browser: no server on the way logs it.
        format!(
            "{}/{page}#token={token}",
            self.0.config.link_base.trim_end_matches('/')
        )
    }
}

fn hours(duration: Duration) -> String {
    (duration.as_secs() / 3600).to_string()
}

fn after(time: chrono::DateTime<chrono::Utc>, duration: Duration) -> chrono::DateTime<chrono::Utc> {
    time + chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX)
}

/// The one answer to every sign-in that does not succeed.
fn wrong_credentials() -> Error {
    Error::new(&problems::INVALID_CREDENTIALS)
}

fn too_many(seconds: u64) -> Error {
    Error::new(&problems::QUOTA)
        .detail("Too many attempts. `Retry-After` says when to try again.")
        .retry_after(seconds)
}
