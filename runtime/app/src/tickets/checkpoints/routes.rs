//! HTTP routes for the figures of checkpoints. The routes that create and change checkpoints are generated, and scans
//! use the routes of the door.

use super::{super::Tickets, CheckpointFigures, CheckpointFiguresList};
use crate::module::{id, uncached};
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    response::Response,
    routing::get,
};
use kernel::{Member, Result, openapi::Objects};
use utoipa::{OpenApi, openapi};

pub fn router(tickets: Tickets) -> Router {
    Router::new()
        .route("/events/{id}/checkpoint-figures", get(figures))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[("CheckpointFigures", "checkpoint_figures")]);

#[derive(OpenApi)]
#[openapi(
    paths(figures),
    components(schemas(CheckpointFigures)),
    modifiers(&OBJECTS)
)]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// List the figures of checkpoints
///
/// For each checkpoint of the event, how many tickets have entered and are inside, for staff of the event.
#[utoipa::path(get, path = "/events/{id}/checkpoint-figures", operation_id = "listCheckpointFigures", tag = "Check ins",
    security(("bearer" = [])), params(
        ("id" = Uuid, Path, description = "Of the event"),
        ("limit" = Option<i32>, Query, description = "Checkpoints on a page (50)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", min_length = 1, max_length = 1000)),
    responses(
        (status = 200, description = "A page of figures", body = CheckpointFiguresList),
        (status = 403, description = "The caller does not run the event"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 422, description = "A parameter is unknown or has a wrong value")))]
async fn figures(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let list = tickets.checkpoint_figures(&caller, id(&path)?, query.as_deref());
    list.await.map(uncached)
}
