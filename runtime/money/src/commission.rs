//! The commission on a payment, and how the platform shares it with the city.
//!
//! This module knows neither which rule applies ([`crate::rule`]) nor how the buyer pays ([`crate::funding`]).

use crate::{
    amount::Money,
    currency::Currency,
    error::{Error, Result},
    share::{BasisPoints, Parts, by_weights},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PaidBy {
    /// The buyer pays the fee in addition to the price.
    Buyer,
    /// The fee is taken out of the price.
    #[default]
    Organizer,
}

/// A row of `commission_rule`, without its scope and period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub currency: Currency,
    pub percentage: BasisPoints,
    /// The fixed fee for each ticket or charge that is not free, in minor units.
    pub fixed_cents: i64,
    pub min_cents: i64,
    pub max_cents: Option<i64>,
    pub paid_by: PaidBy,
    /// The city's share of the fee (not of the payment).
    pub city_share: BasisPoints,
}

impl Terms {
    /// Checks that fees can be computed by these terms. [`fee`] calls it again, so that no order is priced by a rule
    /// that was written to the database without the check; callers that edit rules call it to refuse bad terms at
    /// once.
    pub fn check(&self) -> Result<()> {
        let bounds = [Some(self.fixed_cents), Some(self.min_cents), self.max_cents];
        for cents in bounds.into_iter().flatten() {
            Money::new(cents, self.currency).quanta()?;
        }
        if self.max_cents.is_some_and(|max| max < self.min_cents) {
            return Err(Error::Terms("its maximum is below its minimum"));
        }
        Ok(())
    }
}

/// The fee for a payment of `gross`, of which `paid_quantity` tickets or charges were not free.
///
/// The fee is the percentage (rounded half up) plus the fixed fee of each ticket, limited to the minimum and the
/// maximum; if the organizer pays it, it is at most the payment. A payment of zero has no fee, even if there is a
/// minimum.
pub fn fee(terms: &Terms, gross: Money, paid_quantity: u32) -> Result<Money> {
    terms.check()?;
    gross.same(terms.currency)?;
    if gross.not_negative()?.is_zero() {
        return Ok(gross);
    }
    let cents = |cents| Money::new(cents, terms.currency);
    let fixed = cents(terms.fixed_cents).times(paid_quantity)?;
    let mut fee = terms.percentage.of(gross)?.plus(fixed)?;
    fee = fee.max(cents(terms.min_cents))?;
    if let Some(max) = terms.max_cents {
        fee = fee.min(cents(max))?;
    }
    match terms.paid_by {
        PaidBy::Buyer => Ok(fee),
        PaidBy::Organizer => fee.min(gross),
    }
}

/// Divides a payment into its parts. The city's part is a share of the fee; a tie of half a quantum goes to the
/// platform.
pub fn split(gross: Money, fee: Money, paid_by: PaidBy, city_share: BasisPoints) -> Result<Parts> {
    let organizer = match paid_by {
        PaidBy::Buyer => gross,
        PaidBy::Organizer => gross.minus(fee)?,
    };
    let weights = [city_share.rest(), city_share].map(|points| u64::from(points.get()));
    let [platform, city_share] = two(by_weights(fee, &weights)?)?;
    Ok(Parts {
        organizer: organizer.not_negative()?,
        platform,
        city_share,
    })
}

/// Turns the result of dividing by two weights into an array.
pub(crate) fn two(parts: Vec<Money>) -> Result<[Money; 2]> {
    <[Money; 2]>::try_from(parts).map_err(|_| Error::Unbalanced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aud(amount: i64) -> Money {
        Money::new(amount, Currency::parse("AUD").expect("AUD"))
    }

    fn points(hundredths: i64) -> BasisPoints {
        BasisPoints::new(hundredths).expect("basis points")
    }

    /// 5 % and 0.30 a ticket, at least 1.00, at most 9.00.
    fn terms(paid_by: PaidBy) -> Terms {
        Terms {
            currency: aud(0).currency(),
            percentage: points(500),
            fixed_cents: 30,
            min_cents: 100,
            max_cents: Some(900),
            paid_by,
            city_share: points(2_500),
        }
    }

    #[test]
    fn percentage_fixed_part_and_bounds() {
        let fee = |gross, quantity| fee(&terms(PaidBy::Organizer), aud(gross), quantity);
        // 50.00 × 5 % = 2.50, and 2 × 0.30.
        assert_eq!(fee(5_000, 2), Ok(aud(310)));
        assert_eq!(fee(200, 1), Ok(aud(100)), "the minimum");
        assert_eq!(fee(100_000, 1), Ok(aud(900)), "the maximum");
        assert_eq!(fee(50, 1), Ok(aud(50)), "not more than the payment");
        assert_eq!(fee(0, 0), Ok(aud(0)), "free, in spite of the minimum");
    }

    #[test]
    fn on_top_the_price_does_not_limit_it() {
        let terms = terms(PaidBy::Buyer);
        assert_eq!(fee(&terms, aud(50), 1), Ok(aud(100)));
        assert_eq!(fee(&terms, aud(0), 3), Ok(aud(0)));
    }

    #[test]
    fn unusable_terms_take_nothing() {
        let mut bad = terms(PaidBy::Organizer);
        bad.min_cents = 901;
        assert!(matches!(fee(&bad, aud(1), 1), Err(Error::Terms(_))));
        bad.min_cents = -1;
        assert!(matches!(fee(&bad, aud(1), 1), Err(Error::Negative(_))));
        let mut dinars = terms(PaidBy::Organizer);
        dinars.currency = Currency::parse("KWD").expect("KWD");
        dinars.fixed_cents = 25;
        assert!(matches!(dinars.check(), Err(Error::Step { .. })));
        let yen = Money::new(5, Currency::parse("JPY").expect("JPY"));
        let mixed = fee(&terms(PaidBy::Buyer), yen, 1);
        assert!(matches!(mixed, Err(Error::Mismatch { .. })));
    }

    #[test]
    fn the_city_gets_its_part_of_the_fee() {
        let of = |fee, city| {
            let parts = split(aud(5_000), aud(fee), PaidBy::Organizer, points(city));
            let parts = parts.expect("parts");
            [parts.organizer, parts.platform, parts.city_share].map(Money::amount)
        };
        assert_eq!(of(312, 2_500), [4_688, 234, 78]);
        // 77.5 cents for each of the two: the tie goes to the platform.
        assert_eq!(of(310, 2_500), [4_690, 233, 77]);
        assert_eq!(of(310, 0), [4_690, 310, 0]);
        assert_eq!(of(310, 10_000), [4_690, 0, 310]);
    }
}
