//! Assembles a running application from settings.

mod couriers;

use crate::{
    checks, cli, outbox, seed,
    settings::{Common, Environment, Http as HttpSettings, Roles, Secret, Stripe, Tokens, Worker},
};
use anyhow::{Context, Result, bail};
use app::{
    App,
    clock::Clock,
    module::{self, Provider},
    modules,
};
use axum::Router;
use delivery::{mail::Mailer, push::Pusher, webhooks};
use kernel::{
    Db,
    auth::{Authenticator, External, Tokens as Issuer, external, token},
    config::{DbConfig, HttpConfig, IssuerConfig, Jwks, RateLimit, TokenConfig},
    http::{
        Http,
        home::{self, Home},
    },
    idempotency::Keyed,
    jobs::WorkerConfig,
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use std::{sync::Arc, time::Duration};
use stripe_gateway::StripeGateway;
use url::Url;

/// An application that is ready to answer requests.
pub struct Built {
    pub app: App,
    pub db: Db,
    pub tokens: Arc<Issuer>,
    /// All routes with all layers, as a client sees them.
    pub router: Router,
    pub http: Arc<Http>,
}

/// The parts of an application: made from settings, or put together by tests.
pub struct Parts {
    pub db: DbConfig,
    pub http: HttpConfig,
    /// How many requests that move money one member may begin per day; `None`: any number.
    pub keyed_per_day: Option<u32>,
    pub tokens: TokenConfig,
    pub issuer: Option<IssuerConfig>,
    pub modules: modules::Settings,
    pub mailer: Arc<dyn Mailer>,
    pub pusher: Arc<dyn Pusher>,
    pub mail_webhooks: webhooks::Keys,
    pub clock: Clock,
    pub public_url: Url,
    /// Whether development features are refused.
    pub production: bool,
    /// The payment provider, if there is one.
    pub provider: Option<Provider>,
    pub api_docs: bool,
    /// The address of the page that shows sent messages, in development.
    pub outbox: Option<Url>,
    /// Values in the examples of the document, and what to replace them with.
    pub examples: Vec<(String, String)>,
}

/// Connects lazily, so the database need not be there yet.
pub fn build(parts: Parts) -> Result<Built> {
    let db = Db::connect(&parts.db).context("the database URLs")?;
    let tokens = Arc::new(Issuer::new(&parts.tokens).context(
        "TOKEN_KEY is no Ed25519 private key in PEM; make one with `culturepass token-key`",
    )?);
    let shared = module::Parts {
        db: db.clone(),
        keyed: Keyed {
            db: db.clone(),
            per_day: parts.keyed_per_day,
        },
        tokens: tokens.clone(),
        mailer: parts.mailer,
        pusher: parts.pusher,
        mail_webhooks: parts.mail_webhooks,
        clock: parts.clock,
        work: Arc::default(),
        key: parts.tokens.signing_key,
        former_keys: parts.tokens.former_keys,
        app_url: parts.modules.sessions.app_url.clone(),
        public_url: parts.public_url,
        production: parts.production,
        provider: parts.provider,
        tickets: Arc::default(),
        trending: Arc::default(),
    };
    let app = App::new(&shared, parts.modules)?;
    let mut external = Vec::new();
    if let Some(issuer) = parts.issuer {
        let resolver = Arc::new(app.modules.sessions.clone());
        external.push(External::new(issuer, resolver).context("OIDC_ISSUER")?);
    }
    let public = shared.public_url.as_str().trim_end_matches('/').to_owned();
    // In development, the first server of the document is the address at which the document was opened.
    let servers = match parts.production {
        true => vec![public],
        false => vec!["/".to_owned(), public],
    };
    let mut config = parts.http;
    config.body_limits = app.modules.body_limits();
    config.secret_paths = app.modules.secret_paths();
    let http = Http::new(config, Authenticator::new(tokens.clone(), external))?;
    let mut routes = app::api::router(&app);
    if parts.api_docs {
        routes = routes.merge(kernel::openapi::router(
            app::api::document,
            app::api::hand_written,
            servers,
            match parts.examples.is_empty() {
                true => kernel::openapi::examples(parts.examples),
                false => seed::examples::with_those_made_later(db.clone(), parts.examples),
            },
        ));
    }
    if let Some(url) = parts.outbox {
        routes = routes.merge(outbox::router(url).context("DEV_OUTBOX_URL")?);
    }
    let routes = routes.merge(home::router(Home {
        document: app::api::document,
        docs: parts.api_docs,
    }));
    Ok(Built {
        router: http.wrap(routes),
        app,
        db,
        tokens,
        http,
    })
}

/// The parts that `serve` and `worker` share, from settings.
pub fn parts(common: &Common, app: &cli::App, http: Option<&HttpSettings>) -> Result<Parts> {
    let production = common.environment == Environment::Production;
    checks::bases(app)?;
    if let Some(http) = http {
        checks::time_to_pay(app, http)?;
    }
    let tokens = token_config(&app.tokens)?;
    Ok(Parts {
        db: db_config(&app.roles)?,
        http: HttpConfig {
            cors_localhost: !production,
            ..http.map(http_config).unwrap_or_default()
        },
        keyed_per_day: http
            .map(|http| http.money_requests_per_day)
            .filter(|limit| *limit > 0),
        issuer: issuer_config(&app.tokens)?,
        modules: app.modules.clone(),
        mailer: couriers::mailer(&app.mail, production)?,
        pusher: couriers::pusher(&app.push, production)?,
        mail_webhooks: couriers::webhooks(&app.mail)?,
        clock: Clock::default(),
        public_url: app.tokens.public_url.clone(),
        production,
        provider: provider(&app.stripe, production)?,
        api_docs: http.is_some_and(|http| http.api_docs.unwrap_or(!production)),
        outbox: None,
        examples: match production {
            true => Vec::new(),
            false => seed::examples::of_the_demonstration(),
        },
        tokens,
    })
}

pub fn worker_config(settings: &Worker) -> WorkerConfig {
    WorkerConfig {
        at_once: settings.jobs_at_once.max(1),
        poll: Duration::from_millis(settings.jobs_poll_ms.max(1)),
        lease: Duration::from_secs(settings.jobs_lease_seconds.max(1)),
        grace: Duration::from_secs(settings.jobs_grace_seconds),
    }
}

pub fn db_config(roles: &Roles) -> Result<DbConfig> {
    let mut config = DbConfig::new(database_url(&roles.app_database_url)?);
    config.job_url = Some(database_url(&roles.job_database_url)?);
    config.connections = roles.db_connections.max(1);
    config.job_connections = roles.db_job_connections.max(1);
    config.search_connections = roles.db_search_connections.max(1);
    config.search_timeout = Duration::from_millis(roles.db_search_timeout_ms.max(1));
    config.figure_connections = roles.db_figure_connections.max(1);
    config.figure_timeout = Duration::from_millis(roles.db_figure_timeout_ms.max(1));
    config.acquire_timeout = Duration::from_millis(roles.db_acquire_timeout_ms);
    Ok(config)
}

fn provider(settings: &Stripe, production: bool) -> Result<Option<Provider>> {
    let Some(key) = settings.stripe_secret_key.get()? else {
        return Ok(None);
    };
    let key = stripe_key(&key)?;
    let url = &settings.stripe_url;
    if production && url.scheme() != "https" {
        bail!("STRIPE_URL: in production the secret key goes over https only");
    }
    let livemode = ["sk_live_", "rk_live_"]
        .iter()
        .any(|prefix| key.expose_secret().starts_with(prefix));
    if livemode && url.as_str().trim_end_matches('/') != stripe_gateway::Settings::BASE_URL {
        bail!("STRIPE_URL: a key of real money goes to Stripe and nowhere else");
    }
    let mut gateway = stripe_gateway::Settings::new(key, url.clone());
    gateway.total_timeout = Duration::from_secs(settings.stripe_timeout_seconds.max(1));
    gateway.attempt_timeout = gateway.attempt_timeout.min(gateway.total_timeout);
    gateway.in_transaction = kernel::cx::in_transaction;
    let gateway = StripeGateway::new(gateway).context("the client of Stripe")?;
    Ok(Some(Provider {
        gateway: Arc::new(gateway),
        livemode,
    }))
}

/// Stripe would refuse anything else at the first payment, and a line break could not even be sent. The refusal must not
/// repeat the key.
fn stripe_key(given: &SecretString) -> Result<SecretString> {
    let key = given.expose_secret().trim();
    let is_secret = ["sk_", "rk_"].iter().any(|prefix| key.starts_with(prefix));
    if !is_secret || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("STRIPE_SECRET_KEY is no secret key (`sk_…`) or restricted key (`rk_…`) of Stripe");
    }
    Ok(key.into())
}

/// Parsed here only so that an error names the setting.
fn database_url<S: Secret>(setting: &S) -> Result<SecretString> {
    let url = setting.require()?;
    url.expose_secret()
        .parse::<PgConnectOptions>()
        .with_context(|| format!("{} is not the address of a database", S::NAME))?;
    Ok(url)
}

fn token_config(settings: &Tokens) -> Result<TokenConfig> {
    let issuer = settings
        .public_url
        .as_str()
        .trim_end_matches('/')
        .to_owned();
    let mut config = TokenConfig::new(
        issuer,
        settings.token_audience.clone(),
        settings.token_key.require()?,
    );
    config.lifetime = Duration::from_secs(settings.token_lifetime_seconds);
    for path in &settings.token_former_key_files {
        let key = std::fs::read_to_string(path)
            .with_context(|| format!("TOKEN_FORMER_KEY_FILES: {}", path.display()))?;
        if !token::is_key(&key) {
            bail!(
                "TOKEN_FORMER_KEY_FILES: {} is no Ed25519 key in PEM",
                path.display()
            );
        }
        config.former_keys.push(key.into());
    }
    Ok(config)
}

fn issuer_config(settings: &Tokens) -> Result<Option<IssuerConfig>> {
    let Some(issuer) = &settings.oidc_issuer else {
        return Ok(None);
    };
    let jwks = match (&settings.oidc_jwks_file, &settings.oidc_jwks_url) {
        (Some(path), _) => {
            // Read again when keys are needed; now only so that a wrong file is noticed before somebody signs in.
            let text = std::fs::read(path)
                .with_context(|| format!("OIDC_JWKS_FILE: {}", path.display()))?;
            if external::usable_keys(&text) == 0 {
                bail!(
                    "OIDC_JWKS_FILE: {} holds no key set with a key that can be used (RSA, P-256 or Ed25519, with `kid`)",
                    path.display()
                );
            }
            Jwks::File(path.clone())
        }
        (None, Some(url)) => Jwks::Url(url.clone()),
        (None, None) => {
            let keys = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
            Jwks::Url(keys.parse().context("OIDC_ISSUER is not an address")?)
        }
    };
    let Some(audience) = settings.oidc_audience.clone() else {
        bail!("OIDC_ISSUER needs OIDC_AUDIENCE")
    };
    let mut config = IssuerConfig::new(issuer.clone(), audience, jwks);
    if !settings.oidc_clients.is_empty() {
        config.authorized_parties = settings.oidc_clients.clone();
    }
    config.max_lifetime = Duration::from_secs(settings.oidc_max_lifetime_seconds);
    Ok(Some(config))
}

fn http_config(settings: &HttpSettings) -> HttpConfig {
    let limit = |per_minute, burst| (per_minute > 0).then_some(RateLimit { per_minute, burst });
    HttpConfig {
        listen: settings.listen,
        admin_listen: settings.admin_listen,
        header_timeout: Duration::from_secs(settings.header_timeout_seconds),
        keep_alive: Duration::from_secs(settings.keep_alive_seconds),
        write_timeout: Duration::from_secs(settings.write_timeout_seconds),
        max_connections: settings.max_connections,
        max_connections_per_address: settings.max_connections_per_address,
        max_requests: settings.max_requests,
        body_limit: settings.body_limit_bytes,
        max_header_bytes: settings.max_header_bytes,
        body_timeout: Duration::from_secs(settings.body_timeout_seconds),
        handler_timeout: Duration::from_secs(settings.handler_timeout_seconds),
        drain_delay: Duration::from_secs(settings.drain_delay_seconds),
        drain_timeout: Duration::from_secs(settings.drain_timeout_seconds),
        cors_origins: settings.cors_origins.clone(),
        trusted_proxies: settings.trusted_proxies.clone(),
        ip_limit: limit(settings.ip_rate_per_minute, settings.ip_rate_burst),
        user_limit: limit(settings.user_rate_per_minute, settings.user_rate_burst),
        ..HttpConfig::default()
    }
}
