//! HTTP route for the fee of a quote. Paying it is part of the payments module.

use super::super::Marketplace;
use crate::module::id;
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use chrono::{DateTime, Utc};
use kernel::{Member, Result, openapi::Objects};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

/// The platform's fee for connecting organiser and business, as charged to the caller's side.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "quote_fee")]
#[schema(example = json!({"object": "quote_fee", "quote_id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "amount_cents": 5000, "currency": "AUD",
    "is_decided": true, "paid_at": null}))]
pub struct FeeOfQuote {
    pub quote_id: Uuid,
    /// In minor units (cents). 0 without a commission rule, or if the other side pays the fee.
    pub amount_cents: i64,
    pub currency: String,
    /// Whether the fee is final, shortly after the quote is accepted; an estimate before.
    pub is_decided: bool,
    /// Null if unpaid, or if the other side pays the fee.
    pub paid_at: Option<DateTime<Utc>>,
}

pub fn router(marketplace: Marketplace) -> Router {
    Router::new()
        .route("/quotes/{id}/fee", get(fee))
        .with_state(marketplace)
}

static OBJECTS: Objects = Objects(&[("FeeOfQuote", "quote_fee")]);

#[derive(OpenApi)]
#[openapi(paths(fee), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get the fee of a quote
///
/// The fee that the caller's side pays to the platform for connecting organiser and business; an estimate before the
/// quote is accepted. The service itself is paid directly between the two sides.
#[utoipa::path(get, path = "/quotes/{id}/fee", operation_id = "getQuoteFee", tag = "Quotes", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the quote")),
    responses(
        (status = 200, description = "The fee", body = FeeOfQuote),
        (status = 404, description = "There is no such quote, or the caller may not see it")))]
async fn fee(
    State(marketplace): State<Marketplace>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Json<FeeOfQuote>> {
    marketplace.fee(&caller, id(&path)?).await.map(Json)
}
