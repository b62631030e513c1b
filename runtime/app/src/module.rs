//! The definition of a module: a folder with a type that implements [`Module`], and a line in [`crate::modules`].
//!
//! `docs/modules.md` is a tutorial that builds one. The files below have what several modules use.

mod batch;
mod check;
mod http;
mod parts;

pub use batch::each;
pub use check::check;
pub use http::{admin_or_platform, administrator, digest, id, idempotency_key, uncached};
pub use parts::{Parts, Provider, secret_list};

use crate::{access::Table, offers};
use axum::Router;
use kernel::{
    Result,
    config::BodyLimit,
    http::ConfigError,
    jobs::{Consumer, Job, Periodic},
};
use serde_json::Value;
use utoipa::openapi::OpenApi;

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

    /// By which words of `allowed_actions` the module's operations are offered.
    fn offers() -> offers::Table {
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
