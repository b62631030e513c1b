//! HTTP routes for transfers of tickets.

use super::{
    super::Tickets,
    {End, OfferTicket, OfferedTicket},
};
use crate::module::id;
use axum::{
    Json, Router,
    extract::{Path, State},
    middleware::from_fn_with_state,
    routing::post,
};
use kernel::{
    Member, Result,
    http::Sent,
    idempotency::{Answer, Claimed, offered},
    openapi::Objects,
};
use utoipa::{OpenApi, openapi};

pub fn router(tickets: Tickets) -> Router {
    let offered = from_fn_with_state(tickets.keyed.clone(), offered);
    Router::new()
        .route("/tickets/{id}/transfers", post(offer).route_layer(offered))
        .route("/ticket-transfers/{id}/accept", post(accept))
        .route("/ticket-transfers/{id}/decline", post(decline))
        .route("/ticket-transfers/{id}/withdraw", post(withdraw))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[("OfferedTicket", "offered_ticket")]);

#[derive(OpenApi)]
#[openapi(paths(offer, accept, decline, withdraw), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Offer a ticket to another member
///
/// For the ticket's holder, to a member whose profile the holder sees. The holder keeps the ticket, which stays valid,
/// until the offer is accepted. A ticket has at most one open offer, and ten offers within 24 hours.
#[utoipa::path(post, path = "/tickets/{id}/transfers", operation_id = "offerTicket", tag = "Ticket transfers",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the ticket"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key makes one", min_length = 16, max_length = 255, pattern = "^[!-~]+$")), request_body = OfferTicket,
    responses(
        (status = 201, description = "The offer", body = OfferedTicket,
            headers(("Location" = String, description = "Path of the new object."))),
        (status = 403, description = "The caller does not hold the ticket"),
        (status = 404, description = "There is no such ticket, or the caller may not see it"),
        (status = 409, description = "The ticket is already offered, used or refunded, its payment is disputed, or the event is over or does not take place"),
        (status = 422, description = "A value is wrong, or the recipient does not exist or is not visible to the caller")))]
async fn offer(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
    claimed: Option<Claimed>,
    Sent(body): Sent<OfferTicket>,
) -> Result<Answer> {
    tickets.offer(&caller, id(&path)?, body, claimed).await
}

/// Accept a ticket
///
/// For the recipient of the offer, who becomes the holder. The ticket gets a new code; the old one is no longer valid.
/// No money moves: a refund goes to the buyer.
#[utoipa::path(post, path = "/ticket-transfers/{id}/accept", operation_id = "acceptTicket", tag = "Ticket transfers",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the offer")),
    responses(
        (status = 200, description = "The offer", body = OfferedTicket),
        (status = 403, description = "The ticket is offered to another member"),
        (status = 404, description = "There is no such offer, or the caller may not see it"),
        (status = 409, description = "The offer is no longer open, or the ticket can't be transferred any more")))]
async fn accept(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Json<OfferedTicket>> {
    tickets.accept(&caller, id(&path)?).await.map(Json)
}

/// Decline a ticket
///
/// For the recipient of the offer.
#[utoipa::path(post, path = "/ticket-transfers/{id}/decline", operation_id = "declineTicket", tag = "Ticket transfers",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the offer")),
    responses(
        (status = 200, description = "The offer", body = OfferedTicket),
        (status = 403, description = "The ticket is offered to another member"),
        (status = 404, description = "There is no such offer, or the caller may not see it"),
        (status = 409, description = "The offer is no longer open")))]
async fn decline(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Json<OfferedTicket>> {
    let ended = tickets.end_offer(&caller, id(&path)?, End::Declined);
    ended.await.map(Json)
}

/// Withdraw an offer
///
/// For the member who made it, until it is accepted.
#[utoipa::path(post, path = "/ticket-transfers/{id}/withdraw", operation_id = "withdrawTicket", tag = "Ticket transfers",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the offer")),
    responses(
        (status = 200, description = "The offer", body = OfferedTicket),
        (status = 403, description = "Another member made the offer"),
        (status = 404, description = "There is no such offer, or the caller may not see it"),
        (status = 409, description = "The offer is no longer open")))]
async fn withdraw(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Json<OfferedTicket>> {
    let ended = tickets.end_offer(&caller, id(&path)?, End::Withdrawn);
    ended.await.map(Json)
}
