//! Trending and featured events of a city, the feed of followed hosts and venues; and liking, following, viewing and
//! sharing.
//!
//! Triggers record what people do, and a job adds it to the ranks every second, in the database
//! (`spec/sql/trending.sql`, [ADR 64](../../../docs/adr/0064-trending.md)); nothing is written merely because time
//! passes. This module decides which events a list has and in which order; the engine's generated list then shows
//! those events that the caller may see.

mod document;
mod edges;
mod featured;
mod feed;
mod hot;
mod maintenance;
mod settings;
pub(crate) mod visits;

use crate::{
    access::{Access, Table},
    clock::Clock,
    module::{Module, Parts},
};
use axum::{Router, routing::get};
use kernel::{
    Cx, Db, Result,
    cursor::CursorKey,
    http::ConfigError,
    jobs::{Job, Periodic},
};
use serde_json::Value;
use settings::Settings;
use std::{sync::Arc, time::Duration};
use utoipa::openapi::OpenApi;
use uuid::Uuid;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Trending {
    db: Db,
    clock: Clock,
    cursors: Arc<CursorKey>,
    settings: Settings,
}

/// The state of the routes: the module, and the generated routes that show the events.
#[derive(Clone)]
struct Lists {
    module: Trending,
    generated: Router,
}

impl Module for Trending {
    const NAME: &'static str = "trending";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        let trending = Self {
            db: parts.db.clone(),
            clock: parts.clock.clone(),
            cursors: Arc::new(CursorKey::new(&parts.secret("cursors"))),
            settings,
        };
        Ok(parts.trending.get_or_init(|| trending).clone())
    }

    fn routes(&self, generated: &Router) -> Router {
        Router::new()
            .route("/events/trending", get(hot::list))
            .route("/events/featured", get(featured::list))
            .route("/me/feed", get(feed::list))
            .merge(edges::router())
            .merge(visits::router().with_state(self.clone()))
            .with_state(Lists {
                module: self.clone(),
                generated: generated.clone(),
            })
    }

    fn access() -> Table {
        &[
            ("shareEvent", Access::Concerned),
            ("viewEvent", Access::Concerned),
            ("getFeed", Access::Member),
            ("listTrendingEvents", Access::Anyone),
            ("listFeaturedEvents", Access::Anyone),
            ("likeEvent", Access::Concerned),
            ("unlikeEvent", Access::Concerned),
            ("followUser", Access::Concerned),
            ("unfollowUser", Access::Concerned),
            ("followCommunity", Access::Concerned),
            ("unfollowCommunity", Access::Concerned),
            ("followOrganization", Access::Concerned),
            ("unfollowOrganization", Access::Concerned),
            ("followBusiness", Access::Concerned),
            ("unfollowBusiness", Access::Concerned),
            ("followVenue", Access::Concerned),
            ("unfollowVenue", Access::Concerned),
            ("followInstitution", Access::Concerned),
            ("unfollowInstitution", Access::Concerned),
        ]
    }

    fn document() -> OpenApi {
        visits::document()
    }

    fn amend(document: &mut Value) {
        document::add(document);
    }

    fn jobs(&self) -> Vec<Job> {
        vec![
            Job::of(self, "trending.rank", |trending, _| async move {
                Ok(trending.rank().await.map(drop)?)
            }),
            Job::of(self, "trending.compare", |trending, _| async move {
                Ok(trending.compare().await.map(drop)?)
            })
            .timeout(Duration::from_mins(30)),
            Job::of(self, "trending.forget", |trending, _| async move {
                Ok(trending.forget().await.map(drop)?)
            })
            .timeout(Duration::from_mins(10)),
        ]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![
            Periodic::every("trending.rank", Duration::from_secs(1)),
            Periodic::cron("trending.compare", "40 2 * * *"),
            Periodic::cron("trending.forget", "25 * * * *"),
        ]
    }
}

impl Trending {
    /// The first events of `GET /events/trending` for a city, of those that the transaction's member may see.
    pub async fn hottest(&self, cx: &mut Cx, city: Uuid, most: i32) -> Result<Vec<Uuid>> {
        let found = sqlx::query_scalar(
            "select t.event_id from app.trending($1, false, $2, null, null, null, $3, true) t",
        );
        let found = found.bind(city).bind(self.settings.trending_verified_hosts);
        Ok(found.bind(most).fetch_all(cx.conn()).await?)
    }

    /// The first events of the transaction's member's `GET /me/feed`.
    pub async fn newest_followed(&self, cx: &mut Cx, most: i32) -> Result<Vec<Uuid>> {
        let found = sqlx::query_scalar("select f.event_id from app.feed_seen(null, null, $1) f");
        let found = found.bind(most);
        Ok(found.fetch_all(cx.conn()).await?)
    }
}
