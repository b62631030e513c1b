//! HTTP routes for payments, cards, accounts and the provider's events.

use super::{
    Payments,
    bodies::{CardSetup, DismissedEvent, Onboarding, OnboardingRequest, Payment, PaymentRequest},
    command::Of,
    connect::Owner,
    inbox,
};
use crate::module::{administrator, id, idempotency_key};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    routing::{delete, post},
};
use generated::{business::BUSINESS, city::CITY, organization::ORGANIZATION};
use kernel::{
    Error, Member, Result,
    config::BodyLimit,
    http::{Raw, Sent},
    idempotency::{Claimed, required},
    openapi::Objects,
    problems,
};
use utoipa::{OpenApi, openapi};

pub fn router(payments: Payments) -> Router {
    let keyed = from_fn_with_state(payments.keyed.clone(), required);
    Router::new()
        .route(
            "/orders/{id}/payments",
            post(pay).route_layer(keyed.clone()),
        )
        .route(
            "/promotions/{id}/payments",
            post(pay_promotion).route_layer(keyed.clone()),
        )
        .route(
            "/payment-methods/setups",
            post(save_card).route_layer(keyed),
        )
        .route("/payment-methods/{id}", delete(forget_card))
        .route("/payment-methods/{id}/prefer", post(prefer_card))
        .route("/organizations/{id}/onboarding", post(onboard_organization))
        .route("/businesses/{id}/onboarding", post(onboard_business))
        .route("/cities/{id}/onboarding", post(onboard_city))
        .route("/stripe-events/{id}/retry", post(retry_event))
        .route("/stripe-events/{id}/dismiss", post(dismiss_event))
        .route("/transfers/{id}/retry", post(retry_transfer))
        .route(inbox::PLATFORM, post(platform_event))
        .route(inbox::CONNECT, post(connect_event))
        .with_state(payments)
}

pub fn body_limits() -> Vec<BodyLimit> {
    let limit = |path| BodyLimit {
        path,
        bytes: inbox::LARGEST,
    };
    vec![limit(inbox::PLATFORM), limit(inbox::CONNECT)]
}

static OBJECTS: Objects = Objects(&[
    ("Payment", "payment"),
    ("CardSetup", "card_setup"),
    ("Onboarding", "onboarding"),
]);

#[derive(OpenApi)]
#[openapi(
    paths(
        pay,
        pay_promotion,
        save_card,
        forget_card,
        prefer_card,
        onboard_organization,
        onboard_business,
        onboard_city,
        retry_event,
        dismiss_event,
        retry_transfer,
        platform_event,
        connect_event
    ),
    modifiers(&OBJECTS)
)]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Pay an order by card
///
/// Charges a saved card at once. Without one, the response has a `client_secret`, with which the buyer's client passes
/// a card to the payment provider. The order's `state` becomes `paid` at once, or when the provider reports the
/// payment. Repeated requests continue the same payment: an order is charged once.
#[utoipa::path(post, path = "/orders/{id}/payments", operation_id = "payOrder", tag = "Orders", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the order"),
        ("Idempotency-Key" = String, Header, description = "The same key charges a saved card once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = PaymentRequest,
    responses(
        (status = 200, description = "The payment", body = Payment),
        (status = 400, description = "The key is missing"),
        (status = 402, description = "The card was declined; another card can be used"),
        (status = 403, description = "The order belongs to another member"),
        (status = 404, description = "There is no such order, or the caller may not see it"),
        (status = 409, description = "The order is no longer pending, the host can't be paid, the provider refuses the payment, \
            or the same request is in progress"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 503, description = "The provider does not respond; see `state` of the order")))]
async fn pay(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    claimed: Claimed,
    Sent(body): Sent<PaymentRequest>,
) -> Result<Json<Payment>> {
    let paid = payments.pay(&caller, Of::Order(id(&path)?), body, &claimed);
    paid.await.map(Json)
}

/// Pay for a featured place
///
/// For administrators of the promoted event, business or venue, until `pay_by` of the promotion. The city decides after
/// the payment; if it rejects the promotion, the whole amount is refunded.
#[utoipa::path(post, path = "/promotions/{id}/payments", operation_id = "payPromotion", tag = "Promotions", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the promotion"),
        ("Idempotency-Key" = String, Header, description = "The same key charges a saved card once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = PaymentRequest,
    responses(
        (status = 200, description = "The payment", body = Payment),
        (status = 400, description = "The key is missing"),
        (status = 402, description = "The card was declined; another card can be used"),
        (status = 403, description = "The caller does not administer the promoted object"),
        (status = 404, description = "There is no such promotion, or the caller may not see it"),
        (status = 409, description = "The promotion is paid, free or no longer payable, the provider refuses the payment, or the \
            same request is in progress"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 503, description = "The provider does not respond; see `paid_at` of the promotion")))]
async fn pay_promotion(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    claimed: Claimed,
    Sent(body): Sent<PaymentRequest>,
) -> Result<Json<Payment>> {
    let paid = payments.pay(&caller, Of::Promotion(id(&path)?), body, &claimed);
    paid.await.map(Json)
}

/// Save a card
///
/// The client passes the card to the payment provider with the `client_secret`. `GET /payment-methods` lists it shortly
/// afterwards.
#[utoipa::path(post, path = "/payment-methods/setups", operation_id = "savePaymentMethod", tag = "Payment methods", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "The same key begins once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    responses(
        (status = 200, description = "Data to submit the card with", body = CardSetup),
        (status = 400, description = "The key is missing"),
        (status = 409, description = "The provider refuses the request, or the same request is in progress"),
        (status = 422, description = "The key belongs to another request"),
        (status = 503, description = "The provider does not answer")))]
async fn save_card(
    State(payments): State<Payments>,
    caller: Member,
    headers: HeaderMap,
) -> Result<Json<CardSetup>> {
    payments
        .save_card(&caller, idempotency_key(&headers)?)
        .await
        .map(Json)
}

/// Remove a card
///
/// The card is also removed at the payment provider and can't be charged any more.
#[utoipa::path(delete, path = "/payment-methods/{id}", operation_id = "removePaymentMethod", tag = "Payment methods", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the payment method")),
    responses(
        (status = 204, description = "The card is removed"),
        (status = 404, description = "There is no such card of the caller"),
        (status = 409, description = "The provider refuses the request"),
        (status = 503, description = "The provider does not respond; the card is not removed")))]
async fn forget_card(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    payments.forget_card(&caller, id(&path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a card the default
///
/// Replaces the caller's previous default card.
#[utoipa::path(post, path = "/payment-methods/{id}/prefer", operation_id = "preferPaymentMethod", tag = "Payment methods", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the payment method")),
    responses(
        (status = 204, description = "The card is the default"),
        (status = 404, description = "There is no such card of the caller")))]
async fn prefer_card(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    payments.prefer_card(&caller, id(&path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Open an organisation's payment account
///
/// Returns a link to the payment provider's pages, for administrators of the organisation. The first request creates
/// the account. `GET /connected-accounts` shows its capabilities; paid tickets can be sold once it takes payments.
#[utoipa::path(post, path = "/organizations/{id}/onboarding", operation_id = "onboardOrganization", tag = "Connected accounts", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the organisation")),
    request_body = OnboardingRequest,
    responses(
        (status = 200, description = "The link", body = Onboarding),
        (status = 403, description = "The caller does not administer the organisation"),
        (status = 404, description = "There is no such organisation, or the caller may not see it"),
        (status = 409, description = "The provider refuses the request"),
        (status = 422, description = "A value is wrong"),
        (status = 503, description = "The provider does not answer")))]
async fn onboard_organization(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    Sent(body): Sent<OnboardingRequest>,
) -> Result<Json<Onboarding>> {
    let owner = Owner {
        kind: "organization",
        rule: "admin",
        id: id(&path)?,
        entity: &ORGANIZATION,
    };
    payments.onboard(&caller, owner, &body).await.map(Json)
}

/// Open a business's payment account
///
/// Works like `POST /organizations/{id}/onboarding`.
#[utoipa::path(post, path = "/businesses/{id}/onboarding", operation_id = "onboardBusiness", tag = "Connected accounts", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the business")),
    request_body = OnboardingRequest,
    responses(
        (status = 200, description = "The link", body = Onboarding),
        (status = 403, description = "The caller does not administer the business"),
        (status = 404, description = "There is no such business, or the caller may not see it"),
        (status = 409, description = "The provider refuses the request"),
        (status = 422, description = "A value is wrong"),
        (status = 503, description = "The provider does not answer")))]
async fn onboard_business(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    Sent(body): Sent<OnboardingRequest>,
) -> Result<Json<Onboarding>> {
    let owner = Owner {
        kind: "business",
        rule: "admin",
        id: id(&path)?,
        entity: &BUSINESS,
    };
    payments.onboard(&caller, owner, &body).await.map(Json)
}

/// Open a city's payment account
///
/// For administrators of the city. The account receives the city's share of the commission of each closed month. Works
/// like `POST /organizations/{id}/onboarding`.
#[utoipa::path(post, path = "/cities/{id}/onboarding", operation_id = "onboardCity", tag = "Connected accounts", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the city")),
    request_body = OnboardingRequest,
    responses(
        (status = 200, description = "The link", body = Onboarding),
        (status = 403, description = "The caller does not administer the city"),
        (status = 404, description = "There is no such city"),
        (status = 409, description = "The provider refuses the request"),
        (status = 422, description = "A value is wrong"),
        (status = 503, description = "The provider does not answer")))]
async fn onboard_city(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    Sent(body): Sent<OnboardingRequest>,
) -> Result<Json<Onboarding>> {
    let owner = Owner {
        kind: "city",
        rule: "city_admin",
        id: id(&path)?,
        entity: &CITY,
    };
    payments.onboard(&caller, owner, &body).await.map(Json)
}

/// Retry a parked event
///
/// Only for platform administrators. `GET /stripe-events?state=parked` lists parked events with their errors.
#[utoipa::path(post, path = "/stripe-events/{id}/retry", operation_id = "retryStripeEvent", tag = "Stripe events", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the event")),
    responses(
        (status = 202, description = "The event is queued for processing"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 404, description = "There is no such event"),
        (status = 409, description = "The event is not parked")))]
async fn retry_event(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    administrator(&caller)?;
    match payments.retry_event(&caller, id(&path)?).await? {
        Some(true) => Ok(StatusCode::ACCEPTED),
        Some(false) => {
            Err(Error::new(&problems::STATE).detail("Only a parked event can be retried."))
        }
        None => Err(Error::not_found()),
    }
}

/// Dismiss a parked event
///
/// Only for platform administrators. Ends an event that no retry can apply, such as one about an object that does not exist
/// at the payment provider: it becomes `ignored`, and changes nothing else. The reason goes to the audit log.
#[utoipa::path(post, path = "/stripe-events/{id}/dismiss", operation_id = "dismissStripeEvent", tag = "Stripe events", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the event")),
    request_body = DismissedEvent,
    responses(
        (status = 204, description = "The event is ignored from now on"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 404, description = "There is no such event"),
        (status = 409, description = "The event is not parked"),
        (status = 422, description = "The reason is missing or not a text of one line")))]
async fn dismiss_event(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    Sent(body): Sent<DismissedEvent>,
) -> Result<StatusCode> {
    administrator(&caller)?;
    let dismissed = payments.dismiss_event(&caller, id(&path)?, &body.reason);
    match dismissed.await? {
        Some(true) => Ok(StatusCode::NO_CONTENT),
        Some(false) => {
            Err(Error::new(&problems::STATE).detail("Only an event that is parked is dismissed."))
        }
        None => Err(Error::not_found()),
    }
}

/// Retry a failed transfer
///
/// Only for platform administrators. `GET /transfers?state=failed` lists transfers that the payment provider has
/// refused for good. A new transfer sends, or takes back, the amount still owed; to a city, all that it is owed by now.
#[utoipa::path(post, path = "/transfers/{id}/retry", operation_id = "retryTransfer", tag = "Transfers", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the transfer")),
    responses(
        (status = 202, description = "A new transfer is queued"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 404, description = "There is no such transfer"),
        (status = 409, description = "The transfer has not failed, nothing is owed any more, or the host can't be paid")))]
async fn retry_transfer(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    administrator(&caller)?;
    let again = payments.retry_transfer(id(&path)?, caller.request_id);
    match again.await? {
        Some(true) => Ok(StatusCode::ACCEPTED),
        Some(false) => Err(Error::new(&problems::STATE).detail(
            "Only a transfer that was refused for good and is still owed can be sent again.",
        )),
        None => Err(Error::not_found()),
    }
}

/// Receive Stripe events of the platform
///
/// Called by Stripe only, which signs each event. Events are stored, and processed afterwards.
#[utoipa::path(post, path = "/webhooks/stripe", operation_id = "takeStripeEvent", tag = "Stripe events", security(()),
    params(("Stripe-Signature" = String, Header, description = "Signature by a secret of this endpoint")),
    request_body(content = String, content_type = "application/json", description = "An event as Stripe sends it"),
    responses(
        (status = 200, description = "The event is stored"),
        (status = 400, description = "The signature or the event is invalid")))]
async fn platform_event(
    State(payments): State<Payments>,
    headers: HeaderMap,
    Raw(payload): Raw,
) -> Result<StatusCode> {
    let secrets = &payments.settings.stripe_webhook_secrets;
    payments.take_in(&headers, &payload, secrets).await?;
    Ok(StatusCode::OK)
}

/// Receive Stripe events of connected accounts
///
/// Called by Stripe only, which signs each event with a secret of this endpoint.
#[utoipa::path(post, path = "/webhooks/stripe-connect", operation_id = "takeStripeConnectEvent", tag = "Stripe events", security(()),
    params(("Stripe-Signature" = String, Header, description = "Signature by a secret of this endpoint")),
    request_body(content = String, content_type = "application/json", description = "An event as Stripe sends it"),
    responses(
        (status = 200, description = "The event is stored"),
        (status = 400, description = "The signature or the event is invalid")))]
async fn connect_event(
    State(payments): State<Payments>,
    headers: HeaderMap,
    Raw(payload): Raw,
) -> Result<StatusCode> {
    let secrets = &payments.settings.stripe_connect_webhook_secrets;
    payments.take_in(&headers, &payload, secrets).await?;
    Ok(StatusCode::OK)
}
