//! The list of modules: a line here, and `mod` in the crate root, is all that a new module needs outside of its folder.

use crate::{
    access::{self, Table},
    audit_logs::AuditLogs,
    broadcasts::Broadcasts,
    calendars::Calendars,
    copies::Copies,
    dashboards::Dashboards,
    dead_jobs::DeadJobs,
    discovery::Discovery,
    fraud::Fraud,
    marketplace::Marketplace,
    me::Me,
    media::Media,
    module::*,
    notifications::Notifications,
    offers,
    payments::Payments,
    privacy::Privacy,
    promotions::Promotions,
    ratings::Ratings,
    sessions::Sessions,
    tickets::Tickets,
    trending::Trending,
    wallet::Wallet,
};
use axum::Router;
use kernel::{config::BodyLimit, http::ConfigError, jobs::Work};
use serde_json::Value;
use utoipa::openapi::OpenApi;

modules! {
    sessions: Sessions,
    me: Me,
    audit_logs: AuditLogs,
    dead_jobs: DeadJobs,
    wallet: Wallet,
    tickets: Tickets,
    marketplace: Marketplace,
    promotions: Promotions,
    notifications: Notifications,
    broadcasts: Broadcasts,
    copies: Copies,
    media: Media,
    // After tickets, which has to exist first: payments reports to it.
    payments: Payments,
    trending: Trending,
    ratings: Ratings,
    fraud: Fraud,
    privacy: Privacy,
    // After tickets and trending, whose figures and lists it uses.
    dashboards: Dashboards,
    calendars: Calendars,
    discovery: Discovery,
}

/// Generates, from the list of modules, everything that concerns all of them.
macro_rules! modules {
    ($($name:ident: $module:ty,)+) => {
        /// All modules, ready to work.
        #[derive(Clone)]
        pub struct Modules {
            $(pub $name: $module,)+
        }

        /// The settings of all modules.
        #[derive(clap::Args, Clone, Debug)]
        #[group(skip)]
        pub struct Settings {
            $(#[command(flatten)] pub $name: <$module as Module>::Settings,)+
        }

        impl Settings {
            /// All settings with their defaults.
            pub fn defaults() -> Self {
                Self { $($name: defaults(),)+ }
            }
        }

        impl Modules {
            pub fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
                Ok(Self { $($name: <$module>::new(parts, settings.$name)?,)+ })
            }

            pub fn routes(&self, generated: &Router) -> Router {
                Router::new()$(.merge(self.$name.routes(generated)))+
            }

            pub fn body_limits(&self) -> Vec<BodyLimit> {
                [$(self.$name.body_limits(),)+].concat()
            }

            pub fn secret_paths(&self) -> Vec<&'static str> {
                [$(self.$name.secret_paths(),)+].concat()
            }

            /// Checks every module against the spec and describes the first mistake.
            pub fn check(&self) -> Result<(), String> {
                $(check(&self.$name)?;)+
                Ok(())
            }

            /// The jobs, schedules and consumers of all modules.
            pub fn work(&self) -> Work {
                Work {
                    jobs: [$(self.$name.jobs(),)+].concat(),
                    periodic: [$(self.$name.periodic(),)+].concat(),
                    consumers: [$(self.$name.consumers(),)+].concat(),
                }
            }
        }

        /// The modules' names: the folder in this crate, and the name in `spec/app.yaml`.
        pub const NAMES: &[(&str, &str)] = &[$((stringify!($name), <$module>::NAME),)+];

        /// The API document of the modules' routes.
        pub fn document() -> OpenApi {
            let mut whole = utoipa::openapi::OpenApiBuilder::new().build();
            for (_, document) in documents() {
                whole.merge(document);
            }
            access::tell(&mut whole, &access());
            offers::tell(&mut whole, &offers());
            whole
        }

        /// The API document of each module separately, with the name of its folder.
        fn documents() -> Vec<(&'static str, OpenApi)> {
            vec![$((stringify!($name), <$module>::document()),)+]
        }

        /// Applies the changes that modules make to the generated document.
        pub fn amend(document: &mut Value) {
            $(<$module>::amend(document);)+
            access::tell_json(document, &access());
            offers::tell_json(document, &offers());
        }

        /// By which words of `allowed_actions` the operations of each module are offered.
        pub fn offers() -> Vec<offers::Table> {
            vec![$(<$module>::offers(),)+]
        }

        /// Who may use the operations of each module.
        fn access() -> Vec<Table> {
            vec![$(<$module>::access(),)+]
        }
    };
}
use modules;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// When documents are merged, only one of several schemas with the same name is kept.
    #[test]
    fn no_two_modules_call_different_things_by_one_name() {
        let generated: Value =
            serde_json::from_str(include_str!("../../../generated/openapi.json"))
                .expect("the generated document is JSON");
        let of = |document: &Value| {
            let all = document["components"]["schemas"].as_object();
            all.cloned().unwrap_or_default()
        };
        let mut said: BTreeMap<String, (&str, Value)> = of(&generated)
            .into_iter()
            .map(|(name, schema)| (name, ("the spec", schema)))
            .collect();
        let mut wrong = Vec::new();
        for (module, document) in documents() {
            let document = serde_json::to_value(document).expect("JSON");
            for (name, schema) in of(&document) {
                match said.get(&name) {
                    Some((other, first)) if *first != schema => {
                        wrong.push(format!("{name} of {module} and {other}"));
                    }
                    Some(_) => {}
                    None => drop(said.insert(name, (module, schema))),
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
