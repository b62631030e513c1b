//! Plans that renew themselves: prices, subscriptions and their invoices.

use crate::{Metadata, currency::Currency, private::Private};
use chrono::{DateTime, Utc};

/// A plan as the provider sells it: a product with one recurring price.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPrice {
    /// Our name of it (`business_pro_month`), unique at the provider.
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
    /// A saved card, charged at once. Without one the subscription waits for its first invoice to be paid with
    /// `client_secret`.
    pub payment_method: Option<String>,
    pub trial_days: Option<u32>,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePlan {
    pub subscription: String,
    /// [`Subscription::item`].
    pub item: String,
    pub price: String,
    pub proration: Proration,
}

/// What happens to the part of the period that is paid already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proration {
    /// The difference goes on the next invoice.
    NextInvoice,
    /// The difference is charged now.
    InvoiceNow,
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    pub id: String,
    pub status: SubscriptionStatus,
    pub customer: String,
    /// Of its one item, which also has the period.
    pub item: String,
    pub price: String,
    /// What [`NewPrice::metadata`] said when the price was made.
    pub price_metadata: Metadata,
    pub current_period_start: DateTime<Utc>,
    pub current_period_end: DateTime<Utc>,
    pub cancel_at_period_end: bool,
    pub canceled_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub trial_end: Option<DateTime<Utc>>,
    pub latest_invoice: Option<String>,
    /// To pay the first invoice with; only in the answer to creating it.
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
    /// The payment that paid it, where it is told: reading the invoice tells, an event may not.
    pub payment: Option<String>,
    pub amount_due: i64,
    pub amount_paid: i64,
    pub currency: Currency,
    /// Why it was made: `subscription_create`, `subscription_cycle` …
    pub billing_reason: Option<String>,
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
