//! Connected accounts, through which organizers and cities are paid, and transfers from the platform to them.

use crate::{Metadata, currency::Currency, private::Private};
use chrono::{DateTime, Utc};

/// A connected account to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAccount {
    /// Our id of the account's owner, kept in the account's metadata as `owner_id`.
    pub owner: String,
    /// The country's code (ISO 3166-1 alpha-2). It can't be changed later.
    pub country: String,
    pub email: Option<Private>,
    pub metadata: Metadata,
}

/// A query for the accounts of an owner. The provider forgets an idempotency key after a day; this query finds an
/// account that was created earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindAccounts {
    pub owner: String,
    pub created_since: DateTime<Utc>,
}

/// A connected account. Only an event tells that an account was disconnected ([`crate::Decoded::Deauthorized`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub id: String,
    pub owner: Option<String>,
    pub charges_enabled: bool,
    pub payouts_enabled: bool,
    pub transfers_active: bool,
    pub details_submitted: bool,
    /// The facts that the provider still requires of the account's owner.
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
    /// The URL to which the provider redirects the browser if the link has expired or was used already.
    pub refresh_url: String,
    /// The URL to which the provider redirects the browser at the end. That the owner returns there does not mean that
    /// the account's details are complete.
    pub return_url: String,
}

/// A link to the provider's form, valid for a single visit and a few minutes.
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
    /// The id of a charge: the transfer then waits until that charge's money is available, instead of using the
    /// platform's balance.
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
    /// Whether the same share of the platform's fee is refunded, too.
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

/// An account's balance at the provider, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceLine {
    pub currency: Currency,
    pub available: i64,
    pub pending: i64,
}
