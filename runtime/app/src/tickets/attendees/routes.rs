//! HTTP routes for lists of attendees.

use super::{
    super::Tickets,
    {Attendee, AttendeeList},
};
use crate::module::{id, uncached};
use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use kernel::{Member, Result, openapi::Objects};
use utoipa::{OpenApi, openapi};

pub fn router(tickets: Tickets) -> Router {
    Router::new()
        .route("/events/{id}/attendees", get(list))
        .route("/events/{id}/attendees.csv", get(csv))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[("Attendee", "attendee")]);

#[derive(OpenApi)]
#[openapi(
    paths(list, csv),
    components(schemas(Attendee)),
    modifiers(&OBJECTS)
)]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// List attendees
///
/// Tickets of the event with their holders, for staff of the event. Holders with a private profile have no name. With
/// `changed_since`, only tickets bought, checked in, transferred, refunded or voided since then, in the order of these
/// changes; tickets that have left the requested `state` are not included.
#[utoipa::path(get, path = "/events/{id}/attendees", operation_id = "listAttendees", tag = "Tickets",
    security(("bearer" = [])), params(
        ("id" = Uuid, Path, description = "Of the event"),
        ("name" = Option<String>, Query, description = "Part of the holder's name or handle", min_length = 1, max_length = 200),
        ("ticket_type_id" = Option<Uuid>, Query, description = "Tickets of this type"),
        ("state" = Option<String>, Query, description = "Tickets in this state", example = "checked_in"),
        ("changed_since" = Option<DateTime<Utc>>, Query, description = "`as_of` of an earlier answer: only changes since then"),
        ("limit" = Option<i32>, Query, description = "Tickets on a page (50)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", min_length = 1, max_length = 1000)),
    responses(
        (status = 200, description = "A page of tickets", body = AttendeeList),
        (status = 403, description = "The caller does not run the event"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 422, description = "A parameter is unknown or has a wrong value")))]
async fn list(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let page = tickets.attendees(&caller, id(&path)?, query.as_deref());
    page.await.map(uncached)
}

/// Export attendees
///
/// All tickets of the event with their holders as CSV (RFC 4180, UTF-8), for staff of the event. Cells that a
/// spreadsheet would take for a formula start with an apostrophe.
#[utoipa::path(get, path = "/events/{id}/attendees.csv", operation_id = "exportAttendees", tag = "Tickets",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the event")),
    responses(
        (status = 200, description = "The CSV file", content_type = "text/csv", body = String),
        (status = 403, description = "The caller does not run the event"),
        (status = 404, description = "There is no such event, or the caller may not see it")))]
async fn csv(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let event = id(&path)?;
    let rows = tickets.attendees_csv(caller.clone(), event).await?;
    // Logged because personal data leave the platform.
    tracing::info!(%event, member = %caller.id(), request = %caller.request_id, "attendees exported");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"attendees.csv\"",
        ),
    ];
    Ok((headers, Body::from_stream(rows)).into_response())
}
