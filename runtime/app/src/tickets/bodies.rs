//! Bodies of requests and answers about orders and tickets.

use chrono::{DateTime, Utc};
use kernel::input::{Objects, Values};
use macros::{Choice, Input};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Number of tickets of one type.
#[derive(Input, Clone, Debug, PartialEq)]
#[input(body)]
pub struct Item {
    pub ticket_type_id: Uuid,
    #[input(range(1, 100))]
    pub quantity: i32,
}

/// Tickets to buy and how to pay. The same body prices and places an order.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"event_id": "019caddd-0f20-7b8e-a1f8-0bd70ae0784c",
    "items": [{"ticket_type_id": "019caddd-0f20-73a6-aafe-5b1eb7cabfd1", "quantity": 2}]}"#
)]
pub struct Cart {
    pub event_id: Uuid,
    /// Quantities by ticket type, each type once.
    pub items: Objects<Item, 20>,
    /// Code of a discount.
    #[input(length(3, 40), format = "code")]
    pub promo_code: Option<String>,
    /// Pay with credits first, and the rest by card.
    pub use_credits: Option<bool>,
    /// Maximum amount to pay with credits.
    #[input(range(0, 999_999_999_999))]
    pub credits_max_cents: Option<i64>,
    /// Where the buyer came from, such as a campaign or a site. Shown to the host.
    #[input(length(1, 200))]
    pub referrer: Option<String>,
}

/// Price of an order that would be placed now, and how it would be paid.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "price")]
#[schema(example = json!({"object": "price", "currency": "AUD",
    "lines": [{"ticket_type_id": "0199e005-7f50-7e55-820c-639f580d23cc", "quantity": 2, "unit_price_cents": 4500, "discount_cents": 900, "total_cents": 8100}],
    "subtotal_cents": 9000, "discount_cents": 900, "fee_cents": 250, "amount_cents": 8350, "wallet_cents": 2000, "card_cents": 6350}))]
pub struct Price {
    pub currency: String,
    pub lines: Vec<PriceLine>,
    /// Price of the tickets before discount and fee.
    pub subtotal_cents: i64,
    /// Discount by the promo code.
    pub discount_cents: i64,
    /// Fee that the buyer pays on top.
    pub fee_cents: i64,
    /// Total that the buyer pays.
    pub amount_cents: i64,
    /// Part of the total paid with credits.
    pub wallet_cents: i64,
    /// Part of the total paid by card.
    pub card_cents: i64,
}

/// Price of one ticket type.
#[derive(Serialize, ToSchema)]
pub struct PriceLine {
    pub ticket_type_id: Uuid,
    pub quantity: u32,
    pub unit_price_cents: i64,
    pub discount_cents: i64,
    pub total_cents: i64,
}

/// An order and its state.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "placed_order")]
#[schema(example = json!({"object": "placed_order", "id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "state": "pending", "currency": "AUD",
    "amount_cents": 8350, "wallet_cents": 2000, "card_cents": 6350, "cash_cents": 0, "expires_at": "2026-05-01T18:15:00Z", "ticket_ids": []}))]
pub struct PlacedOrder {
    /// `GET /orders/{id}` returns the whole order.
    pub id: Uuid,
    /// `paid` at once if nothing is left to pay by card.
    pub state: String,
    pub currency: String,
    pub amount_cents: i64,
    pub wallet_cents: i64,
    pub card_cents: i64,
    /// Paid in cash at the door.
    pub cash_cents: i64,
    /// When the tickets of an unpaid order go back on sale; null if not pending.
    pub expires_at: Option<DateTime<Utc>>,
    /// Empty until the order is paid.
    pub ticket_ids: Vec<Uuid>,
}

/// Where a refund goes.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To where the money came from.
    Source,
    /// All of it as credits, at once.
    Wallet,
}

/// Tickets to refund.
#[derive(Input, Clone, Debug)]
#[input(body, example = r#"{"to": "wallet"}"#)]
pub struct GiveBack {
    /// If left out, all tickets that are left; for the buyer, all that the buyer still holds.
    pub ticket_ids: Option<Values<Uuid, 500>>,
    /// `source` (default): to the card, credits or cash used to pay; `wallet`: as credits at once, except cash. Only the
    /// buyer may choose `wallet` for what was paid by card. Credits come back with the expiry that they had.
    pub to: Option<Target>,
    /// Reason; only kept if sent by staff of the event.
    #[input(line(1, 500))]
    pub note: Option<String>,
}

/// A requested refund.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "asked_refund")]
#[schema(example = json!({"object": "asked_refund", "id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "state": "pending", "currency": "AUD",
    "amount_cents": 4500, "card_cents": 4500, "wallet_cents": 0, "cash_cents": 0}))]
pub struct AskedRefund {
    /// `GET /refunds/{id}` shows its progress. Null if the tickets were free: no refund is recorded.
    pub id: Option<Uuid>,
    pub state: String,
    pub currency: String,
    pub amount_cents: i64,
    pub card_cents: i64,
    pub wallet_cents: i64,
    /// Handed back in cash by the host.
    pub cash_cents: i64,
}

/// Which way somebody goes. A value of `check_in.direction`.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Entry,
    Exit,
}

/// A scan of a ticket's code, at the door or at a checkpoint.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"code": "AeF2…", "event_id": "019caddd-0f20-7b8e-a1f8-0bd70ae0784c", "nonce": "01a21e7c-a3c8-737d",
    "gate": "North", "device": "Scanner 3"}"#
)]
pub struct Scan {
    /// Content of the QR code.
    #[input(opaque(1, 1000))]
    pub code: String,
    /// Event at which the ticket is scanned.
    pub event_id: Uuid,
    /// Id of this scan, made by the scanner: a scan sent twice counts once.
    #[input(length(8, 64))]
    pub nonce: String,
    #[input(length(1, 120))]
    pub gate: Option<String>,
    #[input(length(1, 120))]
    pub device: Option<String>,
    /// Time of a scan made offline, by the device's clock; else left out. One that is ahead counts as now.
    pub at: Option<DateTime<Utc>>,
    /// Checkpoint of the event where the ticket is scanned; the door if left out.
    pub checkpoint_id: Option<Uuid>,
    /// `entry` if left out; `exit` only at checkpoints.
    pub direction: Option<Direction>,
    /// Only for an entry with `at` at a checkpoint: the scanner has already admitted the holder. The entry counts
    /// unless the ticket is already inside, forged or for another event.
    pub force: Option<bool>,
}

impl Scan {
    pub fn direction(&self) -> Direction {
        self.direction.unwrap_or(Direction::Entry)
    }

    pub fn is_forced(&self) -> bool {
        self.force == Some(true)
    }
}

/// Result of a scan.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "scan_result")]
#[schema(example = json!({"object": "scan_result", "result": "already_used", "ticket_id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8",
    "first_at": "2026-05-01T18:00:00Z", "first_gate": "North", "overruled": null}))]
pub struct ScanResult {
    /// `ok`: entry or exit recorded. Otherwise the reason for refusal: `already_used`, `wrong_event`, `refunded`,
    /// `transferred`, `void`, `forged`, `invalid_time`; at a checkpoint also `wrong_ticket_type`, `not_inside` and
    /// `exits_not_counted`.
    pub result: String,
    pub ticket_id: Option<Uuid>,
    /// If `already_used`: time of the first entry at this door or checkpoint; `first_gate` is its gate.
    pub first_at: Option<DateTime<Utc>>,
    pub first_gate: Option<String>,
    /// Reason for refusal that `force` has overruled; null if none.
    pub overruled: Option<String>,
}

/// A public key of ticket codes.
#[derive(Serialize, ToSchema)]
pub struct TicketKey {
    /// Key id, eight hexadecimal digits: bytes 2 to 5 of a decoded code.
    pub kid: String,
    /// Ed25519, base64url without padding.
    pub public_key: String,
}

#[derive(Serialize, ToSchema)]
pub struct TicketKeyList {
    /// The key that signs new codes comes first.
    pub data: Vec<TicketKey>,
}
