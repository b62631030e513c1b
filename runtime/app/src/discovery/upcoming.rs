//! `GET /events/upcoming`: events by all common filters at once, including those that the generated list lacks: the
//! price of a ticket, and whether tickets are left.

use super::Routes;
use crate::generated_routes;
use axum::{
    Json,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use generated::event::{EVENT, EventCategory};
use kernel::{
    Caller, Result,
    input::{Choice, Format},
    own::{Asked, List, is_half, parameter},
    resource::Kind,
};
use serde_json::json;
use std::str::FromStr;
use uuid::Uuid;

static LIST: List = List::new(
    "upcoming",
    20,
    &[
        parameter("city_id", Kind::Uuid),
        parameter("category", Kind::Enum(EventCategory::WORDS)),
        parameter("from", Kind::Time),
        parameter("to", Kind::Time),
        parameter("bbox", Kind::Point),
        parameter("q", Kind::Search),
        parameter("max_price_cents", Kind::Bigint),
        parameter("currency", Kind::Formatted(Format::Currency)),
        parameter("open_seats", Kind::Int),
    ],
)
.expanding(&EVENT);

/// The start of the last event on a page, as encoded in a cursor.
#[derive(Clone, Copy)]
struct Begins(DateTime<Utc>);

impl FromStr for Begins {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let micros = text.parse().map_err(|_| ())?;
        DateTime::from_timestamp_micros(micros).map(Self).ok_or(())
    }
}

struct Wanted {
    asked: Asked,
    after: Option<(Begins, Uuid)>,
    price: Option<i64>,
    currency: Option<String>,
    seats: Option<i32>,
    rows: i64,
}

impl Wanted {
    fn read(mut asked: Asked) -> Result<Self> {
        let price: Option<i64> = asked
            .text("max_price_cents")
            .and_then(|text| text.parse().ok());
        if price.is_some_and(|price| price < 0) {
            asked.refuse("max_price_cents", "range", "Use 0 or more.");
        }
        let currency = asked.text("currency");
        if price.is_some_and(|price| price > 0) && currency.is_none() {
            asked.refuse(
                "currency",
                "required",
                "Give the currency of the price, such as AUD.",
            );
        }
        let seats: Option<i32> = asked.text("open_seats").and_then(|text| text.parse().ok());
        if seats.is_some_and(|seats| !(1..=1_000).contains(&seats)) {
            let detail = "Use a whole number from 1 to 1000.";
            asked.refuse("open_seats", "range", detail);
        }
        let asked = asked.sound()?;
        Ok(Self {
            after: asked.after()?,
            price,
            currency,
            seats,
            rows: 0,
            asked,
        })
    }
}

pub(super) async fn list(State(routes): State<Routes>, request: Request) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    let asked = LIST.look(uri.query(), &routes.module.cursors, &caller);
    let mut wanted = Wanted::read(asked)?;
    let most = wanted.asked.rows();
    let mut shown = Vec::new();
    let mut more = false;
    for _ in 0..generated_routes::ROUNDS {
        wanted.rows = most - shown.len() as i64;
        let mut found = find(&routes, &caller, &wanted).await?;
        more = found.len() as i64 == wanted.rows;
        if more {
            found.pop();
        }
        let ids: Vec<Uuid> = found.iter().map(|(_, id)| *id).collect();
        let expand = wanted.asked.expand();
        match generated_routes::shown(&routes.generated, &caller, "events", &ids, expand).await? {
            Ok(events) => shown.extend(events),
            Err(refusal) => return Ok(refusal),
        }
        wanted.after = found.pop().or(wanted.after);
        if !more || shown.len() as i64 + 1 == most {
            break;
        }
    }
    let last = wanted.after.filter(|_| more);
    let next_cursor = last.map(|(Begins(at), id)| {
        let key = at.timestamp_micros().to_string();
        wanted.asked.cursor(&key, id)
    });
    let page = Json(json!({"data": shown, "next_cursor": next_cursor}));
    Ok(match caller.user() {
        Ok(_) => ([(header::CACHE_CONTROL, "no-store")], page).into_response(),
        Err(_) => page.into_response(),
    })
}

/// Runs with the caller's permissions, on the connections for searches, since it may scan many rows.
async fn find(routes: &Routes, caller: &Caller, wanted: &Wanted) -> Result<Vec<(Begins, Uuid)>> {
    let asked = &wanted.asked;
    let words = asked.text("q");
    let sides = asked.sides();
    let side = |index: usize| sides.map(|sides| sides[index]);
    let mut cx = routes.module.db.begin_search(caller).await?;
    let found: Vec<(DateTime<Utc>, Uuid)> = sqlx::query_as(
        "select u.starts_at, u.event_id from app.upcoming_events(
           $1, $2, coalesce($3, now()), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16::int8::int4) u",
    )
    .bind(asked.id("city_id"))
    .bind(asked.text("category"))
    .bind(asked.begin("from"))
    .bind(asked.end("to"))
    .bind(side(0))
    .bind(side(1))
    .bind(side(2))
    .bind(side(3))
    .bind(&words)
    .bind(words.as_deref().is_some_and(is_half))
    .bind(wanted.price)
    .bind(wanted.currency.as_deref())
    .bind(wanted.seats)
    .bind(wanted.after.map(|(Begins(at), _)| at))
    .bind(wanted.after.map(|(_, id)| id))
    .bind(wanted.rows)
    .fetch_all(cx.conn())
    .await?;
    Ok(found.into_iter().map(|(at, id)| (Begins(at), id)).collect())
}
