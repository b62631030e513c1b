//! An amount of money: an integer of minor units together with its currency.
//!
//! There is no `+`, `-` or `<`, so that adding dollars to yen does not compile. Currencies come from rows and are
//! known only at run time; therefore the methods that replace these operators check that both currencies are equal,
//! and otherwise return an error, which `?` passes on. `PartialOrd` is omitted on purpose: for two currencies it would
//! answer "not less", and a comparing guard would then let pass what it should stop.

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
    /// The largest amount that a row holds, in minor units: the bound of `money` in the spec. Sums may be larger.
    pub const MOST: i64 = 999_999_999_999;

    pub fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    pub fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The number of minor units, as stored in columns named `…_cents`.
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

    /// The sum of amounts in `currency`; zero if there are none. An error if an amount is in another currency.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::plus)
    }

    /// Returns an error unless the amount is in `currency`.
    pub fn same(self, currency: Currency) -> Result<()> {
        if self.currency == currency {
            return Ok(());
        }
        Err(Error::Mismatch {
            left: self.currency,
            right: currency,
        })
    }

    /// Returns an error if the amount is negative.
    pub fn not_negative(self) -> Result<Self> {
        if self.is_negative() {
            return Err(Error::Negative(self));
        }
        Ok(self)
    }

    /// The amount in quanta, the smallest steps in which cards can be charged ([`card::quantum`]). An error if it is
    /// negative or not a multiple of the quantum.
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

/// The format for people: `12.50 AUD`, `1 200 JPY`, `-0.050 KWD`.
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

    /// Two blanket implementations: the choice between them is clear only as long as the type lacks the operator, so
    /// this stops compiling as soon as the operator is added.
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
    fn m2_currencies_are_not_mixed() {
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
