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
use generated::event::EVENT;
use kernel::{
    Caller, Result,
    own::{List, parameter},
    resource::Kind,
};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

static LIST: List = List::new(
    "featured",
    20,
    &[
        parameter("city_id", Kind::Uuid),
        parameter("slot", Kind::Enum(&["home", "category", "map"])),
    ],
)
.expanding(&EVENT);

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
    let shown = match expanded(&lists, &caller, shown, asked.expand()).await? {
        Ok(shown) => shown,
        Err(refusal) => return Ok(refusal),
    };
    // The generated list's cursor is sealed again, as a cursor of this list.
    let next_cursor = next.map(|next| asked.cursor(&next, Uuid::nil()));
    Ok(Json(json!({"data": shown, "next_cursor": next_cursor})).into_response())
}

/// The items with the relations of their events, which the list of promotions does not show.
async fn expanded(
    lists: &Lists,
    caller: &Caller,
    mut items: Vec<Value>,
    expand: &[&str],
) -> Result<std::result::Result<Vec<Value>, Response>> {
    if expand.is_empty() {
        return Ok(Ok(items));
    }
    let id = |event: &Value| event["id"].as_str().and_then(|id| id.parse::<Uuid>().ok());
    // An event may have several places.
    let ids: BTreeSet<Uuid> = items.iter().filter_map(|item| id(&item["event"])).collect();
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let events = generated_routes::shown(&lists.generated, caller, "events", &ids, expand).await?;
    let events = match events {
        Ok(events) => events,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let events: HashMap<Option<Uuid>, &Value> =
        events.iter().map(|event| (id(event), event)).collect();
    // One that was hidden just now is left out.
    items.retain_mut(|item| match events.get(&id(&item["event"])) {
        Some(event) => {
            item["event"] = (*event).clone();
            true
        }
        None => false,
    });
    Ok(Ok(items))
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
