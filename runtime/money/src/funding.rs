//! How a purchase is paid with credits and by card, and how the organizer gets its part.
//!
//! The card is charged on behalf of the organizer, whose account receives the charge less the application fee. Credits
//! are money that the platform holds; so if the card's part is less than the organizer's, the platform transfers the
//! difference. This module does not know anybody's balance of credits.

use crate::{
    amount::Money,
    card,
    currency::Currency,
    error::{Error, Result},
};

/// How much of a payment or refund is credits (the wallet) and how much is by card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    pub wallet: Money,
    pub card: Money,
}

impl Funds {
    pub fn none(currency: Currency) -> Self {
        Self {
            wallet: Money::zero(currency),
            card: Money::zero(currency),
        }
    }

    pub fn total(&self) -> Result<Money> {
        self.wallet.plus(self.card)
    }

    pub fn plus(&self, other: &Self) -> Result<Self> {
        Ok(Self {
            wallet: self.wallet.plus(other.wallet)?,
            card: self.card.plus(other.card)?,
        })
    }
}

/// The amounts that the processor needs besides the charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funding {
    /// The part of the card's charge that the platform keeps.
    pub application_fee: Money,
    /// The amount that the platform transfers to the organizer in addition. At least one of the two fields is zero.
    pub top_up: Money,
}

/// Pays `total` with up to `credits`, and the rest by card.
///
/// The card's part is either zero or from [`card::minimum`] to [`card::maximum`]; otherwise the error says which amounts
/// of credits are possible. In currencies in which cards are charged in multiples of a step ([`card::quantum`]), credits are used in
/// the same steps, so fewer credits than offered may be used.
pub fn pay(total: Money, credits: Money) -> Result<Funds> {
    let currency = total.currency();
    // The whole amount might be charged to the card, so it must be chargeable; every part of it is smaller.
    card::to_processor(total)?;
    let wallet = steps(credits.not_negative()?.min(total)?)?;
    let card = total.minus(wallet)?;
    let minimum = card::minimum(currency);
    if !card.is_zero() && card.compare(minimum)?.is_lt() {
        let most = total.minus(minimum)?;
        return Err(Error::CardMinimum {
            card,
            minimum,
            total,
            credits_at_most: (!most.is_negative()).then_some(most),
        });
    }
    let maximum = card::maximum(currency);
    if card.compare(maximum)?.is_gt() {
        return Err(Error::CardMaximum {
            card,
            maximum,
            credits_at_least: total.minus(maximum)?,
        });
    }
    Ok(Funds { wallet, card })
}

/// Application fee and top-up by which the organizer gets `organizer` of a purchase paid like this: `card −
/// application_fee + top_up = organizer`.
pub fn funding(paid: &Funds, organizer: Money) -> Result<Funding> {
    if organizer.not_negative()?.compare(paid.total()?)?.is_gt() {
        return Err(Error::Unbalanced);
    }
    let nothing = Money::zero(organizer.currency());
    Ok(Funding {
        application_fee: nothing.max(paid.card.minus(organizer)?)?,
        top_up: nothing.max(organizer.minus(paid.card)?)?,
    })
}

/// The amount, rounded down to a multiple of the quantum.
fn steps(amount: Money) -> Result<Money> {
    let quantum = i64::try_from(card::quantum(amount.currency())).map_err(|_| Error::Overflow)?;
    let rest = amount.amount().checked_rem(quantum).unwrap_or_default();
    amount.minus(Money::new(rest, amount.currency()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).expect(code))
    }

    fn split(wallet: i64, card: i64, organizer: i64) -> [i64; 2] {
        let paid = Funds {
            wallet: money(wallet, "AUD"),
            card: money(card, "AUD"),
        };
        let found = funding(&paid, money(organizer, "AUD")).expect("funding");
        [found.application_fee, found.top_up].map(Money::amount)
    }

    #[test]
    fn the_organizer_gets_the_same_however_it_is_paid() {
        assert_eq!(split(0, 5_000, 4_690), [310, 0], "by card alone");
        assert_eq!(split(5_000, 0, 4_690), [0, 4_690], "with credits alone");
        assert_eq!(split(200, 4_800, 4_690), [110, 0]);
        assert_eq!(split(310, 4_690, 4_690), [0, 0]);
        assert_eq!(split(1_000, 4_000, 4_690), [0, 690]);
    }

    #[test]
    fn too_little_for_a_card_says_what_to_do() {
        let pay = |total, credits| pay(money(total, "AUD"), money(credits, "AUD"));
        let funds = |wallet, card| {
            Ok(Funds {
                wallet: money(wallet, "AUD"),
                card: money(card, "AUD"),
            })
        };
        assert_eq!(pay(1_000, 0), funds(0, 1_000));
        assert_eq!(pay(1_000, 950), funds(950, 50));
        assert_eq!(pay(1_000, 9_999), funds(1_000, 0));
        assert_eq!(pay(0, 500), funds(0, 0));
        assert_eq!(
            pay(1_000, 951).map_err(|error| error.to_string()),
            Err("0.49 AUD is less than a card can be charged (0.50 AUD); \
                 use 10.00 AUD of credits, or at most 9.50 AUD"
                .to_owned())
        );
        assert_eq!(
            pay(40, 10).map_err(|error| error.to_string()),
            Err("0.30 AUD is less than a card can be charged (0.50 AUD); \
                 use 0.40 AUD of credits"
                .to_owned())
        );
        assert!(matches!(pay(40, -1), Err(Error::Negative(_))));
    }

    #[test]
    fn too_much_for_a_card_says_what_to_do() {
        let pay = |total, credits| pay(money(total, "AUD"), money(credits, "AUD"));
        assert!(pay(99_999_999, 0).is_ok());
        assert_eq!(
            pay(100_000_049, 0),
            Err(Error::CardMaximum {
                card: money(100_000_049, "AUD"),
                maximum: money(99_999_999, "AUD"),
                credits_at_least: money(50, "AUD"),
            })
        );
        assert!(pay(100_000_049, 49).is_err());
        assert!(pay(100_000_049, 50).is_ok());
        assert!(pay(100_000_049, 100_000_049).is_ok());
    }

    #[test]
    fn credits_are_used_in_steps() {
        let paid = pay(money(5_120, "KWD"), money(1_234, "KWD")).expect("funds");
        assert_eq!(paid.wallet, money(1_230, "KWD"));
        assert_eq!(paid.card, money(3_890, "KWD"));
    }
}
