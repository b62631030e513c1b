//! The list of modules: the one place outside of its folder where a module is named.

use crate::{
    audit_logs::AuditLogs, broadcasts::Broadcasts, calendars::Calendars, copies::Copies,
    dashboards::Dashboards, dead_jobs::DeadJobs, discovery::Discovery, fraud::Fraud,
    marketplace::Marketplace, me::Me, media::Media, module::*, notifications::Notifications,
    payments::Payments, privacy::Privacy, promotions::Promotions, ratings::Ratings,
    sessions::Sessions, tickets::Tickets, trending::Trending, wallet::Wallet,
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
    // After tickets, which it tells of payments.
    payments: Payments,
    trending: Trending,
    ratings: Ratings,
    fraud: Fraud,
    privacy: Privacy,
    // After tickets and trending, whose figures and lists it shows.
    dashboards: Dashboards,
    calendars: Calendars,
    discovery: Discovery,
}

/// Everything that is asked of all modules, from the list of them.
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
            /// As they are when nobody sets any.
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

            /// What is wrong between one of them and the spec.
            pub fn check(&self) -> Result<(), String> {
                $(check(&self.$name)?;)+
                Ok(())
            }

            /// What the worker does.
            pub fn work(&self) -> Work {
                Work {
                    jobs: [$(self.$name.jobs(),)+].concat(),
                    periodic: [$(self.$name.periodic(),)+].concat(),
                    consumers: [$(self.$name.consumers(),)+].concat(),
                }
            }
        }

        /// Folders of this crate, and the names in `spec/app.yaml`.
        pub const NAMES: &[(&str, &str)] = &[$((stringify!($name), <$module>::NAME),)+];

        /// What the modules say about their routes.
        pub fn document() -> OpenApi {
            let mut document = utoipa::openapi::OpenApiBuilder::new().build();
            $(document.merge(<$module>::document());)+
            document
        }

        /// What the modules change in the generated document.
        pub fn amend(document: &mut Value) {
            $(<$module>::amend(document);)+
        }
    };
}
use modules;
