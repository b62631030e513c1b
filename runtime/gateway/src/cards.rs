//! Customers and their saved cards. Card numbers never pass through the server: the buyer's client sends them to the
//! provider directly.

use crate::{Metadata, private::Private};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewCustomer {
    pub email: Option<Private>,
    pub name: Option<Private>,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    pub id: String,
    pub metadata: Metadata,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

/// A request to save a card for later payments that are made while the customer is not present.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewSetup {
    pub customer: String,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub id: String,
    pub status: SetupStatus,
    pub client_secret: Option<Private>,
    pub customer: Option<String>,
    pub payment_method: Option<String>,
    pub failure_code: Option<String>,
    pub decline_code: Option<String>,
    pub next_action_url: Option<String>,
    pub metadata: Metadata,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetupStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
}

impl SetupStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// A payment method of the kind card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub id: String,
    /// The customer whose card it is. None: the card was detached and can't be charged any more.
    pub customer: Option<String>,
    pub brand: String,
    pub last4: String,
    pub exp_month: u8,
    pub exp_year: u16,
    pub livemode: bool,
    pub created: DateTime<Utc>,
}
