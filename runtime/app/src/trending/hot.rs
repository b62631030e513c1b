//! `GET /events/trending`: the hottest events of a city.
//!
//! The query runs with the caller's own permissions and returns events in the order of their ranks. Later pages show
//! the ranks as of the time of the first page.

use super::Lists;
use crate::generated_routes::{self, Ordered};
use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use generated::event::EVENT;
use kernel::{
    Caller, Result,
    own::{List, parameter},
    resource::Kind,
};
use serde_json::json;
use sqlx::Row;
use std::str::FromStr;
use uuid::Uuid;

static LIST: List = List::new(
    "trending",
    20,
    &[
        parameter("city_id", Kind::Uuid),
        parameter("variant", Kind::Enum(&["hot", "scaled"])),
    ],
)
.expanding(&EVENT);

/// A position in the list; the rank is in digits as the database writes them.
#[derive(Clone)]
struct Place {
    as_of: DateTime<Utc>,
    rank: String,
}

impl Place {
    fn text(&self) -> String {
        format!("{} {}", self.as_of.timestamp_micros(), self.rank)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (as_of, rank) = text.split_once(' ').ok_or(())?;
        let as_of = as_of.parse().ok().and_then(DateTime::from_timestamp_micros);
        Ok(Self {
            as_of: as_of.ok_or(())?,
            rank: rank.to_owned(),
        })
    }
}

/// The hottest events of a city, for a caller.
struct Hottest<'a> {
    lists: &'a Lists,
    caller: &'a Caller,
    city: Uuid,
    spread: bool,
}

pub(super) async fn list(State(lists): State<Lists>, request: Request) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    let mut asked = LIST.look(uri.query(), &lists.module.cursors, &caller);
    let city = asked.required_id("city_id", "Which city?");
    let asked = asked.sound()?;
    let hottest = Hottest {
        lists: &lists,
        caller: &caller,
        city,
        spread: asked.text("variant").as_deref() == Some("scaled"),
    };
    let (after, show) = (asked.after()?, (asked.rows(), asked.expand()));
    let (generated, path) = (&lists.generated, "events");
    let page = generated_routes::page(generated, &caller, path, &hottest, after, show).await?;
    let page = match page {
        Ok(page) => page,
        Err(refusal) => return Ok(refusal),
    };
    let next_cursor = page.last.map(|(place, id)| asked.cursor(&place.text(), id));
    Ok(Json(json!({"data": page.shown, "next_cursor": next_cursor})).into_response())
}

impl Ordered for Hottest<'_> {
    type Place = Place;

    /// Runs with the caller's permissions instead of the module's, since it needs nothing that the caller may not see.
    async fn find(
        &self,
        after: Option<&(Place, Uuid)>,
        rows: i64,
        only_seen: bool,
    ) -> Result<Vec<(Place, Uuid)>> {
        let module = &self.lists.module;
        let mut cx = module.db.begin_read(self.caller).await?;
        let rows = sqlx::query(
            "select t.event_id, t.rank::text as rank, t.as_of
             from app.trending($1, $2, $3, $4, $5::text::numeric, $6, $7::int8::int4, $8) t",
        )
        .bind(self.city)
        .bind(self.spread)
        .bind(module.settings.trending_verified_hosts)
        .bind(after.map(|(place, _)| place.as_of))
        .bind(after.map(|(place, _)| place.rank.as_str()))
        .bind(after.map(|(_, id)| *id))
        .bind(rows)
        .bind(only_seen)
        .fetch_all(cx.conn())
        .await?;
        rows.iter()
            .map(|row| {
                let place = Place {
                    as_of: row.try_get("as_of")?,
                    rank: row.try_get("rank")?,
                };
                Ok((place, row.try_get("event_id")?))
            })
            .collect()
    }
}
