//! Refunds.

use crate::{Metadata, currency::Currency};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug, PartialEq)]
pub struct NewRefund {
    pub payment: String,
    pub amount: i64,
    /// Whether the same share of the transfer is taken back from the connected account. The provider does this only if
    /// asked.
    pub reverse_transfer: bool,
    /// Whether the same share of the platform's fee is given back to the connected account. The provider does this
    /// only if asked.
    pub refund_application_fee: bool,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Refund {
    pub id: String,
    pub payment: Option<String>,
    pub charge: Option<String>,
    pub amount: i64,
    pub currency: Currency,
    pub status: RefundStatus,
    pub failure_reason: Option<String>,
    /// The id of the transfer's reversal that belongs to this refund.
    pub transfer_reversal: Option<String>,
    /// The amount of that reversal as the provider rounded it, to be booked unchanged. None if unknown: events don't
    /// tell it.
    pub transfer_reversed: Option<i64>,
    pub metadata: Metadata,
    pub created: DateTime<Utc>,
}

/// The status of a refund. `Succeeded` can still become `Failed`, if the bank sends the money back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundStatus {
    Pending,
    RequiresAction,
    Succeeded,
    Failed,
    Canceled,
}

impl RefundStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}
