//! `GET /events/featured`: events in the featured places of a city, each labelled as featured.
//!
//! These are bookings (`promotion`) and are never mixed with trending events. This module knows the fields of a
//! promotion, but not its price.

use super::Lists;
use crate::generated_routes::{self, Asking};
use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use kernel::{
    Result,
    own::{List, parameter},
    resource::Kind,
};
use serde_json::{Value, json};
use uuid::Uuid;

static LIST: List = List::new(
    "featured",
    20,
    &[
        parameter("city_id", Kind::Uuid),
        parameter("slot", Kind::Enum(&["home", "category", "map"])),
    ],
);

pub(super) async fn list(State(lists): State<Lists>, request: Request) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    let mut asked = LIST.look(uri.query(), &lists.module.cursors, &caller);
    let city = asked.required_id("city_id", "Which city?");
    let asked = asked.sound()?;
    let slot = asked.text("slot").map(|slot| format!("&slot={slot}"));
    let cursor: Option<(String, Uuid)> = asked.after()?;
    let mut next = cursor.map(|(cursor, _)| cursor);
    let most = asked.rows() - 1;
    let mut shown = Vec::new();
    for _ in 0..generated_routes::ROUNDS {
        let path = format!(
            "/promotions?city_id={city}&state=active&target_type=event&sort=starts_at&expand=target&limit={}{}{}",
            most - shown.len() as i64,
            slot.as_deref().unwrap_or_default(),
            next.map(|next| format!("&cursor={next}"))
                .unwrap_or_default(),
        );
        let asking = Asking::Read(path);
        let mut answer = match generated_routes::ask(&lists.generated, &caller, asking).await? {
            Ok(answer) => answer,
            Err(refusal) => return Ok(refusal),
        };
        let now = lists.module.clock.now();
        let rows = generated_routes::rows(&mut answer).into_iter();
        shown.extend(rows.filter_map(|row| labelled(row, now)));
        next = answer["next_cursor"].as_str().map(str::to_owned);
        if next.is_none() || shown.len() as i64 == most {
            break;
        }
    }
    // The generated list's cursor is sealed again, as a cursor of this list.
    let next_cursor = next.map(|next| asked.cursor(&next, Uuid::nil()));
    Ok(Json(json!({"data": shown, "next_cursor": next_cursor})).into_response())
}

/// The list's item for a promotion. None: the promotion has just ended, or its event is not published any more.
fn labelled(mut promotion: Value, now: DateTime<Utc>) -> Option<Value> {
    let ends_at: DateTime<Utc> = promotion["ends_at"].as_str()?.parse().ok()?;
    let event = promotion["target"].take();
    if ends_at <= now || event["state"] != "published" {
        return None;
    }
    Some(json!({
        "object": "featured_event",
        "id": promotion["id"],
        "slot": promotion["slot"],
        "starts_at": promotion["starts_at"],
        "ends_at": promotion["ends_at"],
        "event": event,
    }))
}
