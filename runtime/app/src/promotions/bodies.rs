//! Bodies of requests and answers about prices of featured places.

use chrono::{DateTime, Utc};
use generated::promotion::{PromotionSlot, PromotionTargetType};
use macros::Input;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A featured place and a time, as in `POST /promotions`.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"target_type": "event", "target_id": "019caddd-0f20-7b8e-a1f8-0bd70ae0784c", "city_id": "019caddd-0f20-711a-a62c-23412b77477a",
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

/// Current price of a featured place. A booking costs the same unless the price changes in the meantime.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "place_price")]
#[schema(example = json!({"object": "place_price", "currency": "AUD", "day_price_cents": 900, "days": 7, "plan_days": 2,
    "amount_cents": 4500, "room": 3}))]
pub struct PlacePrice {
    pub currency: String,
    /// Price of one day, in minor units (cents).
    pub day_price_cents: i64,
    /// Started days between `starts_at`, or now if that is later, and `ends_at`.
    pub days: i32,
    /// Number of these days that the business's plan covers.
    pub plan_days: i32,
    /// Price of the other days, in minor units (cents).
    pub amount_cents: i64,
    /// Bookings still possible in the place during that time; 0 if it is full, or if the target is booked there already, in
    /// whatever city.
    pub room: i32,
}
