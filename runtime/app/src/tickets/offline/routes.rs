//! HTTP routes for doors without a connection.

use super::{
    super::Tickets, Admission, AdmissionList, LateScanResult, LateScanResultList, RevokedCode,
    RevokedCodeList, ScanBatch,
};
use crate::module::{id, uncached};
use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    response::Response,
    routing::{get, post},
};
use kernel::{Member, Result, http::Sent, openapi::Objects};
use utoipa::{OpenApi, openapi};

pub fn router(tickets: Tickets) -> Router {
    Router::new()
        .route("/check-ins/batch", post(batch))
        .route("/events/{id}/check-in-list", get(check_in_list))
        .route("/events/{id}/revoked-codes", get(revoked))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[
    ("LateScanResult", "late_scan_result"),
    ("Admission", "admission"),
    ("RevokedCode", "revoked_code"),
]);

#[derive(OpenApi)]
#[openapi(
    paths(batch, check_in_list, revoked),
    components(schemas(LateScanResult, Admission, RevokedCode)),
    modifiers(&OBJECTS)
)]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Upload offline scans
///
/// Scans that staff of the event made offline. Each is judged as if sent by itself, scans of one ticket in the order
/// of `at`, and recorded with its result: a second entry is `already_used`. A repeated `nonce` returns the same
/// result, so a batch may be sent again.
#[utoipa::path(post, path = "/check-ins/batch", operation_id = "scanTickets", tag = "Check ins", security(("bearer" = [])),
    request_body = ScanBatch,
    responses(
        (status = 200, description = "The result of each scan", body = LateScanResultList),
        (status = 403, description = "The caller does not run the event"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 409, description = "A scan with one of these nonces is being worked on"),
        (status = 422, description = "A value is wrong")))]
async fn batch(
    State(tickets): State<Tickets>,
    caller: Member,
    Sent(batch): Sent<ScanBatch>,
) -> Result<Json<LateScanResultList>> {
    tickets.scan_batch(&caller, batch).await.map(Json)
}

/// List tickets for offline scanners
///
/// All tickets of the event, or those changed since `changed_since`, for staff of the event. A ticket whose state is
/// neither `valid` nor `checked_in` admits nobody.
#[utoipa::path(get, path = "/events/{id}/check-in-list", operation_id = "listAdmissions", tag = "Check ins",
    security(("bearer" = [])), params(
        ("id" = Uuid, Path, description = "Of the event"),
        ("changed_since" = Option<DateTime<Utc>>, Query, description = "`as_of` of an earlier answer: only changes since then"),
        ("limit" = Option<i32>, Query, description = "Tickets on a page (100)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", min_length = 1, max_length = 1000)),
    responses(
        (status = 200, description = "A page of tickets", body = AdmissionList),
        (status = 403, description = "The caller does not run the event"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 422, description = "A parameter is unknown or has a wrong value")))]
async fn check_in_list(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let list = tickets.check_in_list(&caller, id(&path)?, query.as_deref());
    list.await.map(uncached)
}

/// List revoked codes
///
/// For offline scanners of the event's staff: genuine codes that are no longer valid since the ticket was transferred,
/// refunded or voided.
#[utoipa::path(get, path = "/events/{id}/revoked-codes", operation_id = "listRevokedCodes", tag = "Check ins",
    security(("bearer" = [])), params(
        ("id" = Uuid, Path, description = "Of the event"),
        ("changed_since" = Option<DateTime<Utc>>, Query, description = "`as_of` of an earlier answer: only changes since then"),
        ("limit" = Option<i32>, Query, description = "Tickets on a page (100)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", min_length = 1, max_length = 1000)),
    responses(
        (status = 200, description = "A page of codes", body = RevokedCodeList),
        (status = 403, description = "The caller does not run the event"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 422, description = "A parameter is unknown or has a wrong value")))]
async fn revoked(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let list = tickets.revoked_codes(&caller, id(&path)?, query.as_deref());
    list.await.map(uncached)
}
