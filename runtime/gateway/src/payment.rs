//! Payments, the charges under them, and disputes.

use crate::{Metadata, currency::Currency, private::Private};
use chrono::{DateTime, Utc};

/// A payment to make.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPayment {
    pub amount: i64,
    pub currency: Currency,
    pub customer: Option<String>,
    /// A saved card; without one the buyer's client names it when it confirms.
    pub payment_method: Option<String>,
    /// Charge at once. Needs `payment_method`.
    pub confirm: bool,
    /// The buyer is not there to answer questions of their bank. Only together with `confirm`.
    pub off_session: bool,
    /// Where the buyer's browser comes back to if their bank wants to see them.
    pub return_url: Option<String>,
    /// The connected account that receives the amount less the fee.
    pub destination: Option<String>,
    /// What the platform keeps. Only together with `destination`.
    pub application_fee: Option<i64>,
    pub transfer_group: Option<String>,
    pub on_behalf_of: Option<String>,
    /// `order_id` is how the payment is found again.
    pub metadata: Metadata,
    pub description: Option<String>,
}

impl NewPayment {
    /// One that is waiting for the buyer's card.
    pub fn new(amount: i64, currency: Currency) -> Self {
        Self {
            amount,
            currency,
            customer: None,
            payment_method: None,
            confirm: false,
            off_session: false,
            return_url: None,
            destination: None,
            application_fee: None,
            transfer_group: None,
            on_behalf_of: None,
            metadata: Metadata::new(),
            description: None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    pub payment_method: Option<String>,
    pub off_session: bool,
    pub return_url: Option<String>,
}

/// Which payments to look for.
///
/// The provider's search by metadata lags behind by a minute and more, too long for "was it made already?". So this
/// lists, which is exact, and filters here: name the customer if there is one, and the time as closely as known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindPayments {
    /// A name of the metadata and its value.
    pub metadata: (String, String),
    pub customer: Option<String>,
    pub created_since: DateTime<Utc>,
    pub created_until: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    pub id: String,
    pub status: PaymentStatus,
    /// What the buyer's client needs to confirm it.
    pub client_secret: Option<Private>,
    pub amount: i64,
    pub amount_received: i64,
    pub currency: Currency,
    pub customer: Option<String>,
    pub payment_method: Option<String>,
    pub metadata: Metadata,
    pub destination: Option<String>,
    pub on_behalf_of: Option<String>,
    pub transfer_group: Option<String>,
    pub application_fee: Option<i64>,
    pub latest_charge: Option<String>,
    /// None where it is not told: events carry no charge with a payment. Reading the payment tells.
    pub amount_refunded: Option<i64>,
    /// None where it is not told.
    pub disputed: Option<bool>,
    /// The transfer to `destination`, where it is told.
    pub transfer: Option<String>,
    /// What came back of that transfer, where it is told.
    pub transfer_reversed: Option<i64>,
    /// What the platform gave back of its fee, where it is told.
    pub application_fee_refunded: Option<i64>,
    pub failure_code: Option<String>,
    pub decline_code: Option<String>,
    /// Where the buyer has to go to satisfy their bank.
    pub next_action_url: Option<String>,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

/// Ordered by [`PaymentStatus::rank`]: a status never replaces one of higher rank, so that events may come late and in
/// any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentStatus {
    Created,
    RequiresAction,
    Processing,
    /// The last attempt was declined. The payment can still be confirmed with another card.
    Failed,
    Canceled,
    Succeeded,
    PartiallyRefunded,
    Refunded,
}

impl PaymentStatus {
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::RequiresAction,
        Self::Processing,
        Self::Failed,
        Self::Canceled,
        Self::Succeeded,
        Self::PartiallyRefunded,
        Self::Refunded,
    ];

    pub fn rank(self) -> u8 {
        match self {
            Self::Created => 0,
            Self::RequiresAction => 1,
            Self::Processing => 2,
            Self::Failed | Self::Canceled => 3,
            Self::Succeeded => 4,
            Self::PartiallyRefunded => 5,
            Self::Refunded => 6,
        }
    }

    /// Money came in, whatever happened to it since.
    pub fn is_paid(self) -> bool {
        self.rank() >= Self::Succeeded.rank()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
        }
    }
}

/// The money movement under a payment.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    pub id: String,
    pub payment: Option<String>,
    pub paid: bool,
    pub amount: i64,
    pub amount_refunded: i64,
    pub refunded: bool,
    pub disputed: bool,
    pub currency: Currency,
    pub customer: Option<String>,
    pub destination: Option<String>,
    pub transfer: Option<String>,
    pub transfer_group: Option<String>,
    pub application_fee: Option<i64>,
    pub failure_code: Option<String>,
    pub metadata: Metadata,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dispute {
    pub id: String,
    pub charge: String,
    pub payment: Option<String>,
    pub amount: i64,
    pub currency: Currency,
    pub status: DisputeStatus,
    pub reason: String,
    /// Until when evidence can be given.
    pub evidence_due_by: Option<DateTime<Utc>>,
    pub metadata: Metadata,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisputeStatus {
    /// An inquiry: no money has moved yet (three statuses of the provider).
    Inquiry,
    InquiryClosed,
    NeedsResponse,
    UnderReview,
    /// Settled before it became a chargeback.
    Prevented,
    Won,
    Lost,
}

impl DisputeStatus {
    pub fn is_closed(self) -> bool {
        matches!(
            self,
            Self::InquiryClosed | Self::Prevented | Self::Won | Self::Lost
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_ranked() {
        let ranks = PaymentStatus::ALL.map(PaymentStatus::rank);
        assert!(ranks.is_sorted());
        assert_eq!(PaymentStatus::Failed.rank(), PaymentStatus::Canceled.rank());
        let paid = PaymentStatus::ALL
            .into_iter()
            .filter(|status| status.is_paid());
        assert_eq!(paid.count(), 3);
    }
}
