//! Bodies of requests and answers about payments, cards and accounts.

use chrono::{DateTime, Utc};
use macros::Input;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// How to pay what an order leaves to a card, a featured place, or a fee.
#[derive(Input, Clone, Debug, Default)]
#[input(
    body,
    example = r#"{"payment_method_id": "0199e005-7f50-7e55-820c-639f580d23cc", "return_url": "https://example.org/back"}"#
)]
pub struct PaymentRequest {
    /// A card that was saved: it is charged at once. Without it the client confirms with `client_secret` and any card.
    pub payment_method_id: Option<Uuid>,
    /// Where the buyer comes back to if their bank wants to see them.
    #[input(length(1, 2000), format = "url")]
    pub return_url: Option<String>,
}

/// A payment, and what is left to do for it.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "payment")]
pub struct Payment {
    /// Of its transaction: `GET /transactions/{id}`.
    pub id: Uuid,
    /// What it pays, if that is an order.
    pub order_id: Option<Uuid>,
    /// `paid` once the money is there; the order then has its tickets.
    pub order_state: Option<String>,
    /// What it pays, if that is a featured place.
    pub promotion_id: Option<Uuid>,
    /// Paid or not, it is `requested` until the city has decided: `paid_at` of the promotion says whether the money is there.
    pub promotion_state: Option<String>,
    /// What it pays, if that is the fee of a quote: `fee_paid_at` of the quote says whether the money is there.
    pub quote_id: Option<Uuid>,
    /// `created` and `failed` wait for a card, `requires_action` for the buyer's bank.
    pub status: String,
    pub amount_cents: i64,
    pub currency: String,
    /// For the provider's library in the buyer's client. Not to be kept or logged.
    pub client_secret: Option<String>,
    /// Where the buyer has to go to satisfy their bank.
    pub next_action_url: Option<String>,
    /// A page where the payment can be confirmed, if the platform has one.
    pub page_url: Option<String>,
}

/// A fee to give back.
#[derive(Input, Clone, Debug, Default)]
#[input(
    body,
    example = r#"{"amount_cents": 500, "note": "The work did not come about"}"#
)]
pub struct FeeRefund {
    /// Without it all that is left of it.
    #[input(range(1, 1_000_000_000_000))]
    pub amount_cents: Option<i64>,
    #[input(line(1, 500))]
    pub note: Option<String>,
}

/// A card that is being saved.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "card_setup")]
pub struct CardSetup {
    /// For the provider's library in the client. Not to be kept or logged.
    pub client_secret: Option<String>,
    /// A page where the card can be given, if the platform has one.
    pub page_url: Option<String>,
}

/// Where the owner's browser goes after the provider's pages.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"}"#
)]
pub struct OnboardingRequest {
    /// In the end. Coming back there does not mean that the account takes payments: its own flags say that.
    #[input(length(1, 2000), format = "url")]
    pub return_url: String,
    /// If the link has expired or was used; ask for another one there.
    #[input(length(1, 2000), format = "url")]
    pub refresh_url: String,
}

/// A link to the provider's pages, where the owner tells who they are. Good for one visit, for some minutes.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "onboarding")]
pub struct Onboarding {
    pub connected_account_id: Uuid,
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

/// A plan for a business.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"plan_id": "0199e005-7f50-7e55-820c-639f580d23cc", "payment_method_id": "0199e005-7f50-7e55-820c-639f580d23cc"}"#
)]
pub struct SubscriptionRequest {
    pub plan_id: Uuid,
    /// A card that the caller has saved: the first period is charged at once. Without it the client pays it with
    /// `client_secret`.
    pub payment_method_id: Option<Uuid>,
}

/// Another plan.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"plan_id": "0199e005-7f50-7e55-820c-639f580d23cc"}"#
)]
pub struct OtherPlan {
    /// In the currency of the subscription. The difference for the rest of the period is charged now.
    pub plan_id: Uuid,
}

/// Where a subscription stands.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "subscribed")]
pub struct Subscribed {
    /// `GET /subscriptions/{id}` has all of it.
    pub id: Uuid,
    /// `incomplete` until the first period is paid.
    pub state: String,
    /// For the provider's library, to pay the first period. Not to be kept or logged.
    pub client_secret: Option<String>,
    /// A page where the first period can be paid, if the platform has one.
    pub page_url: Option<String>,
}
