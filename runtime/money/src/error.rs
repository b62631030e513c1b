//! Errors about amounts, as data: callers that answer requests turn them into problem documents.

use crate::{amount::Money, currency::Currency, rule::Unresolved};
use uuid::Uuid;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is no currency that people pay in; use an ISO 4217 code such as AUD")]
    UnknownCurrency(String),
    #[error("{left} and {right} are two currencies; one purchase is in one")]
    Mismatch { left: Currency, right: Currency },
    #[error("the amount is too large")]
    Overflow,
    #[error("{0} is less than nothing")]
    Negative(Money),
    /// The processor does not accept such fine amounts of this currency.
    #[error("{amount} cannot be charged; use a multiple of {step}")]
    Step { amount: Money, step: Money },
    #[error("{0} basis points are not between 0 and 10000")]
    BasisPoints(i64),
    #[error("an amount cannot be shared out among nobody")]
    NoWeights,
    #[error("the commission rule is not usable: {0}")]
    Terms(&'static str),
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    #[error("nothing is bought; name a ticket type")]
    NoLines,
    #[error("at least one of ticket type {0} has to be bought")]
    NoQuantity(Uuid),
    #[error("ticket type {0} is named twice; add the quantities")]
    NamedTwice(Uuid),
    /// The card's part would be below the minimum. The purchase has to be paid with credits entirely, or with at most
    /// `credits_at_most`.
    #[error("{card} is less than a card can be charged ({minimum}); {}", advice(.total, .credits_at_most))]
    CardMinimum {
        card: Money,
        minimum: Money,
        /// The credits needed to pay the whole purchase.
        total: Money,
        /// The most credits that leave a chargeable amount for the card. None: the whole purchase is too small for a
        /// card.
        credits_at_most: Option<Money>,
    },
    /// The card's part would be above the maximum.
    #[error(
        "{card} is more than a card can be charged ({maximum}); use {credits_at_least} of credits, or buy less"
    )]
    CardMaximum {
        card: Money,
        maximum: Money,
        /// The least credits that leave a chargeable amount for the card.
        credits_at_least: Money,
    },
    #[error("{asked} is more than is left to give back: {left}")]
    RefundTooLarge { asked: Money, left: Money },
    /// A bug in this program; nothing may be charged.
    #[error("the amounts of the purchase do not add up")]
    Unbalanced,
}

fn advice(total: &Money, credits_at_most: &Option<Money>) -> String {
    match credits_at_most {
        Some(most) => format!("use {total} of credits, or at most {most}"),
        None => format!("use {total} of credits"),
    }
}
