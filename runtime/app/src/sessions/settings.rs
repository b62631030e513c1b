//! Settings of sessions, and the configuration that follows from them.

use crate::module::Parts;
use clap::builder::RangedU64ValueParser;
use kernel::http::ConfigError;
use secrecy::SecretString;
use std::time::Duration;
use url::Url;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// The minimum cost of hashes in production.
const HASH_MEMORY_KIB: u32 = 19 * 1024;
const HASH_PASSES: u32 = 2;

/// Sessions, passwords and the mail they send.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Whether a person who signs in at the external issuer for the first time becomes a member.
    #[arg(long, env = "OIDC_SIGN_UP", default_value_t = true, action = clap::ArgAction::Set)]
    pub oidc_sign_up: bool,
    /// A session ends after this time, even if it is used.
    #[arg(long, env = "SESSION_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    pub session_days: u64,
    /// A session ends if it is not used for this time.
    #[arg(long, env = "SESSION_IDLE_DAYS", default_value_t = 14,
        value_parser = clap::value_parser!(u64).range(1..=3_650))]
    pub session_idle_days: u64,
    /// The maximum number of failed sign-ins within a quarter of an hour, per account and network: an IPv4 address, or
    /// a /64 of IPv6.
    #[arg(long, env = "SIGN_IN_FAILURES_PER_ADDRESS", default_value_t = 10,
        value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub sign_in_failures_per_address: i32,
    /// The same per network, over all accounts.
    #[arg(long, env = "SIGN_IN_FAILURES_PER_NETWORK", default_value_t = 100,
        value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub sign_in_failures_per_network: i32,
    /// The same per account, over all networks. Does not apply to networks from which the member has signed in before.
    #[arg(long, env = "SIGN_IN_FAILURES_PER_ACCOUNT", default_value_t = 100,
        value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub sign_in_failures_per_account: i32,
    /// The maximum number of accounts on which one wrong password may be tried within a quarter of an hour from one
    /// network.
    #[arg(long, env = "ACCOUNTS_PER_PASSWORD", default_value_t = 10,
        value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub accounts_per_password: i32,
    /// The same over all networks. Does not apply to networks from which the members have signed in before.
    #[arg(long, env = "ACCOUNTS_PER_PASSWORD_ANYWHERE", default_value_t = 100,
        value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub accounts_per_password_anywhere: i32,
    /// The maximum number of mails of one kind (sign-up, new password, new address) to one address per hour, requested
    /// from one network.
    #[arg(long, env = "MAILS_PER_HOUR", default_value_t = 5,
        value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub mails_per_hour: i32,
    /// The same, requested from all networks. Does not apply to networks from which the member has signed in before.
    #[arg(long, env = "MAILS_PER_HOUR_ANYWHERE", default_value_t = 30,
        value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub mails_per_hour_anywhere: i32,
    /// The maximum number of mails that one network may request per hour, over all addresses: an IPv4 address, or a /64
    /// of IPv6.
    #[arg(long, env = "MAILS_PER_HOUR_FROM_NETWORK", default_value_t = 60,
        value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub mails_per_hour_from_network: i32,
    /// Memory of one argon2id hash. Less than 19456 is refused in production.
    #[arg(long, env = "HASH_MEMORY_KIB", default_value_t = HASH_MEMORY_KIB,
        value_parser = clap::value_parser!(u32).range(8..=4_194_304))]
    pub hash_memory_kib: u32,
    /// Passes of one argon2id hash.
    #[arg(long, env = "HASH_PASSES", default_value_t = HASH_PASSES,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub hash_passes: u32,
    /// The maximum number of password hashes that are computed at the same time.
    #[arg(long, env = "HASHES_AT_ONCE", default_value_t = 4,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    pub hashes_at_once: usize,
    /// The web app that links in mail lead to. Default: `PUBLIC_URL`.
    #[arg(long, env = "APP_URL")]
    pub app_url: Option<Url>,
    /// How often expired tokens and sessions are deleted.
    #[arg(long, env = "PURGE_EVERY_SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub purge_every_seconds: u64,
}

/// The module's configuration.
#[derive(Clone, Debug)]
pub struct SessionsConfig {
    /// The secret from which tokens and the keys of counters are derived.
    pub secret: SecretString,
    /// A session ends after this time, even if it is used.
    pub session_lifetime: Duration,
    /// A session ends if it is not used for this time.
    pub idle_lifetime: Duration,
    /// A refresh token that is used twice within this time is a repeated request, not a theft.
    pub refresh_overlap: Duration,
    /// For how long after signing in sensitive changes need no password.
    pub recent: Duration,
    pub sign_up_lifetime: Duration,
    pub reset_lifetime: Duration,
    /// The maximum number of failed sign-ins per account and network. This and the next four are counted within
    /// `failure_window`.
    pub failures_per_address: i32,
    /// The maximum number of failed sign-ins per network, over all accounts.
    pub failures_per_network: i32,
    /// The maximum number of failed sign-ins per account. Does not apply to networks from which the member has signed
    /// in before.
    pub failures_per_account: i32,
    /// The maximum number of accounts on which one password is tried from one network.
    pub accounts_per_password: i32,
    /// The maximum number of accounts on which one password is tried from all networks. Does not apply to networks
    /// from which the member has signed in before.
    pub accounts_per_password_anywhere: i32,
    /// The maximum number of emails of one kind to one address per hour, requested from one network.
    pub mails_per_hour: i32,
    /// The same, requested from all networks. Does not apply to networks from which the member has signed in before.
    pub mails_per_hour_anywhere: i32,
    /// The maximum number of emails that one network may request per hour, over all addresses.
    pub mails_per_hour_from_network: i32,
    /// For how long failed sign-ins are counted.
    pub failure_window: Duration,
    /// The memory of one password hash, in KiB.
    pub hash_memory_kib: u32,
    pub hash_passes: u32,
    /// The maximum number of password hashes that are computed at the same time.
    pub hashes_at_once: usize,
    /// The address of the web app, which links in emails lead to. Its pages post the token back.
    pub link_base: String,
    /// Whether unknown subjects of external issuers become members.
    pub external_sign_up: bool,
    pub purge_every: Duration,
}

impl SessionsConfig {
    pub fn new(settings: &Settings, parts: &Parts) -> Result<Self, ConfigError> {
        let cheap =
            settings.hash_memory_kib < HASH_MEMORY_KIB || settings.hash_passes < HASH_PASSES;
        if parts.production && cheap {
            return Err(ConfigError {
                setting: "HASH_MEMORY_KIB, HASH_PASSES",
                reason: format!(
                    "below {HASH_MEMORY_KIB} and {HASH_PASSES} stolen passwords are cheap to guess"
                ),
            });
        }
        let link_base = settings.app_url.as_ref().unwrap_or(&parts.public_url);
        Ok(Self {
            secret: parts.secret("sessions"),
            session_lifetime: Duration::from_secs(settings.session_days * DAY),
            idle_lifetime: Duration::from_secs(settings.session_idle_days * DAY),
            refresh_overlap: Duration::from_secs(10),
            recent: Duration::from_secs(10 * 60),
            sign_up_lifetime: Duration::from_secs(DAY),
            reset_lifetime: Duration::from_secs(HOUR),
            failures_per_address: settings.sign_in_failures_per_address,
            failures_per_network: settings.sign_in_failures_per_network,
            failures_per_account: settings.sign_in_failures_per_account,
            accounts_per_password: settings.accounts_per_password,
            accounts_per_password_anywhere: settings.accounts_per_password_anywhere,
            mails_per_hour: settings.mails_per_hour,
            mails_per_hour_anywhere: settings.mails_per_hour_anywhere,
            mails_per_hour_from_network: settings.mails_per_hour_from_network,
            failure_window: Duration::from_secs(15 * 60),
            hash_memory_kib: settings.hash_memory_kib,
            hash_passes: settings.hash_passes,
            hashes_at_once: settings.hashes_at_once,
            link_base: link_base.to_string(),
            external_sign_up: settings.oidc_sign_up,
            purge_every: Duration::from_secs(settings.purge_every_seconds),
        })
    }
}
