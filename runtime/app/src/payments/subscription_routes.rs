//! HTTP routes for subscriptions.

use super::{
    Payments,
    bodies::{OtherCard, OtherPlan, Subscribed, SubscriptionRequest},
    subscriptions::Change,
};
use crate::module::{id, idempotency_key};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::HeaderMap,
    middleware::from_fn_with_state,
    routing::post,
};
use kernel::{
    Member, Result,
    http::Sent,
    idempotency::{Claimed, required},
    openapi::Objects,
};
use utoipa::{OpenApi, openapi};

pub fn router(payments: Payments) -> Router {
    let keyed = from_fn_with_state(payments.keyed.clone(), required);
    Router::new()
        .route(
            "/businesses/{id}/subscription",
            post(subscribe).route_layer(keyed.clone()),
        )
        .route(
            "/subscriptions/{id}/plan",
            post(change_plan).route_layer(keyed.clone()),
        )
        .route(
            "/subscriptions/{id}/card",
            post(change_card).route_layer(keyed.clone()),
        )
        .route(
            "/subscriptions/{id}/cancel",
            post(cancel).route_layer(keyed.clone()),
        )
        .route("/subscriptions/{id}/keep", post(keep).route_layer(keyed))
        .with_state(payments)
}

static OBJECTS: Objects = Objects(&[("Subscribed", "subscribed")]);

#[derive(OpenApi)]
#[openapi(paths(subscribe, change_plan, change_card, cancel, keep), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Subscribe a business to a plan
///
/// For administrators of the business, paid by a card of the caller. A business has one subscription at a time. While
/// its first period is not paid, the same request continues it: with a saved card it is paid, without one the answer has
/// what the client needs to pay. If the bank asks the buyer to authenticate, `payment_status` is `requires_action`.
#[utoipa::path(post, path = "/businesses/{id}/subscription", operation_id = "subscribeBusiness", tag = "Subscriptions", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the business"),
        ("Idempotency-Key" = String, Header, description = "The same key subscribes once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = SubscriptionRequest,
    responses(
        (status = 200, description = "The subscription", body = Subscribed),
        (status = 400, description = "The key is missing"),
        (status = 402, description = "The card was declined (`card-declined`); the subscription waits for another one"),
        (status = 403, description = "The caller does not administer the business"),
        (status = 404, description = "There is no such business, or the caller may not see it"),
        (status = 409, description = "The business has a subscription, or another member has begun it and a saved card \
            of the caller can't pay it; the provider refuses the request, or the same request is in progress"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 503, description = "The provider does not answer")))]
async fn subscribe(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    claimed: Claimed,
    Sent(body): Sent<SubscriptionRequest>,
) -> Result<Json<Subscribed>> {
    payments
        .subscribe(&caller, id(&path)?, body, &claimed)
        .await
        .map(Json)
}

/// Change the plan of a subscription
///
/// For the administrator of the business whose card pays. The price difference for the rest of the period is charged at
/// once, and the plan changes when it is paid. If the bank asks the buyer to authenticate, `payment_status` is
/// `requires_action`, and the change is given up after a day. Refused (409) while a payment is due.
#[utoipa::path(post, path = "/subscriptions/{id}/plan", operation_id = "changeSubscriptionPlan", tag = "Subscriptions", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the subscription"),
        ("Idempotency-Key" = String, Header, description = "The same key changes once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = OtherPlan,
    responses(
        (status = 200, description = "The subscription", body = Subscribed),
        (status = 400, description = "The key is missing"),
        (status = 402, description = "The card was declined (`card-declined`); the plan is unchanged"),
        (status = 404, description = "There is no such subscription, or the caller does not administer the business"),
        (status = 409, description = "The subscription has ended or not begun, the provider refuses the change, or the same \
            request is in progress"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 503, description = "The provider does not answer")))]
async fn change_plan(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    headers: HeaderMap,
    Sent(body): Sent<OtherPlan>,
) -> Result<Json<Subscribed>> {
    let change = Change::Plan(body.plan_id);
    let changed =
        payments.change_subscription(&caller, id(&path)?, change, idempotency_key(&headers)?);
    changed.await.map(Json)
}

/// Change the card of a subscription
///
/// For an administrator of the business who has subscribed it. The card pays from now on; what is due, such as a period
/// whose payment has failed, is paid with it at once. If the bank asks the buyer to authenticate, `payment_status` is
/// `requires_action`.
#[utoipa::path(post, path = "/subscriptions/{id}/card", operation_id = "changeSubscriptionCard", tag = "Subscriptions", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the subscription"),
        ("Idempotency-Key" = String, Header, description = "The same key charges once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = OtherCard,
    responses(
        (status = 200, description = "The subscription", body = Subscribed),
        (status = 400, description = "The key is missing"),
        (status = 402, description = "The card was declined (`card-declined`); the former card stays"),
        (status = 404, description = "There is no such subscription, or the caller does not administer the business"),
        (status = 409, description = "The subscription has ended or not begun, another member has subscribed, the provider \
            refuses the card, or the same request is in progress"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 503, description = "The provider does not answer")))]
async fn change_card(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    headers: HeaderMap,
    Sent(body): Sent<OtherCard>,
) -> Result<Json<Subscribed>> {
    let card = body.payment_method_id;
    let changed = payments.change_card(&caller, id(&path)?, card, idempotency_key(&headers)?);
    changed.await.map(Json)
}

/// Cancel a subscription
///
/// For administrators of the business, and for the member whose card pays. The subscription ends with the paid period;
/// until then the business keeps the plan's benefits. It ends at once, and what is due can't be paid any more, if its
/// present period is not paid.
#[utoipa::path(post, path = "/subscriptions/{id}/cancel", operation_id = "cancelSubscription", tag = "Subscriptions", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the subscription"),
        ("Idempotency-Key" = String, Header, description = "The same key cancels once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    responses(
        (status = 200, description = "The subscription", body = Subscribed),
        (status = 400, description = "The key is missing"),
        (status = 404, description = "There is no such subscription, or the caller does not administer the business"),
        (status = 409, description = "The subscription has ended or not begun, the provider refuses the change, or the same \
            request is in progress"),
        (status = 422, description = "The key belongs to another request"),
        (status = 503, description = "The provider does not answer")))]
async fn cancel(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Subscribed>> {
    let changed = payments.change_subscription(
        &caller,
        id(&path)?,
        Change::Cancel,
        idempotency_key(&headers)?,
    );
    changed.await.map(Json)
}

/// Keep a subscription
///
/// Withdraws the cancellation of a subscription that has not ended yet; the subscription continues to renew. Only for the
/// administrator of the business whose card pays (409 for others).
#[utoipa::path(post, path = "/subscriptions/{id}/keep", operation_id = "keepSubscription", tag = "Subscriptions", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the subscription"),
        ("Idempotency-Key" = String, Header, description = "The same key keeps once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    responses(
        (status = 200, description = "The subscription", body = Subscribed),
        (status = 400, description = "The key is missing"),
        (status = 404, description = "There is no such subscription, or the caller does not administer the business"),
        (status = 409, description = "The subscription has ended or not begun, the provider refuses the change, or the same \
            request is in progress"),
        (status = 422, description = "The key belongs to another request"),
        (status = 503, description = "The provider does not answer")))]
async fn keep(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Subscribed>> {
    let changed = payments.change_subscription(
        &caller,
        id(&path)?,
        Change::Keep,
        idempotency_key(&headers)?,
    );
    changed.await.map(Json)
}
