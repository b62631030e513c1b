//! `GET /events/featured`: events that stand in the featured places of a city, each labelled as such.
//!
//! They are bookings (`promotion`), never mixed with what trends. Knows the form of a promotion and nothing of its price.

use super::Lists;
use crate::listed::{self, Asking};
use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use kernel::{
    Caller, Error, Result,
    own::{List, parameter},
    problem::Item,
    problems,
    resource::Kind,
};
use serde_json::{Value, json};

static LIST: List = List::new(
    "featured",
    20,
    &[
        parameter("city_id", Kind::Uuid),
        parameter("slot", Kind::Enum(&["home", "category", "map"])),
    ],
);

pub(super) async fn list(State(lists): State<Lists>, request: Request) -> Result<Response> {
    let (parts, _) = request.into_parts();
    let caller = Caller::unproven(&parts);
    let asked = LIST.read_as(parts.uri.query(), &lists.module.cursors, &caller)?;
    let Some(city) = asked.id("city_id") else {
        let item = Item::query("city_id".to_owned(), "required", "Which city?");
        return Err(Error::new(&problems::INVALID).item(item));
    };
    let slot = asked.text("slot").map(|slot| format!("&slot={slot}"));
    let cursor: Option<(String, _)> = asked.after()?;
    let cursor = cursor.map(|(cursor, _)| format!("&cursor={cursor}"));
    let path = format!(
        "/promotions?city_id={city}&state=active&target_type=event&sort=starts_at&expand=target&limit={}{}{}",
        asked.rows() - 1,
        slot.unwrap_or_default(),
        cursor.unwrap_or_default(),
    );
    let mut answer = match listed::ask(&lists.generated, &parts, Asking::Read(path)).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(refusal),
    };
    let now = Utc::now();
    let rows = listed::rows(&mut answer).into_iter();
    let data: Vec<Value> = rows.filter_map(|row| labelled(row, now)).collect();
    let next = answer.get("next_cursor").and_then(Value::as_str);
    // Sealed once more: it belongs to this list.
    let next_cursor = next.map(|next| asked.cursor(next, uuid::Uuid::nil()));
    Ok(Json(json!({"data": data, "next_cursor": next_cursor})).into_response())
}

/// Nothing for what is over this very moment, or is no event that may be looked at any more.
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
