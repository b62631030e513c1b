//! HTTP routes for paying and refunding the fees of services.

use super::{
    Payments,
    bodies::{FeeRefund, Payment, PaymentRequest},
    command::Of,
};
use crate::{module::id, tickets::AskedRefund};
use axum::{
    Json, Router,
    extract::{Path, State},
    middleware::from_fn_with_state,
    routing::post,
};
use kernel::{
    Member, Result,
    http::Sent,
    idempotency::{Answer, Claimed, required},
    openapi::Objects,
};
use utoipa::{OpenApi, openapi};

pub fn router(payments: Payments) -> Router {
    let keyed = from_fn_with_state(payments.keyed.clone(), required);
    Router::new()
        .route(
            "/quotes/{id}/fee-payments",
            post(pay_fee).route_layer(keyed.clone()),
        )
        .route(
            "/quotes/{id}/fee-refunds",
            post(refund_fee).route_layer(keyed),
        )
        .with_state(payments)
}

#[derive(OpenApi)]
#[openapi(paths(pay_fee, refund_fee), modifiers(&OBJECTS))]
struct Document;

static OBJECTS: Objects = Objects(&[("AskedRefund", "asked_refund")]);

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Pay the fee of a quote
///
/// The platform's fee for connecting organiser and business. For the side in `fee_paid_by`, once the quote is accepted.
#[utoipa::path(post, path = "/quotes/{id}/fee-payments", operation_id = "payQuoteFee", tag = "Quotes", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the quote"),
        ("Idempotency-Key" = String, Header, description = "The same key charges a saved card once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = PaymentRequest,
    responses(
        (status = 200, description = "The payment", body = Payment),
        (status = 400, description = "The key is missing"),
        (status = 402, description = "The card was declined; another card can be used"),
        (status = 403, description = "The other side pays the fee"),
        (status = 404, description = "There is no such quote, or the caller may not see it"),
        (status = 409, description = "No fee is due or it is paid already, the provider refuses the payment, or the same \
            request is in progress"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 503, description = "The provider does not respond; see `fee_paid_at` of the quote")))]
async fn pay_fee(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    claimed: Claimed,
    Sent(body): Sent<PaymentRequest>,
) -> Result<Json<Payment>> {
    let paid = payments.pay(&caller, Of::Quote(id(&path)?), body, &claimed);
    paid.await.map(Json)
}

/// Refund the fee of a quote
///
/// Only for platform administrators: the rest of the fee, or a part. The refund goes to the card that paid, or becomes
/// credits of the payer if the card can't be refunded; the city's share is reduced in proportion.
#[utoipa::path(post, path = "/quotes/{id}/fee-refunds", operation_id = "refundQuoteFee", tag = "Quotes", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the quote"),
        ("Idempotency-Key" = String, Header, description = "The same key refunds once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = FeeRefund,
    responses(
        (status = 201, description = "The refund", body = AskedRefund),
        (status = 400, description = "The key is missing"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 404, description = "There is no such quote"),
        (status = 409, description = "No fee was paid, the amount exceeds what is left to refund, the payer's bank disputes the \
            payment, or the same request is in progress"),
        (status = 422, description = "A value is wrong, or the key belongs to another request")))]
async fn refund_fee(
    State(payments): State<Payments>,
    caller: Member,
    Path(path): Path<String>,
    claimed: Claimed,
    Sent(body): Sent<FeeRefund>,
) -> Result<Answer> {
    payments
        .refund_fee(&caller, id(&path)?, body, claimed)
        .await
}
