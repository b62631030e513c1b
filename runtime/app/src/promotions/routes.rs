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

/// What a featured place costs
///
/// Nothing is booked: `POST /promotions` with the same body does that, for the same price, as long as there is room.
#[utoipa::path(post, path = "/promotions/price", operation_id = "pricePromotion", tag = "Promotions",
    security(("bearer" = [])), request_body = AskedPlace,
    responses(
        (status = 200, description = "The price, and how much room there is", body = PlacePrice),
        (status = 409, description = "The city does not offer such a place"),
        (status = 422, description = "A value is wrong, or it is longer than can be booked")))]
async fn price(
    State(promotions): State<Promotions>,
    caller: Member,
    Sent(body): Sent<AskedPlace>,
) -> Result<Json<PlacePrice>> {
    promotions.price(&caller, body).await.map(Json)
}
