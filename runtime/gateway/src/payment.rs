//! Payments, their charges, and disputes.

use crate::{Metadata, currency::Currency, private::Private};
use chrono::{DateTime, Utc};

/// A payment to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPayment {
    pub amount: i64,
    pub currency: Currency,
    pub customer: Option<String>,
    /// A saved card. None: the buyer's client names the card when it confirms the payment.
    pub payment_method: Option<String>,
    /// Whether the card is charged at once. Requires `payment_method`.
    pub confirm: bool,
    /// Whether the buyer is absent and can't authenticate with their bank. Only together with `confirm`.
    pub off_session: bool,
    /// The URL to which the buyer's browser returns after authenticating with the bank.
    pub return_url: Option<String>,
    /// The connected account that receives the amount less the application fee.
    pub destination: Option<String>,
    /// The part of the amount that the platform keeps, in minor units. Only together with `destination`.
    pub application_fee: Option<i64>,
    pub transfer_group: Option<String>,
    pub on_behalf_of: Option<String>,
    /// Our ids. By `order_id` the payment can be found again ([`FindPayments`]).
    pub metadata: Metadata,
    pub description: Option<String>,
}

impl NewPayment {
    /// A payment that waits until the buyer's client confirms it with a card.
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

/// A query for payments.
///
/// The provider's search by metadata lags behind by a minute or more, which is too long to decide whether a payment
/// exists already. So payments are listed, which is exact, and filtered by metadata on our side: name the customer if
/// there is one, and a period as short as possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindPayments {
    /// A key of the metadata and the value to be found.
    pub metadata: (String, String),
    pub customer: Option<String>,
    pub created_since: DateTime<Utc>,
    pub created_until: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    pub id: String,
    pub status: PaymentStatus,
    /// The secret with which the buyer's client confirms the payment.
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
    /// The amount refunded so far. None if unknown: events about a payment lack its charge; reading the payment tells.
    pub amount_refunded: Option<i64>,
    /// Whether the charge is disputed. None if unknown.
    pub disputed: Option<bool>,
    /// The id of the transfer to `destination`. None if unknown or if there is none.
    pub transfer: Option<String>,
    /// How much of that transfer was reversed. None if unknown.
    pub transfer_reversed: Option<i64>,
    /// How much of its fee the platform gave back. None if unknown.
    pub application_fee_refunded: Option<i64>,
    pub failure_code: Option<String>,
    pub decline_code: Option<String>,
    /// The URL at which the buyer has to authenticate with their bank.
    pub next_action_url: Option<String>,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

/// The status of a payment, ordered by [`PaymentStatus::rank`]: a status never replaces a status of higher rank, so
/// that events may arrive late and in any order.
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

    /// Whether the payment has succeeded, even if it was refunded since.
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

/// The charge of a payment: the actual movement of money.
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
    /// The time until which evidence can be submitted.
    pub evidence_due_by: Option<DateTime<Utc>>,
    pub metadata: Metadata,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisputeStatus {
    /// An inquiry: no money has moved yet. Stands for three statuses of the provider.
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
