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

/// Offer a ticket to somebody
///
/// By its holder, to a member whose profile they see. It stays theirs, and opens the door for them, until it is accepted;
/// there is one open offer of a ticket at a time.
#[utoipa::path(post, path = "/tickets/{id}/transfers", operation_id = "offerTicket", tag = "Ticket transfers",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the ticket"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key makes one", min_length = 16, max_length = 255, pattern = "^[!-~]+$")), request_body = OfferTicket,
    responses(
        (status = 201, description = "The offer", body = OfferedTicket),
        (status = 403, description = "Somebody else holds it"),
        (status = 404, description = "There is no such ticket, or the caller may not see it"),
        (status = 409, description = "It is offered already, used, given back or about to be, its payment is disputed, or the event is over or does not take place"),
        (status = 422, description = "A value is wrong, or the caller can't name such a member")))]
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
/// By whom it is offered to. They hold it from now on, with a code of their own; the code that it had opens nothing any
/// more. Money does not move: if it is given back, what was paid goes to the buyer.
#[utoipa::path(post, path = "/ticket-transfers/{id}/accept", operation_id = "acceptTicket", tag = "Ticket transfers",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the offer")),
    responses(
        (status = 200, description = "The offer", body = OfferedTicket),
        (status = 403, description = "It is offered to somebody else"),
        (status = 404, description = "There is no such offer, or the caller may not see it"),
        (status = 409, description = "The offer is not open any more, or the ticket can't change hands any more")))]
async fn accept(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Json<OfferedTicket>> {
    tickets.accept(&caller, id(&path)?).await.map(Json)
}

/// Decline a ticket
///
/// By whom it is offered to.
#[utoipa::path(post, path = "/ticket-transfers/{id}/decline", operation_id = "declineTicket", tag = "Ticket transfers",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the offer")),
    responses(
        (status = 200, description = "The offer", body = OfferedTicket),
        (status = 403, description = "It is offered to somebody else"),
        (status = 404, description = "There is no such offer, or the caller may not see it"),
        (status = 409, description = "The offer is not open any more")))]
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
/// By who made it, as long as it is not accepted.
#[utoipa::path(post, path = "/ticket-transfers/{id}/withdraw", operation_id = "withdrawTicket", tag = "Ticket transfers",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the offer")),
    responses(
        (status = 200, description = "The offer", body = OfferedTicket),
        (status = 403, description = "Somebody else made it"),
        (status = 404, description = "There is no such offer, or the caller may not see it"),
        (status = 409, description = "The offer is not open any more")))]
async fn withdraw(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Json<OfferedTicket>> {
    let ended = tickets.end_offer(&caller, id(&path)?, End::Withdrawn);
    ended.await.map(Json)
}
