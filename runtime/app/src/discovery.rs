//! Discovery: full-text search, a map, and upcoming events with free places.
//!
//! The database does the searching (`spec/sql/discovery.sql`, `spec/sql/discovery.similar.sql`,
//! [ADR 71](../../../docs/adr/0071-search-and-map.md)), on the connections shared by searches and within their time
//! limit. Search runs with the caller's permissions; the map contains only what is public; events are shown by their
//! generated list.

mod cards;
mod document;
mod map;
mod search;
mod upcoming;

use crate::access::{Access, Table};
use crate::module::{Module, NoSettings, Parts};
use axum::{Router, routing::get};
use kernel::{Db, cursor::CursorKey, http::ConfigError, own::Asked};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{OpenApi, openapi};

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Discovery {
    db: Db,
    cursors: Arc<CursorKey>,
}

/// The state of the routes: the module, and the generated routes that show events.
#[derive(Clone)]
struct Routes {
    module: Discovery,
    generated: Router,
}

impl Module for Discovery {
    const NAME: &'static str = "discovery";
    type Settings = NoSettings;

    fn new(parts: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            cursors: Arc::new(CursorKey::new(&parts.secret("cursors"))),
        })
    }

    fn routes(&self, generated: &Router) -> Router {
        Router::new()
            .route("/search", get(search::search))
            .route("/map", get(map::map))
            .route("/events/upcoming", get(upcoming::list))
            .with_state(Routes {
                module: self.clone(),
                generated: generated.clone(),
            })
    }

    fn access() -> Table {
        &[
            ("search", Access::Anyone),
            ("getMap", Access::Anyone),
            ("listUpcomingEvents", Access::Anyone),
        ]
    }

    fn document() -> openapi::OpenApi {
        Document::openapi()
    }

    fn amend(document: &mut Value) {
        document::add(document);
    }
}

#[derive(OpenApi)]
#[openapi(tags((name = "Search", description = "Search by words in all types of objects, a map, and upcoming events by price and available tickets.")))]
struct Document;

/// The kinds asked for in `types`. A kind that is named twice has no further effect, since the query compares with `=
/// any`.
fn kinds(asked: &Asked, usual: &[&str]) -> Vec<String> {
    let owned = |kind: &str| kind.to_owned();
    match asked.text("types") {
        Some(text) => text.split(',').map(owned).collect(),
        None => usual.iter().copied().map(owned).collect(),
    }
}
