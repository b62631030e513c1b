//! Dividing amounts: percentages with half-up rounding, and parts that sum to the whole.
//!
//! Amounts are counted in quanta (see [`crate::card::quantum`]), so that every share is an amount that can be
//! transferred; for nearly all currencies a quantum is a minor unit. This module does not know who gets the shares.

use crate::{
    amount::Money,
    currency::Currency,
    error::{Error, Result},
};
use std::cmp::Reverse;

const WHOLE: u16 = 10_000;

/// Hundredths of a percent, from 0 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BasisPoints(u16);

impl BasisPoints {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(WHOLE);

    pub fn new(hundredths: i64) -> Result<Self> {
        match u16::try_from(hundredths) {
            Ok(fits) if fits <= WHOLE => Ok(Self(fits)),
            _ => Err(Error::BasisPoints(hundredths)),
        }
    }

    pub fn get(self) -> u16 {
        self.0
    }

    /// The difference to 100 %.
    pub fn rest(self) -> Self {
        Self(WHOLE.saturating_sub(self.0))
    }

    /// This percentage of the amount, rounded half up to a quantum. Never more than the amount.
    pub fn of(self, amount: Money) -> Result<Money> {
        let product = u128::from(amount.quanta()?).checked_mul(u128::from(self.0));
        let rounded = product.and_then(|product| product.checked_add(u128::from(WHOLE / 2)));
        let quanta = rounded.and_then(|rounded| rounded.checked_div(u128::from(WHOLE)));
        Money::from_quanta(narrow(quanta.ok_or(Error::Overflow)?)?, amount.currency())
    }
}

/// Divides an amount in proportion to weights; the parts have the order of the weights and sum to the amount exactly.
/// By largest remainder: each part is rounded down, and the parts with the largest remainders get one quantum more; of
/// equal remainders the earlier.
pub fn by_weights(amount: Money, weights: &[u64]) -> Result<Vec<Money>> {
    let parts = largest_remainder(amount.quanta()?, weights)?;
    let parts = parts.into_iter();
    parts
        .map(|quanta| Money::from_quanta(quanta, amount.currency()))
        .collect()
}

fn largest_remainder(total: u64, weights: &[u64]) -> Result<Vec<u64>> {
    let whole = weights.iter().map(|weight| u128::from(*weight));
    let whole = whole
        .clone()
        .try_fold(0, u128::checked_add)
        .ok_or(Error::Overflow)?;
    if total == 0 {
        return Ok(vec![0; weights.len()]);
    }
    if whole == 0 {
        return Err(Error::NoWeights);
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut fractions = Vec::with_capacity(weights.len());
    let mut left = total;
    for (place, weight) in weights.iter().enumerate() {
        let product = u128::from(total)
            .checked_mul(u128::from(*weight))
            .ok_or(Error::Overflow)?;
        let part = narrow(product.checked_div(whole).ok_or(Error::NoWeights)?)?;
        left = left.checked_sub(part).ok_or(Error::Overflow)?;
        parts.push(part);
        fractions.push((Reverse(product.checked_rem(whole)), place));
    }
    fractions.sort_unstable();
    for (_, place) in fractions {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(1);
        parts[place] = parts[place].checked_add(1).ok_or(Error::Overflow)?;
    }
    Ok(parts)
}

fn narrow(wide: u128) -> Result<u64> {
    u64::try_from(wide).map_err(|_| Error::Overflow)
}

/// The parts of a payment or of a refund. The platform's and the city's part of the commission are separate, because
/// cities are paid by period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub organizer: Money,
    pub platform: Money,
    pub city_share: Money,
}

impl Parts {
    pub fn none(currency: Currency) -> Self {
        let nothing = Money::zero(currency);
        Self {
            organizer: nothing,
            platform: nothing,
            city_share: nothing,
        }
    }

    pub fn total(&self) -> Result<Money> {
        self.organizer.plus(self.platform)?.plus(self.city_share)
    }

    pub fn plus(&self, other: &Self) -> Result<Self> {
        Ok(Self {
            organizer: self.organizer.plus(other.organizer)?,
            platform: self.platform.plus(other.platform)?,
            city_share: self.city_share.plus(other.city_share)?,
        })
    }

    pub fn minus(&self, other: &Self) -> Result<Self> {
        Ok(Self {
            organizer: self.organizer.minus(other.organizer)?,
            platform: self.platform.minus(other.platform)?,
            city_share: self.city_share.minus(other.city_share)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).expect(code))
    }

    fn shares(amount: Money, weights: &[u64]) -> Vec<i64> {
        let parts = by_weights(amount, weights).expect("shares");
        parts.into_iter().map(Money::amount).collect()
    }

    #[test]
    fn half_a_cent_is_rounded_up() {
        let of = |bps, amount| BasisPoints::new(bps).expect("bps").of(amount);
        // 12.50 × 5 % = 0.625
        assert_eq!(of(500, money(1_250, "AUD")), Ok(money(63, "AUD")));
        assert_eq!(of(500, money(1_249, "AUD")), Ok(money(62, "AUD")));
        assert_eq!(of(250, money(1_200, "JPY")), Ok(money(30, "JPY")));
        // 1.230 KWD × 5 % = 0.0615; cards know steps of 0.010.
        assert_eq!(of(500, money(1_230, "KWD")), Ok(money(60, "KWD")));
        assert_eq!(of(500, money(1_300, "KWD")), Ok(money(70, "KWD")));
        let most = money(i64::MAX, "USD");
        assert_eq!(BasisPoints::ALL.of(most), Ok(most));
        assert_eq!(
            of(1, money(-1, "USD")),
            Err(Error::Negative(money(-1, "USD")))
        );
        assert_eq!(BasisPoints::new(10_001), Err(Error::BasisPoints(10_001)));
        assert_eq!(BasisPoints::new(-1), Err(Error::BasisPoints(-1)));
    }

    #[test]
    fn parts_sum_to_the_whole() {
        assert_eq!(shares(money(100, "AUD"), &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(shares(money(100, "AUD"), &[1, 2, 3]), [17, 33, 50]);
        assert_eq!(shares(money(100, "KWD"), &[1, 1, 1]), [40, 30, 30]);
        assert_eq!(shares(money(0, "AUD"), &[0, 0]), [0, 0]);
        // A part with weight zero gets nothing.
        assert_eq!(shares(money(7, "AUD"), &[0, 3, 0, 3]), [0, 4, 0, 3]);
        let most = shares(money(i64::MAX, "USD"), &[u64::MAX, u64::MAX]);
        assert_eq!(most, [i64::MAX / 2 + 1, i64::MAX / 2]);
    }

    #[test]
    fn nobody_gets_nothing_of_something() {
        let refused = by_weights(money(1, "AUD"), &[0, 0]);
        assert_eq!(refused, Err(Error::NoWeights));
        assert_eq!(by_weights(money(1, "AUD"), &[]), Err(Error::NoWeights));
        let fine = by_weights(money(1_005, "KWD"), &[1]);
        let step = money(10, "KWD");
        let amount = money(1_005, "KWD");
        assert_eq!(fine, Err(Error::Step { amount, step }));
    }
}
