//! Refunds.

use crate::{Metadata, currency::Currency};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug, PartialEq)]
pub struct NewRefund {
    pub payment: String,
    pub amount: i64,
    /// Take the same share back from the connected account. The provider does neither by itself.
    pub reverse_transfer: bool,
    /// Give the same share of the platform's fee back to the connected account.
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
    /// The reversal of the transfer that went with it.
    pub transfer_reversal: Option<String>,
    /// Its amount, where it is told (not in events). The provider's rounding, to be booked as it is.
    pub transfer_reversed: Option<i64>,
    pub metadata: Metadata,
    pub created: DateTime<Utc>,
}

/// `Succeeded` can still become `Failed`: the bank sends the money back.
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
