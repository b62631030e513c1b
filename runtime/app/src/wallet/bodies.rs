//! Bodies of requests and answers about credits.

use chrono::{DateTime, Utc};
use macros::{Choice, Input};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Money of the platform that bonuses and rewards come out of.
#[derive(Input)]
#[input(
    body,
    example = r#"{"amount_cents": 500000, "reference": "Spring campaign"}"#
)]
pub struct Funding {
    #[input(range(1, 100_000_000_000))]
    pub amount_cents: i64,
    /// What for; it stands in the books.
    #[input(length(1, 255))]
    pub reference: String,
}

/// Why somebody gets credits.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditKind {
    PromotionBonus,
    EventCredit,
}

/// Credits for one member.
#[derive(Input)]
#[input(
    body,
    example = r#"{"user_id": "0199e004-8028-7807-89c4-7773d680a1e8", "kind": "promotion_bonus", "amount_cents": 1000,
    "currency": "AUD", "reference": "Opening night", "expires_at": "2040-01-01T00:00:00Z"}"#
)]
pub struct GiveCredits {
    pub user_id: Uuid,
    pub kind: CreditKind,
    #[input(range(1, 100_000_000))]
    pub amount_cents: i64,
    #[input(format = "currency")]
    pub currency: String,
    /// What for; the member reads it.
    #[input(length(1, 255))]
    pub reference: String,
    /// When they lapse. Without it after as many days as the settings say.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why an entry is undone.
#[derive(Input)]
#[input(body, example = r#"{"reason": "Given to the wrong member"}"#)]
pub struct Reversal {
    #[input(length(1, 255))]
    pub reason: String,
}

/// An entry of the books.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "booked")]
#[schema(example = json!({"journal_id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8"}))]
pub struct Booked {
    /// `GET /wallet-journals/{id}` has it.
    pub journal_id: Uuid,
}

/// What a member has in one currency.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "balance")]
pub struct Balance {
    /// `GET /wallet-accounts/{id}/wallet-transactions` lists what led to it.
    pub wallet_id: Uuid,
    pub currency: String,
    pub balance_cents: i64,
    /// Set aside for purchases under way.
    pub held_cents: i64,
    /// What can be spent: the balance without what is set aside.
    pub available_cents: i64,
    /// Credits that lapse, the soonest first.
    pub lapsing: Vec<Lapsing>,
}

/// Part of a balance that lapses.
#[derive(Serialize, ToSchema)]
pub struct Lapsing {
    pub amount_cents: i64,
    pub expires_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[schema(example = json!({"data": [{"object": "balance", "wallet_id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "currency": "AUD",
    "balance_cents": 2500, "held_cents": 500, "available_cents": 2000,
    "lapsing": [{"amount_cents": 1000, "expires_at": "2040-01-01T00:00:00Z"}]}]}))]
pub struct BalanceList {
    /// One for each currency in which there ever was something.
    pub data: Vec<Balance>,
}
