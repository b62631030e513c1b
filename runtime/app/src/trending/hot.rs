//! `GET /events/trending`: the hottest events of a city.
//!
//! The query runs with the caller's own permissions and returns events in the order of their ranks. Later pages show
//! the ranks as of the time of the first page.

use super::Lists;
use crate::generated_routes;
use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
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
);

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

struct Wanted {
    city: Uuid,
    spread: bool,
    after: Option<(Place, Uuid)>,
    rows: i64,
}

pub(super) async fn list(State(lists): State<Lists>, request: Request) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    let module = &lists.module;
    let mut asked = LIST.look(uri.query(), &module.cursors, &caller);
    let city = asked.required_id("city_id", "Which city?");
    let asked = asked.sound()?;
    let mut wanted = Wanted {
        city,
        spread: asked.text("variant").as_deref() == Some("scaled"),
        after: asked.after()?,
        rows: 0,
    };
    let mut shown = Vec::new();
    let mut more = false;
    for _ in 0..generated_routes::ROUNDS {
        wanted.rows = asked.rows() - shown.len() as i64;
        let mut found = find(&lists, &caller, &wanted).await?;
        more = found.len() as i64 == wanted.rows;
        if more {
            found.pop();
        }
        let ids: Vec<Uuid> = found.iter().map(|(_, id)| *id).collect();
        match generated_routes::shown(&lists.generated, &caller, "events", &ids).await? {
            Ok(events) => shown.extend(events),
            Err(refusal) => return Ok(refusal),
        }
        wanted.after = found.pop().or(wanted.after);
        if !more || shown.len() as i64 + 1 == asked.rows() {
            break;
        }
    }
    let last = wanted.after.filter(|_| more);
    let next_cursor = last.map(|(place, id)| asked.cursor(&place.text(), id));
    Ok(Json(json!({"data": shown, "next_cursor": next_cursor})).into_response())
}

/// Runs with the caller's permissions instead of the module's, since it needs nothing that the caller may not see.
async fn find(lists: &Lists, caller: &Caller, wanted: &Wanted) -> Result<Vec<(Place, Uuid)>> {
    let mut cx = lists.module.db.begin_read(caller).await?;
    let rows = sqlx::query(
        "select t.event_id, t.rank::text as rank, t.as_of from app.trending($1, $2, $3, $4, $5::text::numeric, $6, $7::int8::int4) t",
    )
    .bind(wanted.city)
    .bind(wanted.spread)
    .bind(lists.module.settings.trending_verified_hosts)
    .bind(wanted.after.as_ref().map(|(place, _)| place.as_of))
    .bind(wanted.after.as_ref().map(|(place, _)| place.rank.as_str()))
    .bind(wanted.after.as_ref().map(|(_, id)| *id))
    .bind(wanted.rows)
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
