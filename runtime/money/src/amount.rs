//! An amount of money: an integer of minor units and its currency, which cannot be parted.
//!
//! There is no `+`, no `-` and no `<`, so that adding dollars to yen does not compile. Currencies come out of rows and
//! are known only when the program runs; therefore the methods that stand for the operators check both sides and answer
//! with an error, which `?` passes on. `PartialOrd` is left out on purpose: of two currencies it would say "not less",
//! and a guard that compares would let pass what it should stop.

use crate::{
    card,
    currency::Currency,
    error::{Error, Result},
};
use std::{cmp::Ordering, fmt};

/// Minor units of a currency, possibly negative.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: i64,
    currency: Currency,
}

impl Money {
    pub fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    pub fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Minor units: what a column `…_cents` holds.
    pub fn amount(self) -> i64 {
        self.amount
    }

    pub fn currency(self) -> Currency {
        self.currency
    }

    pub fn is_zero(self) -> bool {
        self.amount == 0
    }

    pub fn is_negative(self) -> bool {
        self.amount < 0
    }

    pub fn plus(self, other: Self) -> Result<Self> {
        self.same(other.currency)?;
        self.with(self.amount.checked_add(other.amount))
    }

    pub fn minus(self, other: Self) -> Result<Self> {
        self.same(other.currency)?;
        self.with(self.amount.checked_sub(other.amount))
    }

    pub fn times(self, count: u32) -> Result<Self> {
        self.with(self.amount.checked_mul(i64::from(count)))
    }

    pub fn compare(self, other: Self) -> Result<Ordering> {
        self.same(other.currency)?;
        Ok(self.amount.cmp(&other.amount))
    }

    pub fn min(self, other: Self) -> Result<Self> {
        Ok(if self.compare(other)?.is_le() {
            self
        } else {
            other
        })
    }

    pub fn max(self, other: Self) -> Result<Self> {
        Ok(if self.compare(other)?.is_ge() {
            self
        } else {
            other
        })
    }

    /// Of amounts that are all in `currency`; of none it is zero.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::plus)
    }

    /// An error unless it is in `currency`.
    pub fn same(self, currency: Currency) -> Result<()> {
        if self.currency == currency {
            return Ok(());
        }
        Err(Error::Mismatch {
            left: self.currency,
            right: currency,
        })
    }

    /// An error below zero.
    pub fn not_negative(self) -> Result<Self> {
        if self.is_negative() {
            return Err(Error::Negative(self));
        }
        Ok(self)
    }

    /// How many of the smallest amounts that cards can be charged ([`card::quantum`]); an error if it is no whole number
    /// of them, or negative.
    pub(crate) fn quanta(self) -> Result<u64> {
        let quantum = card::quantum(self.currency);
        let amount = u64::try_from(self.amount).map_err(|_| Error::Negative(self))?;
        if amount.checked_rem(quantum) != Some(0) {
            return Err(Error::Step {
                amount: self,
                step: Self::from_quanta(1, self.currency)?,
            });
        }
        amount.checked_div(quantum).ok_or(Error::Overflow)
    }

    pub(crate) fn from_quanta(quanta: u64, currency: Currency) -> Result<Self> {
        let amount = quanta.checked_mul(card::quantum(currency));
        let amount = amount.and_then(|amount| i64::try_from(amount).ok());
        Self::zero(currency).with(amount)
    }

    fn with(self, amount: Option<i64>) -> Result<Self> {
        let amount = amount.ok_or(Error::Overflow)?;
        Ok(Self::new(amount, self.currency))
    }
}

/// For people: `12.50 AUD`, `1 200 JPY`, `-0.050 KWD`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.currency.minor_units();
        let amount = self.amount.unsigned_abs();
        let whole = amount.checked_div(unit).unwrap_or_default().to_string();
        let part = amount.checked_rem(unit).unwrap_or_default();
        if self.is_negative() {
            f.write_str("-")?;
        }
        for (place, digit) in whole.chars().enumerate() {
            let left = whole.len().saturating_sub(place);
            if place > 0 && left.is_multiple_of(3) {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        match self.currency.exponent() {
            0 => {}
            exponent => write!(f, ".{part:0width$}", width = usize::from(exponent))?,
        }
        write!(f, " {}", self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).expect(code))
    }

    /// Two blanket implementations: which one is meant is clear only as long as the operator is missing, so the day
    /// somebody adds one this does not compile.
    trait Without<Operator> {
        const HOLDS: bool = true;
    }
    struct Plus;
    struct Minus;
    struct Less;
    impl<T> Without<()> for T {}
    impl<T: std::ops::Add> Without<Plus> for T {}
    impl<T: std::ops::Sub> Without<Minus> for T {}
    impl<T: PartialOrd> Without<Less> for T {}
    const _: () = assert!(<Money as Without<_>>::HOLDS);

    #[test]
    fn people_read_decimals_and_groups() {
        let shown = |amount, code| money(amount, code).to_string();
        assert_eq!(shown(1_250, "AUD"), "12.50 AUD");
        assert_eq!(shown(1_200, "JPY"), "1 200 JPY");
        assert_eq!(shown(5, "USD"), "0.05 USD");
        assert_eq!(shown(-50, "KWD"), "-0.050 KWD");
        assert_eq!(shown(123_456_789, "EUR"), "1 234 567.89 EUR");
        assert_eq!(shown(i64::MIN, "EUR"), "-92 233 720 368 547 758.08 EUR");
    }

    #[test]
    fn currencies_are_not_mixed() {
        let (dollars, yen) = (money(1, "USD"), money(1, "JPY"));
        let mixed = Error::Mismatch {
            left: dollars.currency(),
            right: yen.currency(),
        };
        assert_eq!(dollars.plus(yen), Err(mixed.clone()));
        assert_eq!(dollars.minus(yen), Err(mixed.clone()));
        assert_eq!(dollars.compare(yen), Err(mixed.clone()));
        assert_eq!(dollars.min(yen), Err(mixed.clone()));
        assert_eq!(Money::sum(dollars.currency(), [dollars, yen]), Err(mixed));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let most = money(i64::MAX, "USD");
        assert_eq!(most.plus(money(1, "USD")), Err(Error::Overflow));
        assert_eq!(money(i64::MIN, "USD").minus(most), Err(Error::Overflow));
        assert_eq!(most.times(2), Err(Error::Overflow));
        let sum = Money::sum(most.currency(), [most, most]);
        assert_eq!(sum, Err(Error::Overflow));
    }

    #[test]
    fn least_and_most() {
        let (few, many) = (money(-3, "AUD"), money(7, "AUD"));
        assert_eq!(few.min(many), Ok(few));
        assert_eq!(few.max(many), Ok(many));
        assert_eq!(few.compare(many), Ok(Ordering::Less));
        assert_eq!(
            Money::sum(few.currency(), [few, many, many]),
            Ok(money(11, "AUD"))
        );
    }
}
