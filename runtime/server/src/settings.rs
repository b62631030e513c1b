//! Settings: environment variables, which take precedence, or a file of `KEY=VALUE` lines.
//!
//! Each subcommand takes the groups that it needs, so `serve` never has the owner's login. Knows names, defaults and
//! formats of values; `wire` decides what follows from them.

#[cfg(test)]
mod bounds;
pub mod document;
mod file;
mod secret;

pub use file::load;
pub use secret::Secret;

use clap::{Args, ValueEnum, builder::RangedU64ValueParser};
use delivery::{
    mail::{ResendConfig, SendgridConfig},
    push::FcmConfig,
};
use std::{convert::Infallible, net::SocketAddr, path::PathBuf};
use url::Url;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    Development,
    Production,
}

/// Settings of every subcommand.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// In `production`, development features are refused.
    #[arg(
        long,
        env = "CULTUREPASS_ENV",
        default_value = "production",
        global = true
    )]
    pub environment: Environment,
    /// The log filter, in the syntax of tracing-subscriber: `info,sqlx=warn`.
    #[arg(long, env = "LOG", default_value = "info", global = true)]
    pub log: String,
    /// `json` (one object per line) or `text`.
    #[arg(long, env = "LOG_FORMAT", default_value = "json", global = true)]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

/// The login for migrating and seeding. The server must not use it.
#[derive(Args, Clone, Debug)]
pub struct Owner {
    #[command(flatten)]
    pub database_url: secret::DatabaseUrl,
}

/// The logins of the server's two roles.
#[derive(Args, Clone, Debug)]
pub struct Roles {
    #[command(flatten)]
    pub app_database_url: secret::AppDatabaseUrl,
    #[command(flatten)]
    pub job_database_url: secret::JobDatabaseUrl,
    /// Connections for requests.
    #[arg(long, env = "DB_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub db_connections: u32,
    /// Connections for modules and the worker.
    #[arg(long, env = "DB_JOB_CONNECTIONS", default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub db_job_connections: u32,
    /// Connections for searches, maps and counts. One caller can use half of them at most.
    #[arg(long, env = "DB_SEARCH_CONNECTIONS", default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub db_search_connections: u32,
    /// A search that takes longer is cancelled and answered 503.
    #[arg(long, env = "DB_SEARCH_TIMEOUT_MS", default_value_t = 2000,
        value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub db_search_timeout_ms: u64,
    /// Connections for dashboards and other figures. One caller can use half of them at most.
    #[arg(long, env = "DB_FIGURE_CONNECTIONS", default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub db_figure_connections: u32,
    /// Figures that take longer are cancelled and answered 503.
    #[arg(long, env = "DB_FIGURE_TIMEOUT_MS", default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub db_figure_timeout_ms: u64,
    /// A request that gets no connection within this time is answered 503.
    #[arg(long, env = "DB_ACQUIRE_TIMEOUT_MS", default_value_t = 2000,
        value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub db_acquire_timeout_ms: u64,
}

/// The listener, and what a request may cost.
#[derive(Args, Clone, Debug)]
pub struct Http {
    /// Address and port of the API.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// A second listener for `/livez`, `/readyz` and `/metrics`. Without it only `/livez` is served.
    #[arg(long, env = "ADMIN_LISTEN")]
    pub admin_listen: Option<SocketAddr>,
    /// Origins that browsers may call the API from, separated by commas. In development also every page of the same
    /// machine.
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',', value_parser = listed)]
    pub cors_origins: Vec<String>,
    /// Addresses or networks of proxies whose `X-Forwarded-For` is trusted, separated by commas.
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',', value_parser = listed)]
    pub trusted_proxies: Vec<String>,
    /// Serve Swagger UI under `/docs`. Default: only in development.
    #[arg(long, env = "API_DOCS")]
    pub api_docs: Option<bool>,
    /// In production, `API_DOCS=true` is refused unless this is set to confirm it.
    #[arg(long, env = "API_DOCS_IN_PRODUCTION", default_value_t = false, action = clap::ArgAction::Set)]
    pub api_docs_in_production: bool,
    /// Maximum size of a request body.
    #[arg(long, env = "BODY_LIMIT_BYTES", default_value_t = 256 * 1024,
        value_parser = RangedU64ValueParser::<usize>::new().range(1_024..=1 << 30))]
    pub body_limit_bytes: usize,
    /// The head of a request must arrive within this time from its first byte. A new connection must send one within
    /// this time.
    #[arg(long, env = "HEADER_TIMEOUT_SECONDS", default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub header_timeout_seconds: u64,
    /// A connection is kept open for this time after an answer. Behind a proxy that keeps connections, this must be
    /// longer than the proxy does: a request that meets a connection that is just being closed fails.
    #[arg(long, env = "KEEP_ALIVE_SECONDS", default_value_t = 75,
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub keep_alive_seconds: u64,
    /// Maximum size of the head of a request.
    #[arg(long, env = "MAX_HEADER_BYTES", default_value_t = 16 * 1024,
        value_parser = RangedU64ValueParser::<usize>::new().range(1_024..=1 << 20))]
    pub max_header_bytes: usize,
    /// The body of a request must arrive within this time.
    #[arg(long, env = "BODY_TIMEOUT_SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub body_timeout_seconds: u64,
    /// A request must be answered within this time, to which that for its body is added.
    #[arg(long, env = "HANDLER_TIMEOUT_SECONDS", default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub handler_timeout_seconds: u64,
    /// A client that reads less than 256 KiB of its answer in this time is disconnected.
    #[arg(long, env = "WRITE_TIMEOUT_SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub write_timeout_seconds: u64,
    /// Open connections.
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 4096,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub max_connections: usize,
    /// Open connections of one IPv4 address or IPv6 /64. TRUSTED_PROXIES are not counted.
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 256,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub max_connections_per_address: usize,
    /// Requests in progress; more are answered 503 at once.
    #[arg(long, env = "MAX_REQUESTS", default_value_t = 512,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub max_requests: usize,
    /// Sustained requests per minute from one address. 0: no limit.
    #[arg(long, env = "IP_RATE_PER_MINUTE", default_value_t = 1200,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub ip_rate_per_minute: u32,
    /// Burst of requests from one address.
    #[arg(long, env = "IP_RATE_BURST", default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub ip_rate_burst: u32,
    /// Sustained requests per minute of one member. 0: no limit.
    #[arg(long, env = "USER_RATE_PER_MINUTE", default_value_t = 600,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub user_rate_per_minute: u32,
    /// Burst of requests of one member.
    #[arg(long, env = "USER_RATE_BURST", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub user_rate_burst: u32,
    /// Requests of one member in a day (UTC) that move money, over all servers: those that need an `Idempotency-Key`.
    /// Repeats with the same key and sales at the door are not counted. 0: no limit.
    #[arg(long, env = "MONEY_REQUESTS_PER_DAY", default_value_t = 500,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub money_requests_per_day: u32,
    /// After the signal to stop: how long the server reports not ready but still accepts connections.
    #[arg(long, env = "DRAIN_DELAY_SECONDS", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub drain_delay_seconds: u64,
    /// After that: how long requests in progress may continue.
    #[arg(long, env = "DRAIN_TIMEOUT_SECONDS", default_value_t = 25,
        value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub drain_timeout_seconds: u64,
}

/// Access tokens of this API, and those of other issuers.
#[derive(Args, Clone, Debug)]
pub struct Tokens {
    #[command(flatten)]
    pub token_key: secret::TokenKey,
    /// Files with former values of `TOKEN_KEY`, separated by commas: tokens, tickets and links in mails that were
    /// signed with them stay valid. With a public key (PEM) only tokens do. Also for the next key, before it signs.
    #[arg(long, env = "TOKEN_FORMER_KEY_FILES", value_delimiter = ',')]
    pub token_former_key_files: Vec<PathBuf>,
    /// The address at which clients reach the API; also the issuer of its tokens.
    #[arg(long, env = "PUBLIC_URL", default_value = "http://127.0.0.1:8080")]
    pub public_url: Url,
    /// The audience of its tokens.
    #[arg(long, env = "TOKEN_AUDIENCE", default_value = "culturepass")]
    pub token_audience: String,
    /// How long an access token is valid.
    #[arg(long, env = "TOKEN_LIFETIME_SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub token_lifetime_seconds: u64,
    /// An OpenID Connect issuer whose tokens are accepted as well.
    #[arg(long, env = "OIDC_ISSUER", requires = "oidc_audience")]
    pub oidc_issuer: Option<String>,
    /// The audience that its tokens must have.
    #[arg(long, env = "OIDC_AUDIENCE")]
    pub oidc_audience: Option<String>,
    /// Clients of the issuer whose tokens are accepted, where tokens say to whom they were issued (`azp`), separated by
    /// commas. Default: only the audience itself.
    #[arg(long, env = "OIDC_CLIENTS", value_delimiter = ',', value_parser = listed)]
    pub oidc_clients: Vec<String>,
    /// The longest accepted lifetime of its tokens, from `iat` to `exp`.
    #[arg(long, env = "OIDC_MAX_LIFETIME_SECONDS", default_value_t = 24 * 60 * 60,
        value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub oidc_max_lifetime_seconds: u64,
    /// The address of its keys. Default: the issuer with `/.well-known/jwks.json`.
    #[arg(long, env = "OIDC_JWKS_URL", conflicts_with = "oidc_jwks_file")]
    pub oidc_jwks_url: Option<Url>,
    /// Its keys as a file.
    #[arg(long, env = "OIDC_JWKS_FILE")]
    pub oidc_jwks_file: Option<PathBuf>,
}

/// How mail is sent: by SMTP, Resend or SendGrid, or into a folder; at most one of them. Without any, mails are only
/// mentioned in the log.
#[derive(Args, Clone, Debug)]
pub struct Mail {
    /// The server that relays mail. In production this, RESEND_API_KEY or SENDGRID_API_KEY is required.
    #[arg(long, env = "SMTP_HOST")]
    pub smtp_host: Option<String>,
    /// Its port. Default: 587, 465 or 25, depending on `SMTP_TLS`.
    #[arg(long, env = "SMTP_PORT")]
    pub smtp_port: Option<u16>,
    /// `starttls` (the connection must be encrypted before anything is sent), `implicit` (encrypted from the first
    /// byte) or `none`. `none` is refused in production unless the server is on the same machine.
    #[arg(long, env = "SMTP_TLS", default_value = "starttls")]
    pub smtp_tls: SmtpTls,
    /// The user that signs in there.
    #[arg(long, env = "SMTP_USER")]
    pub smtp_user: Option<String>,
    #[command(flatten)]
    pub smtp_password: secret::SmtpPassword,
    /// PEM certificates of authorities that are trusted in addition to the public ones.
    #[arg(long, env = "SMTP_CA_FILE")]
    pub smtp_ca_file: Option<PathBuf>,
    /// The name with which this server introduces itself (`EHLO`). Default: the domain of `MAIL_FROM`.
    #[arg(long, env = "SMTP_HELLO")]
    pub smtp_hello: Option<String>,
    /// A message must be accepted within this time, including connecting.
    #[arg(long, env = "SMTP_TIMEOUT_SECONDS", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=600))]
    pub smtp_timeout_seconds: u64,
    /// The number of connections to it.
    #[arg(long, env = "SMTP_CONNECTIONS", default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub smtp_connections: u32,
    /// The sender of mails: `CulturePass <no-reply@example.org>`.
    #[arg(long, env = "MAIL_FROM")]
    pub mail_from: Option<String>,
    /// For development: mail is written into this folder.
    #[arg(long, env = "MAIL_DIR")]
    pub mail_dir: Option<PathBuf>,
    #[command(flatten)]
    pub resend_api_key: secret::ResendApiKey,
    /// The address of Resend's API. Change it only for a substitute such as `fake-messengers`.
    #[arg(long, env = "RESEND_URL", default_value = ResendConfig::URL)]
    pub resend_url: Url,
    #[command(flatten)]
    pub resend_webhook_secret: secret::ResendWebhookSecret,
    #[command(flatten)]
    pub sendgrid_api_key: secret::SendgridApiKey,
    /// The address of SendGrid's API: `https://api.eu.sendgrid.com` for accounts whose data stay in Europe.
    #[arg(long, env = "SENDGRID_URL", default_value = SendgridConfig::URL)]
    pub sendgrid_url: Url,
    #[command(flatten)]
    pub sendgrid_webhook_key: secret::SendgridWebhookKey,
    /// Resend or SendGrid must answer within this time.
    #[arg(long, env = "MAIL_TIMEOUT_SECONDS", default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(1..=600))]
    pub mail_timeout_seconds: u64,
}

/// How push messages are sent: by FCM, or into a folder. Without either they are only mentioned in the log.
#[derive(Args, Clone, Debug)]
pub struct Push {
    #[command(flatten)]
    pub fcm_service_account: secret::FcmServiceAccount,
    /// The address of FCM's API. Change it only for a substitute such as `fake-messengers`.
    #[arg(long, env = "FCM_URL", default_value = FcmConfig::URL)]
    pub fcm_url: Url,
    /// FCM must answer within this time, 15 seconds at least: a message that is given up earlier has often been
    /// delivered, and would be delivered twice.
    #[arg(long, env = "FCM_TIMEOUT_SECONDS", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(15..=600))]
    pub fcm_timeout_seconds: u64,
    /// For development: push messages are written into this folder.
    #[arg(long, env = "PUSH_DIR")]
    pub push_dir: Option<PathBuf>,
}

/// Pages for developers.
#[derive(Args, Clone, Debug)]
pub struct Development {
    /// `/dev/outbox` shows the messages that `fake-messengers` at this address has received. Refused in production.
    #[arg(long, env = "DEV_OUTBOX_URL")]
    pub dev_outbox_url: Option<Url>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SmtpTls {
    Starttls,
    Implicit,
    None,
}

/// The payment provider.
#[derive(Args, Clone, Debug)]
pub struct Stripe {
    #[command(flatten)]
    pub stripe_secret_key: secret::StripeSecretKey,
    /// The address of Stripe's API. Change it only for a substitute such as `fake-stripe`.
    #[arg(long, env = "STRIPE_URL", default_value = "https://api.stripe.com")]
    pub stripe_url: Url,
    /// Time limit for a call of Stripe with all its attempts, after which its outcome counts as unknown. Must be less
    /// than `HANDLER_TIMEOUT_SECONDS`.
    #[arg(long, env = "STRIPE_TIMEOUT_SECONDS", default_value_t = 12,
        value_parser = clap::value_parser!(u64).range(1..=600))]
    pub stripe_timeout_seconds: u64,
}

/// Jobs and periodic work.
#[derive(Args, Clone, Copy, Debug)]
pub struct Worker {
    /// How many jobs run at the same time. Each may need one of `DB_JOB_CONNECTIONS`, and requests need some too.
    #[arg(long, env = "JOBS_AT_ONCE", default_value_t = 4,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    pub jobs_at_once: usize,
    /// How often to poll for jobs. Jobs enqueued by the process itself are picked up at once.
    #[arg(long, env = "JOBS_POLL_MS", default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub jobs_poll_ms: u64,
    /// A worker that has not reported for this long loses its jobs to others.
    #[arg(long, env = "JOBS_LEASE_SECONDS", default_value_t = 25,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub jobs_lease_seconds: u64,
    /// After the signal to stop: how long running jobs may continue.
    #[arg(long, env = "JOBS_GRACE_SECONDS", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub jobs_grace_seconds: u64,
}

/// One value of a list that is separated by commas, without the blanks around it.
fn listed(text: &str) -> Result<String, Infallible> {
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_after_commas_do_not_count() {
        assert_eq!(
            listed(" https://b.example"),
            Ok("https://b.example".to_owned())
        );
    }
}
