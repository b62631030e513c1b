//! Bodies of requests and answers about orders and tickets.

use chrono::{DateTime, Utc};
use kernel::input::{Objects, Values};
use macros::{Choice, Input};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// So many tickets of one type.
#[derive(Input, Clone, Debug, PartialEq)]
#[input(body)]
pub struct Item {
    pub ticket_type_id: Uuid,
    #[input(range(1, 100))]
    pub quantity: i32,
}

/// What somebody wants to buy. The same body gives a price, and an order at that price.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"event_id": "0199e005-7f50-7e55-820c-639f580d23cc",
    "items": [{"ticket_type_id": "0199e005-7f50-7e55-820c-639f580d23cc", "quantity": 2}],
    "promo_code": "SUMMER25", "use_credits": true}"#
)]
pub struct Cart {
    pub event_id: Uuid,
    /// Each ticket type once.
    pub items: Objects<Item, 20>,
    /// A word that makes it cheaper.
    #[input(length(3, 40), format = "code")]
    pub promo_code: Option<String>,
    /// Pay with credits as far as they go, and the rest by card.
    pub use_credits: Option<bool>,
    /// Use no more credits than this.
    #[input(range(0, 1_000_000_000))]
    pub credits_max_cents: Option<i64>,
    /// Where the buyer came from: a campaign, a site. The host sees which of them sell.
    #[input(length(1, 200))]
    pub referrer: Option<String>,
}

/// What it costs, and how it would be paid. An order that is made now is at this price.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "price")]
pub struct Price {
    pub currency: String,
    pub lines: Vec<PriceLine>,
    /// The tickets at their price.
    pub subtotal_cents: i64,
    /// What the promo code takes off.
    pub discount_cents: i64,
    /// What the buyer pays on top.
    pub fee_cents: i64,
    /// What the buyer pays in all.
    pub amount_cents: i64,
    /// Of that with credits.
    pub wallet_cents: i64,
    /// Of that by card.
    pub card_cents: i64,
}

/// One ticket type of a price.
#[derive(Serialize, ToSchema)]
pub struct PriceLine {
    pub ticket_type_id: Uuid,
    pub quantity: u32,
    pub unit_price_cents: i64,
    pub discount_cents: i64,
    pub total_cents: i64,
}

/// Where an order stands.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "placed_order")]
pub struct PlacedOrder {
    /// `GET /orders/{id}` has all of it.
    pub id: Uuid,
    /// `paid` at once where nothing is left to pay by card.
    pub state: String,
    pub currency: String,
    pub amount_cents: i64,
    pub wallet_cents: i64,
    pub card_cents: i64,
    /// Its tickets go back on sale then, unless it is paid.
    pub expires_at: Option<DateTime<Utc>>,
    /// Of an order that is paid.
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

/// Tickets to give back.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"ticket_ids": ["0199e005-7f50-7e55-820c-639f580d23cc"], "to": "wallet"}"#
)]
pub struct GiveBack {
    /// Without it all that are left; for the buyer all that they still hold.
    pub ticket_ids: Option<Values<Uuid, 500>>,
    /// `source` if it is left out.
    pub to: Option<Target>,
    /// Why; staff only.
    #[input(line(1, 500))]
    pub note: Option<String>,
}

/// A refund as it was asked for.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "asked_refund")]
pub struct AskedRefund {
    /// `GET /refunds/{id}` says how it goes on. Null if what goes back had cost nothing: then no refund is recorded.
    pub id: Option<Uuid>,
    pub state: String,
    pub currency: String,
    pub amount_cents: i64,
    pub card_cents: i64,
    pub wallet_cents: i64,
}

/// Which way somebody goes.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Entry,
    Exit,
}

impl Direction {
    /// A value of `check_in.direction`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Exit => "exit",
        }
    }
}

/// A code at the door, or at a checkpoint.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"code": "AeF2…", "event_id": "0199e005-7f50-7e55-820c-639f580d23cc", "nonce": "01a21e7c-a3c8-737d",
    "gate": "North", "device": "Scanner 3"}"#
)]
pub struct Scan {
    /// What the QR code holds.
    #[input(opaque(1, 1000))]
    pub code: String,
    /// The event that people are let in to.
    pub event_id: Uuid,
    /// Made by the scanner for this scan: sent twice, it counts once.
    #[input(length(8, 64))]
    pub nonce: String,
    #[input(length(1, 120))]
    pub gate: Option<String>,
    #[input(length(1, 120))]
    pub device: Option<String>,
    /// When it was scanned without a connection, by the clock of the device.
    pub at: Option<DateTime<Utc>>,
    /// The checkpoint of the event where it was scanned; without it, at the door.
    pub checkpoint_id: Option<Uuid>,
    /// `entry` if it is left out. Exits are scanned at checkpoints.
    pub direction: Option<Direction>,
    /// Of an entry with `at` at a checkpoint: the scanner has let somebody in, whatever is said now. It counts unless the
    /// ticket is inside already.
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

/// What the door says.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "scan_result")]
pub struct ScanResult {
    /// `ok`: let in, or out. Else why not: `already_used`, `wrong_event`, `refunded`, `transferred`, `void`, `forged`,
    /// `invalid_time`; at a checkpoint also `wrong_ticket_type`, `not_inside` and `exits_not_counted`.
    pub result: String,
    pub ticket_id: Option<Uuid>,
    /// Of `already_used`: when and where it was first let in, at this door or checkpoint.
    pub first_at: Option<DateTime<Utc>>,
    pub first_gate: Option<String>,
    /// Of `ok` with `force`: why the ticket should have been refused, if it should have.
    pub overruled: Option<String>,
}

/// A key that scanners believe.
#[derive(Serialize, ToSchema)]
pub struct TicketKey {
    /// Eight hexadecimal digits: bytes 2 to 5 of a code.
    pub kid: String,
    /// Ed25519, base64url without padding.
    pub public_key: String,
}

#[derive(Serialize, ToSchema)]
pub struct TicketKeyList {
    /// The one that signs now comes first.
    pub data: Vec<TicketKey>,
}
