//! Finding things: words over everything, a map, and events that can still be had.
//!
//! The database finds (`spec/sql/discovery.sql`, [ADR 71](../../../docs/adr/0071-search-and-map.md)), on the connections that
//! searches share and within their time. Search asks the rules as whoever asks; the map knows what everybody may see; events
//! are shown by their generated list.

mod document;
mod map;
mod search;
mod upcoming;

use crate::module::{Module, NoSettings, Parts};
use axum::{Router, routing::get};
use kernel::{Db, Error, cursor::CursorKey, http::ConfigError, problem::Item, problems};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{OpenApi, openapi};

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Discovery {
    db: Db,
    cursors: Arc<CursorKey>,
}

/// What the routes are made of.
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

    fn document() -> openapi::OpenApi {
        Document::openapi()
    }

    fn amend(document: &mut Value) {
        document::add(document);
    }
}

#[derive(OpenApi)]
#[openapi(tags((name = "Search", description = "Finding things of every kind: by words, on a map, by what people ask for at once.")))]
struct Document;

/// Which of these kinds are asked for: all that stand in `text`, by commas.
fn kinds(
    text: Option<&str>,
    known: &'static [&'static str],
    usual: &[&'static str],
) -> Result<Vec<&'static str>, Error> {
    let Some(text) = text else {
        return Ok(usual.to_vec());
    };
    let mut found = Vec::new();
    for name in text.split(',') {
        match known.iter().find(|kind| **kind == name) {
            Some(kind) if found.contains(kind) => {}
            Some(kind) => found.push(*kind),
            None => {
                let detail = format!("Use some of: {}.", known.join(", "));
                return Err(wrong("types", "choice", detail));
            }
        }
    }
    Ok(found)
}

/// 422 for a parameter.
fn wrong(parameter: &str, code: &'static str, detail: impl Into<String>) -> Error {
    let item = Item::query(parameter.to_owned(), code, detail.into());
    Error::new(&problems::INVALID).item(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se3_kinds_are_told_apart() {
        const KNOWN: &[&str] = &["event", "venue", "member"];
        let read = |text| kinds(text, KNOWN, &["event"]).map_err(|error| error.status());
        assert_eq!(read(None), Ok(vec!["event"]));
        assert_eq!(read(Some("venue,event,venue")), Ok(vec!["venue", "event"]));
        for text in ["", "events", "event,", "event, venue", "*"] {
            assert_eq!(read(Some(text)), Err(422), "{text}");
        }
    }
}
