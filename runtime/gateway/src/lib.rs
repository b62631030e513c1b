//! What the product needs of a payment service, in words of its own: a trait and plain types.
//!
//! Knows no provider's library, no HTTP client, no database and no entity. `stripe-gateway` implements it; whoever
//! moves money talks to [`Gateway`] and can be tested without either.
//!
//! - Amounts are `i64` minor units of an ISO 4217 currency, never floats.
//! - Whatever changes something takes a [`Key`], which the caller has stored *before* the call. Sent again with the
//!   same key, a call has its effect once, for less than a day; after that only reading tells what happened.
//! - A call ends in an answer or in a [`Failure`], which says whether something may have happened nevertheless.

#![deny(clippy::float_arithmetic)]

mod billing;
mod cards;
mod connect;
mod currency;
mod event;
mod failure;
mod gateway;
mod key;
mod payment;
mod private;
mod refund;
pub mod region;
mod signature;

pub use billing::{
    ChangePlan, Interval, Invoice, InvoiceStatus, NewPrice, NewSubscription, Price, Proration,
    Subscription, SubscriptionStatus,
};
pub use cards::{Card, Customer, NewCustomer, NewSetup, Setup, SetupStatus};
pub use connect::{
    Account, AccountLink, BalanceLine, FindAccounts, NewAccount, NewAccountLink, NewReversal,
    NewTransfer, Reversal, Transfer,
};
pub use currency::{Currency, NoCurrency};
pub use event::{Decoded, Envelope, FindEvents, Undecodable, Unreadable};
pub use failure::{Ambiguity, Failure, Refusal};
pub use gateway::{Answer, Gateway};
pub use key::{Key, NoKey};
pub use payment::{
    Charge, Confirmation, Dispute, DisputeStatus, FindPayments, NewPayment, Payment, PaymentStatus,
};
pub use private::Private;
pub use refund::{NewRefund, Refund, RefundStatus};
pub use signature::{SignatureFault, sign, verify};

use std::collections::BTreeMap;

/// What we attach to an object at the provider: our ids, never personal data.
pub type Metadata = BTreeMap<String, String>;
