//! Bodies of requests and answers about payments, cards and accounts.

use chrono::{DateTime, Utc};
use macros::Input;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// How to pay an order, a featured place or a fee by card.
#[derive(Input, Clone, Debug, Default)]
#[input(
    body,
    example = r#"{"payment_method_id": "019caddd-0f20-7e80-a9aa-9424f2ffd8a4", "return_url": "https://example.org/back"}"#
)]
pub struct PaymentRequest {
    /// Saved card to charge at once. Without it, the client confirms the payment with `client_secret` and any card.
    pub payment_method_id: Option<Uuid>,
    /// Where the buyer returns to after authenticating with their bank.
    #[input(length(1, 2000), format = "url")]
    pub return_url: Option<String>,
}

/// A payment and the steps left to complete it.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "payment")]
#[schema(example = json!({"object": "payment", "id": "01a21e7c-a3d2-7a10-8f1c-3f0c6a5d2b11", "order_id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "order_state": "pending",
    "promotion_id": null, "promotion_state": null, "quote_id": null, "status": "requires_action", "amount_cents": 6350, "currency": "AUD",
    "client_secret": "pi_example_secret_example", "next_action_url": "https://hooks.example.org/authenticate", "page_url": null}))]
pub struct Payment {
    /// Id of the transaction: `GET /transactions/{id}`.
    pub id: Uuid,
    /// The paid order; null for other payments.
    pub order_id: Option<Uuid>,
    /// `paid` once the payment has succeeded; the tickets then exist.
    pub order_state: Option<String>,
    /// The paid promotion; null for other payments.
    pub promotion_id: Option<Uuid>,
    /// `requested` until the city decides, whether paid or not; `paid_at` of the promotion is set once it is paid.
    pub promotion_state: Option<String>,
    /// The quote whose fee is paid; null for other payments. Its `fee_paid_at` is set once the fee is paid.
    pub quote_id: Option<Uuid>,
    /// `created` and `failed`: needs a card. `requires_action`: needs authentication by the buyer's bank.
    pub status: String,
    /// In minor units (cents).
    pub amount_cents: i64,
    pub currency: String,
    /// For the payment provider's client library; do not store or log it. Null if nothing is left to confirm.
    pub client_secret: Option<String>,
    /// Where the buyer authenticates with their bank; null if not needed.
    pub next_action_url: Option<String>,
    /// Web page to confirm the payment; null if there is none.
    pub page_url: Option<String>,
}

/// Reason for dismissing an event.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"reason": "Of a test account that was deleted at Stripe"}"#
)]
pub struct DismissedEvent {
    #[input(line(1, 500))]
    pub reason: String,
}

/// A refund of a quote's fee.
#[derive(Input, Clone, Debug, Default)]
#[input(
    body,
    example = r#"{"amount_cents": 500, "note": "The work did not come about"}"#
)]
pub struct FeeRefund {
    /// In minor units (cents). Without it, the rest of the fee.
    #[input(range(1, 999_999_999_999))]
    pub amount_cents: Option<i64>,
    #[input(line(1, 500))]
    pub note: Option<String>,
}

/// A card that is being saved.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "card_setup")]
#[schema(example = json!({"object": "card_setup", "client_secret": "seti_example_secret_example", "page_url": null}))]
pub struct CardSetup {
    /// For the payment provider's client library; do not store or log it.
    pub client_secret: Option<String>,
    /// Web page to enter the card; null if the platform has none.
    pub page_url: Option<String>,
}

/// Where the payment provider's pages send the owner's browser.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"}"#
)]
pub struct OnboardingRequest {
    /// After completion. That alone does not mean that the account takes payments; check its flags.
    #[input(length(1, 2000), format = "url")]
    pub return_url: String,
    /// If the link has expired or was used already. Request a new link there.
    #[input(length(1, 2000), format = "url")]
    pub refresh_url: String,
}

/// A link to the payment provider's pages, where the owner enters their details. Valid once, for a few minutes.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "onboarding")]
#[schema(example = json!({"object": "onboarding", "connected_account_id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8",
    "url": "https://connect.example.org/setup/c/example", "expires_at": "2026-05-01T18:05:00Z"}))]
pub struct Onboarding {
    pub connected_account_id: Uuid,
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

/// A plan for a business.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"plan_id": "019caddd-0f20-7648-a79f-7d6b960a0190", "payment_method_id": "019caddd-0f20-7e80-a9aa-9424f2ffd8a4"}"#
)]
pub struct SubscriptionRequest {
    pub plan_id: Uuid,
    /// Saved card of the caller, charged at once for the first period. Without it, the client pays with
    /// `client_secret`.
    pub payment_method_id: Option<Uuid>,
}

/// The card to change to.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"payment_method_id": "019caddd-0f20-7e80-a9aa-9424f2ffd8a4"}"#
)]
pub struct OtherCard {
    /// Saved card of the caller, who must be the member who subscribed.
    pub payment_method_id: Uuid,
}

/// The plan to change to.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"plan_id": "019caddd-0f20-7648-a79f-7d6b960a0190"}"#
)]
pub struct OtherPlan {
    /// A plan in the currency of the subscription.
    pub plan_id: Uuid,
}

/// State of a subscription.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "subscribed")]
#[schema(example = json!({"object": "subscribed", "id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "state": "active", "payment_status": null,
    "client_secret": null, "page_url": null}))]
pub struct Subscribed {
    /// `GET /subscriptions/{id}` returns all details.
    pub id: Uuid,
    /// `incomplete` until the first period is paid, `past_due` while a later payment is due.
    pub state: String,
    /// Status of the payment that is due; null if none is. `created` and `failed`: needs a card. `requires_action`:
    /// needs authentication by the buyer's bank, with `client_secret`.
    pub payment_status: Option<String>,
    /// For the payment provider's client library, to pay what is due; do not store or log it.
    pub client_secret: Option<String>,
    /// Web page to pay what is due; null if the platform has none.
    pub page_url: Option<String>,
}
