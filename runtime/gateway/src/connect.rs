//! Connected accounts: who is paid through the platform, and money that the platform sends them.

use crate::{Metadata, currency::Currency, private::Private};
use chrono::{DateTime, Utc};

/// An account for somebody of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAccount {
    /// Our id of whose account it is, kept in its metadata as `owner_id`.
    pub owner: String,
    /// ISO 3166-1 alpha-2; can't be changed later.
    pub country: String,
    pub email: Option<Private>,
    pub metadata: Metadata,
}

/// Accounts of an owner. A key is forgotten after a day; this finds what was made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindAccounts {
    pub owner: String,
    pub created_since: DateTime<Utc>,
}

/// That an account was disconnected is told by an event only ([`crate::Decoded::Deauthorized`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub id: String,
    pub owner: Option<String>,
    pub charges_enabled: bool,
    pub payouts_enabled: bool,
    pub transfers_active: bool,
    pub details_submitted: bool,
    /// What the provider wants to know, now or already too late.
    pub requirements_due: Vec<String>,
    pub requirements_past_due: Vec<String>,
    pub disabled_reason: Option<String>,
    pub country: Option<String>,
    pub default_currency: Option<Currency>,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccountLink {
    pub account: String,
    /// Where the browser is sent if the link has expired or was used.
    pub refresh_url: String,
    /// Where it is sent in the end. Coming back there does not mean that anything is complete.
    pub return_url: String,
}

/// Good for one visit, for some minutes.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountLink {
    pub url: Private,
    pub expires_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewTransfer {
    pub amount: i64,
    pub currency: Currency,
    pub destination: String,
    pub transfer_group: Option<String>,
    /// A charge: then the transfer waits for that charge's money instead of needing it in the balance.
    pub source_charge: Option<String>,
    pub description: Option<String>,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    pub id: String,
    pub amount: i64,
    pub amount_reversed: i64,
    pub currency: Currency,
    pub destination: Option<String>,
    pub transfer_group: Option<String>,
    pub source_charge: Option<String>,
    pub metadata: Metadata,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewReversal {
    pub transfer: String,
    pub amount: i64,
    /// Give the same share of the platform's fee back.
    pub refund_application_fee: bool,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reversal {
    pub id: String,
    pub transfer: String,
    pub amount: i64,
    pub currency: Currency,
    pub metadata: Metadata,
    pub created: DateTime<Utc>,
}

/// What somebody has at the provider, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceLine {
    pub currency: Currency,
    pub available: i64,
    pub pending: i64,
}
