//! Bodies of requests and answers about credits.

use chrono::{DateTime, Utc};
use macros::{Choice, Input};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An addition to the budget for bonuses and rewards.
#[derive(Input)]
#[input(
    body,
    example = r#"{"amount_cents": 500000, "reference": "Spring campaign"}"#
)]
pub struct Funding {
    /// In minor units (cents).
    #[input(range(1, 999_999_999_999))]
    pub amount_cents: i64,
    /// Purpose, shown in the ledger.
    #[input(length(1, 255))]
    pub reference: String,
}

/// Reason for giving credits.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditKind {
    PromotionBonus,
    EventCredit,
}

/// Credits for one member.
#[derive(Input)]
#[input(
    body,
    example = r#"{"user_id": "019caddd-0f20-704f-a899-6da763b7a969", "kind": "promotion_bonus", "amount_cents": 1000,
    "currency": "AUD", "reference": "Opening night", "expires_at": "2040-01-01T00:00:00Z"}"#
)]
pub struct GiveCredits {
    pub user_id: Uuid,
    pub kind: CreditKind,
    /// In minor units (cents).
    #[input(range(1, 999_999_999_999))]
    pub amount_cents: i64,
    #[input(format = "currency")]
    pub currency: String,
    /// Purpose, shown to the member.
    #[input(length(1, 255))]
    pub reference: String,
    /// When the credits expire. Without it, the server's settings decide.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Reason for reversing an entry.
#[derive(Input)]
#[input(body, example = r#"{"reason": "Given to the wrong member"}"#)]
pub struct Reversal {
    #[input(length(1, 255))]
    pub reason: String,
}

/// A booked ledger entry.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "booked")]
#[schema(example = json!({"journal_id": "019caddd-0f20-71bb-a7cc-126f6a853290"}))]
pub struct Booked {
    /// Id for `GET /wallet-journals/{id}`.
    pub journal_id: Uuid,
}

/// Credits in one currency, in minor units (cents).
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "balance")]
pub struct Balance {
    /// `GET /wallet-accounts/{id}/transactions` lists its transactions.
    pub wallet_id: Uuid,
    pub currency: String,
    pub balance_cents: i64,
    /// Reserved for purchases in progress.
    pub held_cents: i64,
    /// Available to spend: the balance minus reserved credits; 0 while the account is being checked.
    pub available_cents: i64,
    /// Credits that expire, the soonest first.
    pub lapsing: Vec<Lapsing>,
}

/// Part of a balance that expires.
#[derive(Serialize, ToSchema)]
pub struct Lapsing {
    pub amount_cents: i64,
    pub expires_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[schema(example = json!({"data": [{"object": "balance", "wallet_id": "019caddd-0f20-7382-a2e8-d7ff1235421f", "currency": "AUD",
    "balance_cents": 2500, "held_cents": 500, "available_cents": 2000,
    "lapsing": [{"amount_cents": 1000, "expires_at": "2040-01-01T00:00:00Z"}]}]}))]
pub struct BalanceList {
    /// One balance for each currency that the member has had credits in.
    pub data: Vec<Balance>,
}
