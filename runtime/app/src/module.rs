//! What a module is: a folder with a type that implements [`Module`], and a line in [`crate::modules`].
//!
//! `docs/modules.md` builds one from beginning to end.

use crate::{access::Table, clock::Clock, tickets::Tickets, trending::Trending};
use axum::{Router, http::HeaderMap};
use base64::{Engine, engine::general_purpose::STANDARD};
use delivery::{mail::Mailer, push::Pusher, webhooks};
use gateway::Gateway;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{
    Db, Error, Member, Result,
    auth::Tokens,
    config::BodyLimit,
    http::ConfigError,
    idempotency::{self, Keyed},
    jobs::{Consumer, Job, Periodic, Work},
    problems,
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

/// One part of the product that is written by hand.
pub trait Module: Clone + Send + Sync + 'static {
    /// As under `modules:` in `spec/app.yaml`: the name by which the database knows what it may touch.
    const NAME: &'static str;

    /// Its settings, each declared once with its name, its doc and its default: that is what parses them, and what
    /// `culturepass.env.example` and `docs/settings.md` are made of. `NoSettings` if it has none.
    type Settings: clap::Args + Clone + std::fmt::Debug + Send + Sync;

    /// Refuses settings that cannot be used.
    fn new(parts: &Parts, settings: Self::Settings) -> Result<Self, ConfigError>;

    /// Its routes. `generated` are those of all entities, for routes that are made of them.
    fn routes(&self, generated: &Router) -> Router {
        let _ = generated;
        Router::new()
    }

    /// Routes whose bodies may be longer, or must be shorter, than `BODY_LIMIT_BYTES`.
    fn body_limits(&self) -> Vec<BodyLimit> {
        Vec::new()
    }

    /// Routes whose addresses hold a secret: the log has them as they stand here.
    fn secret_paths(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// What the API document says about its routes.
    fn document() -> OpenApi {
        utoipa::openapi::OpenApiBuilder::new().build()
    }

    /// Who may use its operations, by their ids. Those that take no token (`security: []`) are everybody's.
    fn access() -> Table {
        &[]
    }

    /// Changes the generated document, for routes that are made of generated ones.
    fn amend(document: &mut Value) {
        let _ = document;
    }

    /// What it does after a transaction, each called `<NAME>.<job>`.
    fn jobs(&self) -> Vec<Job> {
        Vec::new()
    }

    /// Which of its jobs come round again.
    fn periodic(&self) -> Vec<Periodic> {
        Vec::new()
    }

    /// Which of its jobs are for what others tell.
    fn consumers(&self) -> Vec<Consumer> {
        Vec::new()
    }
}

/// What is wrong between a module and the spec: a job under another module's name would run with that one's rights,
/// an event that nobody tells would never come.
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
        // Modules tell what they like.
        let is_told = generated::EVENTS.contains(&event) || is_module(of);
        if !is_told {
            return Err(format!(
                "nobody tells `{event}`: `emit` of an entity, or the name of a module, is missing"
            ));
        }
    }
    Ok(())
}

/// 403 for everybody but platform administrators.
pub fn administrator(caller: &Member) -> Result<()> {
    match caller.holds("platformAdmin") {
        true => Ok(()),
        false => Err(Error::forbidden()),
    }
}

/// The id in a path, in the one spelling that answers use. 404 for what is none: nothing has it.
pub fn id(text: &str) -> Result<Uuid> {
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    id.ok_or_else(Error::not_found)
}

/// The `Idempotency-Key` of a request on a route that demands one; the layer has refused those without.
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str> {
    idempotency::key(headers)?.ok_or_else(|| Error::new(&problems::BAD_REQUEST))
}

/// Sixteen bytes of SHA-256 in hexadecimal: a short text for a long one, the same for the same.
pub fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    let bytes = digest.iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Does this with one after the other, in a transaction of its own: one that fails would fail at every run, and must keep none
/// of the others from their turn. What it comes to, or one of the failures.
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

/// In the spec, or the engine's own: those touch no entity.
fn is_module(name: &str) -> bool {
    ["audit", "jobs"].contains(&name) || generated::MODULES.contains(&name)
}

/// What modules are built from.
#[derive(Clone)]
pub struct Parts {
    pub db: Db,
    /// For routes that move money: they demand an `Idempotency-Key`, and a member's requests are counted.
    pub keyed: Keyed,
    pub tokens: Arc<Tokens>,
    pub mailer: Arc<dyn Mailer>,
    pub pusher: Arc<dyn Pusher>,
    /// What webhooks of mail services are checked with.
    pub mail_webhooks: webhooks::Keys,
    pub clock: Clock,
    /// Jobs of all modules, once all are made.
    pub work: Arc<OnceLock<Work>>,
    /// Every other secret is derived from it: [`Parts::secret`].
    pub key: SecretString,
    /// Where the web app is, for links in mail. `None`: it is this server.
    pub app_url: Option<Url>,
    /// Where clients reach the API.
    pub public_url: Url,
    /// Conveniences of development are refused.
    pub production: bool,
    /// Who takes payments; without one nothing can be paid by card.
    pub provider: Option<Provider>,
    /// Set by the module itself, for modules that are listed after it.
    pub tickets: Arc<OnceLock<Tickets>>,
    /// The same of the lists of what trends and of those whom one follows.
    pub trending: Arc<OnceLock<Trending>>,
}

/// The payment service.
#[derive(Clone)]
pub struct Provider {
    pub gateway: Arc<dyn Gateway>,
    /// Whether it moves real money. Events of the other kind are not believed.
    pub livemode: bool,
}

impl Parts {
    /// A secret for one purpose, so that no two share one and only one has to be kept.
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

/// Of modules that have none.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct NoSettings {}

/// The settings of a module as they are when nobody sets any.
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
            // It is there and tells nothing.
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
