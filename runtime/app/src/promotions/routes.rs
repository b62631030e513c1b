//! HTTP route for prices of featured places. The routes that book one and decide about it are generated.

use super::{
    Promotions,
    bodies::{AskedPlace, PlacePrice},
};
use axum::{Json, Router, extract::State, routing::post};
use kernel::{Member, Result, http::Sent, openapi::Objects};
use utoipa::{OpenApi, openapi};

pub fn router(promotions: Promotions) -> Router {
    Router::new()
        .route("/promotions/price", post(price))
        .with_state(promotions)
}

static OBJECTS: Objects = Objects(&[("PlacePrice", "place_price")]);

#[derive(OpenApi)]
#[openapi(paths(price), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get the price of a featured place
///
/// For administrators of the target. Does not book anything. `POST /promotions` with the same body books the place at this price, if `room` is not 0.
#[utoipa::path(post, path = "/promotions/price", operation_id = "pricePromotion", tag = "Promotions",
    security(("bearer" = [])), request_body = AskedPlace,
    responses(
        (status = 200, description = "The price and the remaining room", body = PlacePrice),
        (status = 403, description = "The caller does not administer the target"),
        (status = 409, description = "The city does not offer such a place"),
        (status = 422, description = "A value is wrong, the time is too long, or cards can't be charged the price")))]
async fn price(
    State(promotions): State<Promotions>,
    caller: Member,
    Sent(body): Sent<AskedPlace>,
) -> Result<Json<PlacePrice>> {
    promotions.price(&caller, body).await.map(Json)
}
