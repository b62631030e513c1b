//! `POST /events/{id}/copy`: creates a draft of the same event at another time, with its ticket types and checkpoints,
//! but without its sales.
//!
//! The original is read and the copy created through the generated routes with the caller's permissions, so their
//! rules, checks and audit apply. Checkpoints are copied by a statement of this module: a caller who may create the
//! copy is an administrator of its host, and therefore of the original's, which is the same. The module may not know
//! any other table.

use crate::{
    access::{Access, Table},
    generated_routes::{self, Asking},
    module::{self, Module, NoSettings, Parts, digest, id},
    offers::{self, offer},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::post,
};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{
    Db, Error, Member, Result, error,
    http::{ConfigError, Sent},
    idempotency::{Claimed, Keyed, offered},
    problem::Item,
    problems,
};
use macros::Input;
use serde_json::{Map, Value, json};
use utoipa::{OpenApi, openapi};
use uuid::Uuid;

/// Fields of the event that are copied unchanged.
const KEPT: [&str; 12] = [
    "title",
    "description",
    "category",
    "timezone",
    "location",
    "online_url",
    "visibility",
    "capacity",
    "city_id",
    "host_type",
    "host_id",
    "venue_id",
];

/// Fields of a ticket type that are copied unchanged.
const KEPT_OF_TYPES: [&str; 8] = [
    "name",
    "description",
    "price_cents",
    "currency",
    "capacity",
    "per_user_limit",
    "waitlist_minutes",
    "door_only",
];

/// Times of a ticket type that are moved by as much as the start of the event.
const MOVED: [&str; 3] = ["sales_start", "sales_end", "refundable_until"];

/// The module. Has no tables of its own.
#[derive(Clone)]
pub struct Copies {
    db: Db,
    keyed: Keyed,
}

#[derive(Clone)]
struct Generated {
    routes: Router,
    db: Db,
}

impl Module for Copies {
    const NAME: &'static str = "copies";
    type Settings = NoSettings;

    fn new(parts: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            keyed: parts.keyed.clone(),
        })
    }

    fn routes(&self, generated: &Router) -> Router {
        let offered = from_fn_with_state(self.keyed.clone(), offered);
        Router::new()
            .route("/events/{id}/copy", post(copy).route_layer(offered))
            .with_state(Generated {
                routes: generated.clone(),
                db: self.db.clone(),
            })
    }

    fn access() -> Table {
        &[("copyEvent", Access::HostAdmin)]
    }

    fn offers() -> offers::Table {
        const { &[offer("copyEvent", "event", "copy")] }
    }

    fn document() -> openapi::OpenApi {
        Document::openapi()
    }
}

#[derive(OpenApi)]
#[openapi(paths(copy))]
struct Document;

/// Time and title of the copy of an event.
#[derive(Input)]
#[input(
    body,
    example = r#"{"starts_at": "2040-06-01T18:00:00Z", "title": "The same again"}"#
)]
pub struct EventCopy {
    pub starts_at: DateTime<Utc>,
    /// Default: the same duration as the original.
    pub ends_at: Option<DateTime<Utc>>,
    /// Default: the title of the original.
    #[input(length(1, 140))]
    pub title: Option<String>,
}

/// Copy an event
///
/// Creates a draft at another time with the original's active ticket types and checkpoints, without its sales. Their
/// times are shifted like the start of the event. For callers who may create events of the host.
#[utoipa::path(post, path = "/events/{id}/copy", operation_id = "copyEvent", tag = "Events", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Id of the original"),
        ("Idempotency-Key" = Option<String>, Header, description = "Requests with the same key create one copy", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = EventCopy,
    responses(
        (status = 201, description = "The copy", body = ref("#/components/schemas/CreatedEvent"),
            headers(("Location" = String, description = "Path of the new object."))),
        (status = 403, description = "The caller may not create events of this host"),
        (status = 404, description = "The event does not exist, or the caller may not see it"),
        (status = 409, description = "The original is suspended or archived; or it was changed after a copy was created with this key"),
        (status = 422, description = "A value is invalid, or the original has more than 20 ticket types")))]
async fn copy(
    State(generated): State<Generated>,
    member: Member,
    Path(path): Path<String>,
    claimed: Option<Claimed>,
    Sent(wanted): Sent<EventCopy>,
) -> Result<Response> {
    let original = id(&path)?;
    let caller = member.caller();
    let read = |path| generated_routes::ask(&generated.routes, caller, Asking::Read(path));
    let event = match read(format!("/events/{original}")).await? {
        Ok(event) => event,
        Err(refusal) => return Ok(refusal),
    };
    // Its host still sees an event that was suspended or archived; a copy would publish it again.
    if event.get("status").and_then(Value::as_str) != Some("active") {
        let detail = "The event is suspended or archived: it is copied once it is back.";
        return Err(Error::new(&problems::STATE).detail(detail));
    }
    let types = format!("/events/{original}/ticket-types?limit=100");
    let types = match read(types).await? {
        Ok(mut page) => {
            let mut types = generated_routes::rows(&mut page);
            // Lists have the newest object first; the copy is created in the original's order.
            types.reverse();
            types.retain(|kind| kind["status"] == "active");
            types
        }
        Err(refusal) => return Ok(refusal),
    };
    let body = draft(&event, types, &wanted)?;
    // The draft is created in a transaction of its own. With this key, a retry after an attempt without an answer gets
    // the draft which that attempt created.
    let key = claimed
        .as_ref()
        .map(|claimed| digest(&format!("copy {original} {}", claimed.key())));
    let create = match key {
        Some(key) => Asking::CreateOnce("/events", body, key),
        None => Asking::Create("/events", body),
    };
    let made = generated_routes::ask(&generated.routes, caller, create).await?;
    Ok(match made {
        Ok(event) => {
            let id = event["id"].as_str().unwrap_or_default();
            let place = format!("/events/{id}");
            copy_checkpoints(&generated.db, &member, original, module::id(id)?).await?;
            (
                StatusCode::CREATED,
                [(header::LOCATION, place)],
                Json(event),
            )
                .into_response()
        }
        // An earlier attempt created the draft, and the original has been changed since.
        Err(refused)
            if claimed.is_some_and(|claimed| claimed.is_repeated())
                && error::refusal(&refused)
                    .is_some_and(|kind| kind.slug == problems::KEY_REUSED.slug) =>
        {
            let detail = "An attempt before this one made the copy, and the original has been changed since. Look at the drafts of its host.";
            return Err(Error::new(&problems::CONFLICT).detail(detail));
        }
        Err(refusal) => refusal,
    })
}

/// Copies the active checkpoints of the original, each for the ticket types of the same names. Does nothing if the
/// copy has checkpoints already, because an earlier attempt created them.
async fn copy_checkpoints(db: &Db, member: &Member, original: Uuid, copy: Uuid) -> Result<()> {
    let run = db.run(
        Copies::NAME,
        Some(member),
        member.request_id,
        move |cx| {
            Box::pin(async move {
                sqlx::query(
                    "with made as (
                       insert into app.checkpoints (event_id, name, all_ticket_types, counts_exits, allows_reentry)
                       select $2, c.name, c.all_ticket_types, c.counts_exits, c.allows_reentry from app.checkpoints c
                       where c.event_id = $1 and c.status = 'active'
                         and not exists (select from app.checkpoints k where k.event_id = $2)
                       order by c.id returning id, name
                     )
                     insert into app.checkpoint_ticket_types (checkpoint_id, ticket_type_id, event_id)
                     select m.id, t.id, $2
                     from made m
                     join app.checkpoints c on c.event_id = $1 and c.name = m.name and c.status = 'active'
                     join app.checkpoint_ticket_types x on x.checkpoint_id = c.id and x.status = 'active'
                     join app.ticket_types o on o.id = x.ticket_type_id
                     join app.ticket_types t on t.event_id = $2 and t.name = o.name and t.status = 'active'
                     order by x.id",
                )
                .bind(original)
                .bind(copy)
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        },
    );
    run.await
}

/// The request body that creates the copy.
fn draft(event: &Map<String, Value>, types: Vec<Value>, wanted: &EventCopy) -> Result<Value> {
    let (starts_at, ends_at) = (time(&event["starts_at"])?, time(&event["ends_at"])?);
    let shift = wanted.starts_at - starts_at;
    let ends_at = match wanted.ends_at {
        Some(ends_at) => Some(ends_at),
        None => ends_at.checked_add_signed(shift),
    };
    let Some(ends_at) = ends_at else {
        let item = Item::body("/starts_at", "range", "must be a time before the year 2200");
        return Err(Error::new(&problems::INVALID).item(item));
    };
    let mut copy = kept(event, &KEPT);
    copy.insert("starts_at".to_owned(), json!(wanted.starts_at));
    copy.insert("ends_at".to_owned(), json!(ends_at));
    if let Some(title) = &wanted.title {
        copy.insert("title".to_owned(), json!(title));
    }
    let mut copies = Vec::new();
    for kind in types.iter().filter_map(Value::as_object) {
        let mut copy = kept(kind, &KEPT_OF_TYPES);
        for name in MOVED {
            if let Some(moved) = moved(&kind[name], shift)? {
                copy.insert(name.to_owned(), json!(moved));
            }
        }
        copies.push(Value::Object(copy));
    }
    copy.insert("ticket_types".to_owned(), Value::Array(copies));
    Ok(Value::Object(copy))
}

/// The object's fields of these names, without those that are null.
fn kept(of: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let kept = names.iter().filter_map(|name| {
        let value = of.get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    });
    kept.collect()
}

fn moved(value: &Value, shift: TimeDelta) -> Result<Option<DateTime<Utc>>> {
    match value.is_null() {
        true => Ok(None),
        false => Ok(time(value)?.checked_add_signed(shift)),
    }
}

fn time(value: &Value) -> Result<DateTime<Utc>> {
    let text = value.as_str().unwrap_or_default();
    text.parse().map_err(Error::internal)
}
