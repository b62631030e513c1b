//! What the product needs of a payment service: a trait ([`Gateway`]) and plain types.
//!
//! This crate may not know a provider's library, an HTTP client, the database or an entity. `stripe-gateway`
//! implements the trait; modules that move money depend only on [`Gateway`] and can be tested with another
//! implementation.
//!
//! - Amounts are `i64` minor units of an ISO 4217 currency, never floats.
//! - Every call that changes something takes a [`Key`], which the caller has stored *before* the call. A call that
//!   is repeated with the same key has its effect once. Keys are remembered for less than a day; after that the
//!   caller has to read the present state to learn what happened.
//! - A call ends in an answer or in a [`Failure`], which says whether the call may have had an effect nevertheless.

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
    ChangePlan, Interval, Invoice, InvoiceStatus, NewPrice, NewSubscription, PayInvoice, Price,
    Proration, Subscription, SubscriptionStatus,
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

/// Our ids that are attached to an object at the provider. Never personal data.
pub type Metadata = BTreeMap<String, String>;
