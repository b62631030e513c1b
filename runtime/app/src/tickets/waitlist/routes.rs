//! HTTP routes for waiting lists. The routes for joining, and for leaving when signed in, are generated.

use super::{super::Tickets, PlaceInLine, leave};
use crate::module::{id, uncached};
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use kernel::{Member, Result, openapi::Objects};
use utoipa::{OpenApi, openapi};

pub fn router(tickets: Tickets) -> Router {
    Router::new()
        .route("/waitlist-entries/{id}/place", get(place))
        .route(leave::PATH, get(leave::show).post(leave::leave))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[("PlaceInLine", "place_in_line")]);

#[derive(OpenApi)]
#[openapi(paths(place, leave::show, leave::leave), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get the position on a waiting list
///
/// How many entries are served first, and until when an offered ticket is held. Ordering the ticket takes the offer;
/// leaving the list passes it on to the next entry.
#[utoipa::path(get, path = "/waitlist-entries/{id}/place", operation_id = "getPlaceInLine", tag = "Waitlist entries",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the entry")),
    responses(
        (status = 200, description = "The place", body = PlaceInLine),
        (status = 404, description = "There is no such entry, or the caller may not see it")))]
async fn place(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let place = tickets.place_in_line(&caller, id(&path)?);
    place.await.map(uncached)
}
