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

/// What the platform takes of the caller's side for having brought the two together.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "quote_fee")]
pub struct QuoteFee {
    pub quote_id: Uuid,
    /// Nothing without a rule that asks for a fee, and where the other side pays it.
    pub amount_cents: i64,
    pub currency: String,
    /// A moment after the quote was accepted it is decided for good. Before, this is what it would be now.
    pub is_decided: bool,
    pub paid_at: Option<DateTime<Utc>>,
}

pub fn router(marketplace: Marketplace) -> Router {
    Router::new()
        .route("/quotes/{id}/fee", get(fee))
        .with_state(marketplace)
}

static OBJECTS: Objects = Objects(&[("QuoteFee", "quote_fee")]);

#[derive(OpenApi)]
#[openapi(paths(fee), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// The fee of a quote
///
/// What the caller's side pays the platform for having been brought together with the other one; before the quote is
/// accepted, what it would pay. The work itself is paid between the two.
#[utoipa::path(get, path = "/quotes/{id}/fee", operation_id = "getQuoteFee", tag = "Quotes", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the quote")),
    responses(
        (status = 200, description = "The fee", body = QuoteFee),
        (status = 404, description = "There is no such quote, or the caller may not see it")))]
async fn fee(
    State(marketplace): State<Marketplace>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Json<QuoteFee>> {
    marketplace.fee(&caller, id(&path)?).await.map(Json)
}
