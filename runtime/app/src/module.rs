//! The definition of a module: a folder with a type that implements [`Module`], and a line in [`crate::modules`].
//!
//! `docs/modules.md` is a tutorial that builds one.

use crate::{access::Table, clock::Clock, tickets::Tickets, trending::Trending};
use axum::{Router, http::HeaderMap};
use base64::{Engine, engine::general_purpose::STANDARD};
use delivery::{mail::Mailer, push::Pusher, webhooks};
use gateway::Gateway;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{
    Cx, Db, Error, Member, Result,
    auth::Tokens,
    config::BodyLimit,
    http::ConfigError,
    idempotency::{self, Keyed},
    jobs::{Consumer, Job, Periodic, Work},
    problems,
    resource::Resource,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    ops::AddAssign,
    sync::{Arc, OnceLock},
};
use url::Url;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

/// A hand-written part of the product.
pub trait Module: Clone + Send + Sync + 'static {
    /// The module's name under `modules:` in `spec/app.yaml`, by which the database knows its permissions.
    const NAME: &'static str;

    /// The module's settings, each declared once with name, documentation and default: they are parsed by this
    /// declaration, and `culturepass.env.example` and `docs/settings.md` are generated from it. `NoSettings` if there
    /// are none.
    type Settings: clap::Args + Clone + std::fmt::Debug + Send + Sync;

    /// Creates the module. Refuses settings that can't be used.
    fn new(parts: &Parts, settings: Self::Settings) -> Result<Self, ConfigError>;

    /// The module's routes. `generated` are the routes of all entities, on which the module's routes can be based.
    fn routes(&self, generated: &Router) -> Router {
        let _ = generated;
        Router::new()
    }

    /// Routes with a body limit of their own, above or below `BODY_LIMIT_BYTES`.
    fn body_limits(&self) -> Vec<BodyLimit> {
        Vec::new()
    }

    /// Paths of routes whose URLs contain a secret: they are logged with the placeholder in place of the secret.
    fn secret_paths(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The API document of the module's routes.
    fn document() -> OpenApi {
        utoipa::openapi::OpenApiBuilder::new().build()
    }

    /// Who may use the module's operations, by operation id. Operations that take no token (`security: []`) are not
    /// listed.
    fn access() -> Table {
        &[]
    }

    /// Changes the generated document, for routes that are built from generated ones.
    fn amend(document: &mut Value) {
        let _ = document;
    }

    /// The module's jobs, each named `<NAME>.<job>`. They run after the transaction that enqueued them.
    fn jobs(&self) -> Vec<Job> {
        Vec::new()
    }

    /// The schedules of those jobs that run periodically.
    fn periodic(&self) -> Vec<Periodic> {
        Vec::new()
    }

    /// Which jobs process which events.
    fn consumers(&self) -> Vec<Consumer> {
        Vec::new()
    }
}

/// Checks a module against the spec and describes what is wrong: a job named after another module would run with that
/// module's permissions, and an event that nothing emits would never arrive.
pub fn check<M: Module>(module: &M) -> Result<(), String> {
    let own = |job: &str| {
        job.strip_prefix(M::NAME)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let jobs = module.jobs();
    if !jobs.is_empty() && !is_module(M::NAME) {
        return Err(format!(
            "there is no module `{}` in spec/app.yaml, so its jobs may do nothing",
            M::NAME
        ));
    }
    if let Some(job) = jobs.iter().find(|job| !own(job.name())) {
        return Err(format!(
            "the job `{}` of the module `{}` is not called like it",
            job.name(),
            M::NAME
        ));
    }
    let is_there = |name: &str| jobs.iter().any(|job| job.name() == name);
    if let Some(name) = (generated::REQUESTED.iter()).find(|name| own(name) && !is_there(name)) {
        return Err(format!(
            "requests may ask for the job `{name}`, and the module does not declare it"
        ));
    }
    for Consumer { event, .. } in module.consumers() {
        let of = event.split('.').next().unwrap_or_default();
        // A module may emit any event under its own name.
        let is_told = generated::EVENTS.contains(&event) || is_module(of);
        if !is_told {
            return Err(format!(
                "nobody tells `{event}`: `emit` of an entity, or the name of a module, is missing"
            ));
        }
    }
    Ok(())
}

/// 403 for everybody except platform administrators.
pub fn administrator(caller: &Member) -> Result<()> {
    match caller.holds("platformAdmin") {
        true => Ok(()),
        false => Err(Error::forbidden()),
    }
}

/// Refuses (409) to begin something new for a city or host that is suspended or rejected: those who run it still see
/// it, and would use it as before. For callers who may update it while it is active.
pub async fn active(cx: &mut Cx, entity: &Resource, id: Uuid) -> Result<()> {
    let refuse = |detail: &'static str| Err(Error::new(&problems::STATE).detail(detail));
    if !cx.may(entity, "update", id).await? {
        return refuse("It is suspended: nothing new is begun for it until it is back.");
    }
    if entity.name == "city" {
        return Ok(());
    }
    let is_live: bool = sqlx::query_scalar("select app.host_is_live($1)")
        .bind(id)
        .fetch_one(cx.conn())
        .await?;
    match is_live {
        true => Ok(()),
        false => {
            refuse("It was rejected: nothing new is begun for it until it is submitted again.")
        }
    }
}

/// Parses the id in a path, which must be spelled as in answers. 404 for an invalid id, since no object can have it.
pub fn id(text: &str) -> Result<Uuid> {
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    id.ok_or_else(Error::not_found)
}

/// The `Idempotency-Key` of a request on a route that requires one; the middleware has refused requests without it.
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str> {
    idempotency::key(headers)?.ok_or_else(|| Error::new(&problems::BAD_REQUEST))
}

/// The first sixteen bytes of the SHA-256 digest, in hexadecimal.
pub fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    let bytes = digest.iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Runs `work` on each item, which uses a transaction of its own. A failing item would fail in every run, so the
/// others are processed nevertheless. Returns the sum of the results, or the last error.
pub async fn each<T, S, F>(
    all: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T) -> F,
) -> Result<S>
where
    S: Default + AddAssign,
    F: Future<Output = Result<S>>,
{
    let (mut sum, mut failed) = (S::default(), None);
    for one in all {
        match work(one).await {
            Ok(some) => sum += some,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(sum), Err)
}

/// Whether this is a module of the spec, or of the engine itself (these access no entity).
fn is_module(name: &str) -> bool {
    ["audit", "jobs"].contains(&name) || generated::MODULES.contains(&name)
}

/// The dependencies from which modules are built.
#[derive(Clone)]
pub struct Parts {
    pub db: Db,
    /// For routes that move money: requires an `Idempotency-Key`, and limits the number of requests of a member.
    pub keyed: Keyed,
    pub tokens: Arc<Tokens>,
    pub mailer: Arc<dyn Mailer>,
    pub pusher: Arc<dyn Pusher>,
    /// Keys for verifying the webhooks of mail services.
    pub mail_webhooks: webhooks::Keys,
    pub clock: Clock,
    /// Jobs of all modules; set once all modules have been created.
    pub work: Arc<OnceLock<Work>>,
    /// The key from which all other secrets are derived, by [`Parts::secret`].
    pub key: SecretString,
    /// The base URL of the web app, for links in mail. `None`: this server's own.
    pub app_url: Option<Url>,
    /// The base URL at which clients reach the API.
    pub public_url: Url,
    /// Whether this is a production server, which refuses the conveniences of development.
    pub production: bool,
    /// The payment provider. `None`: nothing can be paid by card.
    pub provider: Option<Provider>,
    /// Set by the module `tickets` itself, for modules that are created after it.
    pub tickets: Arc<OnceLock<Tickets>>,
    /// Set by the module `trending` itself, for modules that are created after it.
    pub trending: Arc<OnceLock<Trending>>,
}

/// The payment service.
#[derive(Clone)]
pub struct Provider {
    pub gateway: Arc<dyn Gateway>,
    /// Whether it moves real money. Webhook events with another value are ignored.
    pub livemode: bool,
}

impl Parts {
    /// Derives the secret for a purpose, so that purposes don't share secrets although only one key has to be kept.
    pub fn secret(&self, purpose: &str) -> SecretString {
        derive(&self.key, purpose)
    }
}

fn derive(key: &SecretString, purpose: &str) -> SecretString {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().trim().as_bytes())
        .expect("any length will do");
    mac.update(purpose.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes()).into()
}

/// For modules without settings.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct NoSettings {}

/// The default settings of a module.
pub fn defaults<S: clap::Args>() -> S {
    let command = S::augment_args(clap::Command::new("defaults"))
        .mut_args(|argument| argument.env(None::<&str>));
    let matches = command
        .try_get_matches_from(["defaults"])
        .expect("no setting of a module is required");
    S::from_arg_matches(&matches).expect("defaults can be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one job and one consumer.
    #[derive(Clone)]
    struct Tried(&'static str, &'static str);

    impl Module for Tried {
        const NAME: &'static str = "trending";
        type Settings = NoSettings;

        fn new(_: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
            Ok(Self("", ""))
        }

        fn jobs(&self) -> Vec<Job> {
            vec![Job::new(self.0, |_| async { Ok(()) })]
        }

        fn consumers(&self) -> Vec<Consumer> {
            let (event, job) = (self.1, self.0);
            vec![Consumer { event, job }]
        }
    }

    #[test]
    fn a_module_is_held_to_the_spec() {
        let said = |job, event| check(&Tried(job, event)).map_err(|reason| reason[..18].to_owned());
        assert_eq!(said("trending.rank", "event.publish"), Ok(()));
        assert_eq!(said("trending.rank", "payments.refunded"), Ok(()));
        for (job, event, expected) in [
            ("sessions.rank", "event.publish", "the job `sessions."),
            ("trendingrank.x", "event.publish", "the job `trendingr"),
            ("trending.rank", "event.publsh", "nobody tells `even"),
            // Entities that exist, but don't emit this event.
            ("trending.rank", "venue.create", "nobody tells `venu"),
            ("trending.rank", "payment.refunded", "nobody tells `paym"),
        ] {
            assert_eq!(said(job, event), Err(expected.to_owned()), "{job} {event}");
        }
    }

    #[test]
    fn every_purpose_has_a_secret_of_its_own() {
        let secret = |key: &str, purpose| {
            let secret = derive(&key.to_owned().into(), purpose);
            secret.expose_secret().to_owned()
        };
        assert_ne!(secret("key", "cursors"), secret("key", "sessions"));
        assert_eq!(secret("key", "cursors"), secret("key\n", "cursors"));
    }
}
