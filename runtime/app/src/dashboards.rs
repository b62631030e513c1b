//! Dashboards: the start pages of a member, a host, a city and the platform, each in one answer.
//!
//! All figures are computed from the tables at request time, in one read-only transaction with a single snapshot, and
//! the number of statements does not grow with the rows ([ADR 72](../../../docs/adr/0072-dashboards.md)). This module
//! may not write anything. Sums that other modules compute already are taken from these modules.

mod calendar;
mod city;
mod event;
mod home;
mod host;
mod money;
mod period;
mod platform;
mod services;
mod shared;
mod trade;

use crate::{
    access::{Access, Table},
    module::{Module, NoSettings, Parts},
    trending::Trending,
};
use axum::Router;
use kernel::{Cx, Db, Result, cursor::CursorKey, http::ConfigError};
use serde::de::DeserializeOwned;
use sqlx::{Postgres, postgres::PgArguments, query::QueryScalar, types::Json as Jsonb};
use std::sync::Arc;
use utoipa::{
    Modify,
    openapi::{OpenApi, Ref, RefOr, Schema, schema::ArrayBuilder},
};

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Dashboards {
    db: Db,
    trending: Trending,
    cursors: Arc<CursorKey>,
}

/// The state of routes that show events as the engine's lists show them.
#[derive(Clone)]
struct Lists {
    module: Dashboards,
    generated: Router,
}

impl Module for Dashboards {
    const NAME: &'static str = "dashboards";
    type Settings = NoSettings;

    fn new(parts: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
        let trending = parts.trending.get().ok_or_else(|| ConfigError {
            setting: "the order of modules",
            reason: "trending comes before dashboards".to_owned(),
        })?;
        Ok(Self {
            db: parts.db.clone(),
            trending: trending.clone(),
            cursors: Arc::new(CursorKey::new(&parts.secret("cursors"))),
        })
    }

    fn routes(&self, generated: &Router) -> Router {
        let lists = Lists {
            module: self.clone(),
            generated: generated.clone(),
        };
        Router::new()
            .merge(event::router())
            .merge(host::router())
            .merge(city::router())
            .merge(platform::router())
            .with_state(self.clone())
            .merge(
                Router::new()
                    .merge(home::router())
                    .merge(calendar::router())
                    .with_state(lists),
            )
    }

    fn access() -> Table {
        &[
            ("getBusinessDashboard", Access::HostAdminOrPlatform),
            ("getCommunityDashboard", Access::HostAdminOrPlatform),
            ("getInstitutionDashboard", Access::HostAdminOrPlatform),
            ("getOrganizationDashboard", Access::HostAdminOrPlatform),
            ("getEventDashboard", Access::HostAdminOrPlatform),
            ("getCityDashboard", Access::CityAdmin),
            ("getPlatformDashboard", Access::PlatformAdmin),
            ("getMyCalendar", Access::Member),
            ("getMyHome", Access::Member),
        ]
    }

    fn document() -> OpenApi {
        let mut document = event::document();
        for part in [
            host::document(),
            city::document(),
            platform::document(),
            home::document(),
            calendar::document(),
        ] {
            document.merge(part);
        }
        document
    }
}

/// The schema of an event in an answer: that of the generated lists.
fn an_event() -> RefOr<Schema> {
    Ref::from_schema_name("ExpandedEvent").into()
}

fn events() -> RefOr<Schema> {
    ArrayBuilder::new().items(an_event()).into()
}

/// Adds the parameter `expand` of the list of events to the document of the operations that show events.
struct Expands;

static EXPANDS: Expands = Expands;

const EXPAND: &str = "#/components/parameters/Event.expand";

impl Modify for Expands {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            if let Some(operation) = &mut item.get {
                let parameters = operation.parameters.get_or_insert_default();
                parameters.push(RefOr::Ref(Ref::new(EXPAND)));
            }
        }
    }
}

/// Runs a statement that builds a whole part of a dashboard as JSON.
async fn part<T>(cx: &mut Cx, query: QueryScalar<'_, Postgres, Jsonb<T>, PgArguments>) -> Result<T>
where
    T: DeserializeOwned + Send + Unpin + 'static,
{
    let Jsonb(part) = query.fetch_one(cx.conn()).await?;
    Ok(part)
}
