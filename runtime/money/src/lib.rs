//! Money: amounts, commission, discounts, prices, and refunds, to the cent.
//!
//! Everything here is a function of its arguments. This crate may not know a database, a network, a clock, an entity
//! or the engine; its callers check permissions and decide what is stored. One function, [`price`], computes both the
//! price that people are shown and the amount that they are charged; its [`Quote`] is stored in the order.
//!
//! Amounts are integers. There is no float, and the compiler refuses arithmetic that could overflow unnoticed.

#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
#![cfg_attr(
    not(test),
    deny(clippy::arithmetic_side_effects, clippy::as_conversions)
)]

mod amount;
pub mod card;
pub mod commission;
mod currency;
pub mod discount;
mod error;
pub mod funding;
mod line;
mod price;
pub mod refund;
pub mod rule;
pub mod share;

pub use amount::Money;
pub use commission::{PaidBy, Terms};
pub use currency::Currency;
pub use discount::Promo;
pub use error::{Error, Result};
pub use funding::{Funding, Funds};
pub use line::Line;
pub use price::{Purchase, Quote, QuotedLine, price};
pub use rule::{Chain, Charge, Host, HostKind, Rule, Scope, Unresolved};
pub use share::{BasisPoints, Parts};
