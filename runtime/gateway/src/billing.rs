//! Plans that renew automatically: prices, subscriptions and their invoices.

use crate::{Metadata, currency::Currency, private::Private};
use chrono::{DateTime, Utc};

/// A plan to be created at the provider: a product with one recurring price.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPrice {
    /// Our name of the price (`business_pro_month`), unique at the provider.
    pub lookup_key: String,
    pub product_name: String,
    pub amount: i64,
    pub currency: Currency,
    pub interval: Interval,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    pub id: String,
    pub product: String,
    pub lookup_key: Option<String>,
    pub amount: Option<i64>,
    pub currency: Currency,
    pub interval: Option<Interval>,
    pub active: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interval {
    Day,
    Week,
    Month,
    Year,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewSubscription {
    pub customer: String,
    pub price: String,
    /// A saved card, which is charged at once; the buyer is present and can authenticate with their bank. None: the
    /// subscription stays incomplete until its first invoice is paid with `client_secret`. The card of a successful
    /// payment pays the later periods.
    pub payment_method: Option<String>,
    pub trial_days: Option<u32>,
    pub metadata: Metadata,
}

/// A change of the price. If a difference is invoiced at once, the change takes effect when it is paid; until then the
/// subscription continues as before ([`Subscription::pending_price`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePlan {
    pub subscription: String,
    /// The id of the subscription's item ([`Subscription::item`]).
    pub item: String,
    pub price: String,
    pub proration: Proration,
}

/// A payment of an open invoice with a saved card of its customer, who is present and can authenticate with their bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayInvoice {
    pub invoice: String,
    pub payment_method: String,
}

/// How the price difference for the rest of the current period is charged when the plan changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proration {
    /// The difference is added to the next invoice.
    NextInvoice,
    /// The difference is invoiced at once.
    InvoiceNow,
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    pub id: String,
    pub status: SubscriptionStatus,
    pub customer: String,
    /// The id of the subscription's only item, which also has the period.
    pub item: String,
    pub price: String,
    /// The metadata given when the price was created ([`NewPrice::metadata`]).
    pub price_metadata: Metadata,
    /// The price of a period, in minor units. None if the provider computes it in another way, for example by usage.
    pub amount: Option<i64>,
    pub currency: Currency,
    /// None if the price is billed at other intervals, such as every three months.
    pub interval: Option<Interval>,
    /// The price that it changes to once `latest_invoice` is paid. The change is given up after a day, or if that
    /// invoice is made void.
    pub pending_price: Option<String>,
    pub current_period_start: DateTime<Utc>,
    pub current_period_end: DateTime<Utc>,
    pub cancel_at_period_end: bool,
    pub canceled_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub trial_end: Option<DateTime<Utc>>,
    pub latest_invoice: Option<String>,
    /// The secret with which the buyer's client pays the latest invoice. Events about a subscription lack it.
    pub client_secret: Option<Private>,
    pub metadata: Metadata,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionStatus {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Paused,
    Canceled,
}

impl SubscriptionStatus {
    /// Whether it has ended. A subscription that has ended never continues.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Invoice {
    pub id: String,
    pub status: InvoiceStatus,
    pub customer: Option<String>,
    pub subscription: Option<String>,
    /// The payment by which the invoice was paid, or else is to be paid. Known when the invoice is read; an event may
    /// lack it.
    pub payment: Option<String>,
    pub amount_due: i64,
    pub amount_paid: i64,
    pub currency: Currency,
    /// Why the invoice was created: `subscription_create`, `subscription_cycle` …
    pub billing_reason: Option<String>,
    /// When it was paid. None unless its status is `Paid`.
    pub paid_at: Option<DateTime<Utc>>,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvoiceStatus {
    Draft,
    Open,
    Paid,
    Uncollectible,
    Void,
}
