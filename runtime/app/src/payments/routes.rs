//! HTTP routes for payments, cards, accounts and the provider's events.

use super::{
    Payments,
    bodies::{CardSetup, Onboarding, OnboardingRequest, Payment, PaymentRequest},
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
/// With a saved card it is charged at once. Without one the answer has a `client_secret`, with which the buyer's client
/// gives a card to the payment provider. The order is paid when its `state` says so: at once, or when the provider has
/// told. Asked again, it answers with the same payment: one order is charged once.
#[utoipa::path(post, path = "/orders/{id}/payments", operation_id = "payOrder", tag = "Orders", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the order"),
        ("Idempotency-Key" = String, Header, description = "The same key charges a saved card once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = PaymentRequest,
    responses(
        (status = 200, description = "The payment", body = Payment),
        (status = 400, description = "The key is missing"),
        (status = 402, description = "The card was declined; the order still waits for another one"),
        (status = 403, description = "It is somebody else's"),
        (status = 404, description = "There is no such order, or the caller may not see it"),
        (status = 409, description = "It is not pending any more, the host can't be paid, the provider refuses the payment, or \
            the same request is being worked on"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 503, description = "The provider does not answer: whether it was paid, the order will say")))]
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

/// Pay a featured place
///
/// By whoever administers what is shown there, until `pay_by` of the promotion. The city decides once it is paid; all of it
/// goes back if the city says no.
#[utoipa::path(post, path = "/promotions/{id}/payments", operation_id = "payPromotion", tag = "Promotions", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the promotion"),
        ("Idempotency-Key" = String, Header, description = "The same key charges a saved card once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = PaymentRequest,
    responses(
        (status = 200, description = "The payment", body = Payment),
        (status = 400, description = "The key is missing"),
        (status = 402, description = "The card was declined; the promotion still waits for another one"),
        (status = 403, description = "The caller does not administer what is promoted"),
        (status = 404, description = "There is no such promotion, or the caller may not see it"),
        (status = 409, description = "It is paid, costs nothing or is over, the provider refuses the payment, or the same \
            request is being worked on"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 503, description = "The provider does not answer: whether it was paid, the promotion will say")))]
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
/// The client gives it to the payment provider with the `client_secret`; a moment later it is in `GET /payment-methods`.
#[utoipa::path(post, path = "/payment-methods/setups", operation_id = "savePaymentMethod", tag = "Payment methods", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "The same key begins once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    responses(
        (status = 200, description = "What the client needs", body = CardSetup),
        (status = 400, description = "The key is missing"),
        (status = 409, description = "The provider refuses it, or the same request is being worked on"),
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
/// The payment provider forgets it too: nothing can be charged to it any more.
#[utoipa::path(delete, path = "/payment-methods/{id}", operation_id = "removePaymentMethod", tag = "Payment methods", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the payment method")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such card of the caller"),
        (status = 409, description = "The provider refuses it"),
        (status = 503, description = "The provider does not answer; the card is still there")))]
async fn forget_card(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    payments.forget_card(&caller, id(&path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Prefer a card
///
/// It becomes the caller's default, in place of the one that was.
#[utoipa::path(post, path = "/payment-methods/{id}/prefer", operation_id = "preferPaymentMethod", tag = "Payment methods", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the payment method")),
    responses(
        (status = 204, description = "It is the default"),
        (status = 404, description = "There is no such card of the caller")))]
async fn prefer_card(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    payments.prefer_card(&caller, id(&path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Open an organisation's account
///
/// A link to the payment provider's pages, for whoever administers the organisation. The account is made at the first
/// one. `GET /connected-accounts` says what it can do; paid tickets sell once it takes payments.
#[utoipa::path(post, path = "/organizations/{id}/onboarding", operation_id = "onboardOrganization", tag = "Connected accounts", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the organisation")),
    request_body = OnboardingRequest,
    responses(
        (status = 200, description = "The link", body = Onboarding),
        (status = 403, description = "The caller does not administer it"),
        (status = 404, description = "There is no such organisation, or the caller may not see it"),
        (status = 409, description = "The provider refuses it"),
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

/// Open a business's account
///
/// As of an organisation.
#[utoipa::path(post, path = "/businesses/{id}/onboarding", operation_id = "onboardBusiness", tag = "Connected accounts", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the business")),
    request_body = OnboardingRequest,
    responses(
        (status = 200, description = "The link", body = Onboarding),
        (status = 403, description = "The caller does not administer it"),
        (status = 404, description = "There is no such business, or the caller may not see it"),
        (status = 409, description = "The provider refuses it"),
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

/// Open a city's account
///
/// Its share of the commission goes there, every closed month. By its administrators; otherwise as of an organisation.
#[utoipa::path(post, path = "/cities/{id}/onboarding", operation_id = "onboardCity", tag = "Connected accounts", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the city")),
    request_body = OnboardingRequest,
    responses(
        (status = 200, description = "The link", body = Onboarding),
        (status = 403, description = "The caller does not administer it"),
        (status = 404, description = "There is no such city"),
        (status = 409, description = "The provider refuses it"),
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

/// Try a parked event again
///
/// Only for platform administrators. `GET /stripe-events?state=parked` lists them and why they are parked.
#[utoipa::path(post, path = "/stripe-events/{id}/retry", operation_id = "retryStripeEvent", tag = "Stripe events", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the event")),
    responses(
        (status = 202, description = "It is being worked on again"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 404, description = "There is no such event"),
        (status = 409, description = "It is not parked")))]
async fn retry_event(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    administrator(&caller)?;
    match payments.retry_event(id(&path)?, caller.request_id).await? {
        Some(true) => Ok(StatusCode::ACCEPTED),
        Some(false) => {
            Err(Error::new(&problems::STATE).detail("Only an event that is parked is tried again."))
        }
        None => Err(Error::not_found()),
    }
}

/// Send a refused transfer again
///
/// Only for platform administrators. `GET /transfers?state=failed` lists what the payment provider has refused for good, and
/// why. As much as is still owed is sent, or taken back, by another transfer. A city's share is not: its months go into the
/// next one by themselves.
#[utoipa::path(post, path = "/transfers/{id}/retry", operation_id = "retryTransfer", tag = "Transfers", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the transfer")),
    responses(
        (status = 202, description = "Another one is on its way"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 404, description = "There is no such transfer"),
        (status = 409, description = "It was not refused, nothing of it is owed any more, or the host can't be paid")))]
async fn retry_transfer(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    administrator(&caller)?;
    let again = payments.retry_transfer(id(&path)?, caller.request_id);
    match again.await? {
        Some(true) => Ok(StatusCode::ACCEPTED),
        Some(false) => Err(Error::new(&problems::STATE)
            .detail("Only what was refused for good and is still owed is sent again.")),
        None => Err(Error::not_found()),
    }
}

/// Events of the platform's account
///
/// For Stripe alone, which signs them. What is stored is worked on afterwards.
#[utoipa::path(post, path = "/webhooks/stripe", operation_id = "takeStripeEvent", tag = "Stripe events", security(()),
    params(("Stripe-Signature" = String, Header, description = "By one of the secrets of this endpoint")),
    request_body(content = String, content_type = "application/json", description = "An event as Stripe sends it"),
    responses(
        (status = 200, description = "It is stored, or was before"),
        (status = 400, description = "It is not signed by Stripe, or is no event")))]
async fn platform_event(
    State(payments): State<Payments>,
    headers: HeaderMap,
    Raw(payload): Raw,
) -> Result<StatusCode> {
    let secrets = &payments.settings.stripe_webhook_secrets;
    payments.take_in(&headers, &payload, secrets).await?;
    Ok(StatusCode::OK)
}

/// Events of connected accounts
///
/// For Stripe alone, which signs them with secrets of this endpoint.
#[utoipa::path(post, path = "/webhooks/stripe-connect", operation_id = "takeStripeConnectEvent", tag = "Stripe events", security(()),
    params(("Stripe-Signature" = String, Header, description = "By one of the secrets of this endpoint")),
    request_body(content = String, content_type = "application/json", description = "An event as Stripe sends it"),
    responses(
        (status = 200, description = "It is stored, or was before"),
        (status = 400, description = "It is not signed by Stripe, or is no event")))]
async fn connect_event(
    State(payments): State<Payments>,
    headers: HeaderMap,
    Raw(payload): Raw,
) -> Result<StatusCode> {
    let secrets = &payments.settings.stripe_connect_webhook_secrets;
    payments.take_in(&headers, &payload, secrets).await?;
    Ok(StatusCode::OK)
}
