//! Suspicious patterns: rules search for them regularly and flag what they find; administrators decide about the
//! flags.
//!
//! What a rule searches for is in the database (`spec/sql/fraud.sql`); how many facts are suspicious is set here. A
//! rule never refuses or suspends anything, since every pattern also occurs with honest people.

mod decide;
mod settings;

pub use settings::Settings;

use crate::access::{Access, Table};
use crate::module::{Module, Parts};
use crate::offers::{self, offer};
use axum::Router;
use chrono::TimeDelta;
use kernel::{
    Db, Result,
    http::ConfigError,
    jobs::{Job, Periodic},
};
use std::time::Duration;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

const LOOK: &str = "fraud.look";

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Fraud {
    db: Db,
    settings: Settings,
}

/// A rule: at least `least` facts within so many hours are flagged.
#[derive(Clone, Copy, Debug)]
struct Rule {
    name: &'static str,
    hours: i64,
    /// The number of facts from which on something is flagged. 0: the rule is off.
    least: u32,
}

impl Module for Fraud {
    const NAME: &'static str = "fraud";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            settings,
        })
    }

    fn routes(&self, generated: &Router) -> Router {
        decide::router(self.clone(), generated)
    }

    fn access() -> Table {
        &[
            ("confirmFraud", Access::PlatformAdmin),
            ("dismissFraud", Access::PlatformAdmin),
        ]
    }

    fn offers() -> offers::Table {
        const {
            &[
                offer("confirmFraud", "fraud_flag", "confirm"),
                offer("dismissFraud", "fraud_flag", "dismiss"),
            ]
        }
    }

    fn document() -> OpenApi {
        decide::document()
    }

    fn jobs(&self) -> Vec<Job> {
        let look = |fraud: Self, _| async move { Ok(fraud.look().await.map(drop)?) };
        vec![Job::of(self, LOOK, look)]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![Periodic::every(LOOK, Duration::from_mins(10))]
    }
}

impl Fraud {
    /// Runs every rule, each in a transaction of its own. Returns how many flags are new or have newer evidence.
    pub async fn look(&self) -> Result<i64> {
        let mut flagged = 0;
        for rule in self
            .settings
            .rules()
            .into_iter()
            .filter(|rule| rule.least > 0)
        {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let flag =
                        sqlx::query_scalar("select app.flag_fraud($1, now() - $2::interval, $3)")
                            .bind(rule.name)
                            .bind(TimeDelta::hours(rule.hours))
                            .bind(i32::try_from(rule.least).unwrap_or(i32::MAX));
                    let flagged: i64 = flag.fetch_one(cx.conn()).await?;
                    Ok(flagged)
                })
            });
            flagged += run.await?;
        }
        Ok(flagged)
    }
}
