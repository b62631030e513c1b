//! What a module is: a folder with a type that implements [`Module`], and a line in [`crate::modules`].
//!
//! `docs/modules.md` builds one from beginning to end.

use crate::{clock::Clock, mail::Mailer};
use axum::Router;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{
    Db,
    auth::Tokens,
    config::BodyLimit,
    http::ConfigError,
    jobs::{Consumer, Job, Periodic, Work},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Sha256;
use std::sync::{Arc, OnceLock};
use url::Url;
use utoipa::openapi::OpenApi;

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

    /// What the API document says about its routes.
    fn document() -> OpenApi {
        utoipa::openapi::OpenApiBuilder::new().build()
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

/// What modules are built from.
#[derive(Clone)]
pub struct Parts {
    pub db: Db,
    pub tokens: Arc<Tokens>,
    pub mailer: Arc<dyn Mailer>,
    pub clock: Clock,
    /// Jobs of all modules, once all are made.
    pub work: Arc<OnceLock<Work>>,
    /// Every other secret is derived from it: [`Parts::secret`].
    pub key: SecretString,
    /// Where clients reach the API.
    pub public_url: Url,
    /// Conveniences of development are refused.
    pub production: bool,
}

impl Parts {
    /// A secret for one purpose, so that no two share one and only one has to be kept.
    pub fn secret(&self, purpose: &str) -> SecretString {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret().trim().as_bytes())
            .expect("any length will do");
        mac.update(purpose.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes()).into()
    }
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
    use kernel::config::{DbConfig, TokenConfig};

    fn parts(key: &str) -> Parts {
        const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let tokens = TokenConfig::new("i".into(), "a".into(), KEY.into());
        Parts {
            db: Db::connect(&DbConfig::new("postgres:///nowhere".into())).expect("a URL"),
            tokens: Arc::new(Tokens::new(&tokens).expect("a key")),
            mailer: Arc::new(crate::mail::LogMailer),
            clock: Clock::default(),
            work: Arc::default(),
            key: key.to_owned().into(),
            public_url: "http://api.test".parse().expect("a URL"),
            production: false,
        }
    }

    #[tokio::test]
    async fn every_purpose_has_a_secret_of_its_own() {
        let secret = |key, purpose| parts(key).secret(purpose).expose_secret().to_owned();
        assert_ne!(secret("key", "cursors"), secret("key", "sessions"));
        assert_eq!(secret("key", "cursors"), secret("key\n", "cursors"));
    }
}
