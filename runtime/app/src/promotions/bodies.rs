//! Bodies of requests and answers about prices of featured places.

use chrono::{DateTime, Utc};
use generated::promotion::{PromotionSlot, PromotionTargetType};
use macros::Input;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A place and a time, as `POST /promotions` takes them.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"target_type": "event", "target_id": "0199e002-7b28-7c06-8aa1-27dcfb2f4adc", "city_id": "0199e001-6a21-7a30-9d3c-0f4cc05f4ddb",
      "slot": "home", "starts_at": "2027-03-01T00:00:00Z", "ends_at": "2027-03-08T00:00:00Z"}"#
)]
pub struct AskedPlace {
    pub target_type: PromotionTargetType,
    pub target_id: Uuid,
    pub city_id: Uuid,
    pub slot: PromotionSlot,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// What it costs now. Booking it costs the same, as long as nobody changes the price.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "place_price")]
pub struct PlacePrice {
    pub currency: String,
    pub day_price_cents: i64,
    /// Days that have begun between `starts_at` and `ends_at`.
    pub days: i32,
    /// Days of them that the business's plan pays for.
    pub plan_days: i32,
    /// The price of the other days.
    pub amount_cents: i64,
    /// How many more fit into the place during that time; none can be booked at 0.
    pub room: i32,
}
