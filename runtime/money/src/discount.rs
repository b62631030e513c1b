//! The discount of a promo code for each line of a purchase.
//!
//! This module does not know the codes, nor who may use them how often.

use crate::{
    amount::Money,
    error::Result,
    line::Line,
    share::{BasisPoints, by_weights},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promo {
    /// A percentage of the whole purchase, rounded once and then distributed over the lines.
    Percentage(BasisPoints),
    /// An amount for each ticket, at most the ticket's price.
    PerTicket(Money),
}

/// The discount of each line, in the order of the lines; none exceeds its line's subtotal.
pub fn discounts(lines: &[Line], promo: Option<Promo>) -> Result<Vec<Money>> {
    let subtotals = lines
        .iter()
        .map(Line::subtotal)
        .collect::<Result<Vec<_>>>()?;
    match (promo, subtotals.first()) {
        (None, _) | (_, None) => Ok(subtotals
            .iter()
            .map(|subtotal| Money::zero(subtotal.currency()))
            .collect()),
        (Some(Promo::Percentage(points)), Some(first)) => {
            let whole = Money::sum(first.currency(), subtotals.iter().copied())?;
            let weights = subtotals.iter().map(|subtotal| subtotal.quanta());
            let weights = weights.collect::<Result<Vec<_>>>()?;
            by_weights(points.of(whole)?, &weights)
        }
        (Some(Promo::PerTicket(amount)), _) => {
            amount.quanta()?;
            let off = |line: &Line| amount.min(line.unit_price)?.times(line.quantity);
            lines.iter().map(off).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{currency::Currency, error::Error};
    use uuid::Uuid;

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).expect(code))
    }

    fn lines(code: &str, lines: &[(u32, i64)]) -> Vec<Line> {
        let lines = lines.iter().zip(1_u128..);
        lines
            .map(|((quantity, price), id)| Line {
                ticket_type: Uuid::from_u128(id),
                quantity: *quantity,
                unit_price: money(*price, code),
            })
            .collect()
    }

    fn off(lines: &[Line], promo: Promo) -> Vec<i64> {
        let discounts = discounts(lines, Some(promo)).expect("discounts");
        discounts.into_iter().map(Money::amount).collect()
    }

    #[test]
    fn a_percentage_is_rounded_once() {
        let ten = Promo::Percentage(BasisPoints::new(1_000).expect("10 %"));
        // 10 % of 0.99 is 0.099: ten cents for the three lines together, not three cents for each.
        let three = lines("AUD", &[(1, 33), (1, 33), (1, 33)]);
        assert_eq!(off(&three, ten), [4, 3, 3]);
        let mixed = lines("AUD", &[(2, 1_250), (3, 0), (1, 400)]);
        assert_eq!(off(&mixed, ten), [250, 0, 40]);
        let all = Promo::Percentage(BasisPoints::ALL);
        assert_eq!(off(&mixed, all), [2_500, 0, 400]);
    }

    #[test]
    fn an_amount_stops_at_the_price() {
        let five = Promo::PerTicket(money(500, "AUD"));
        let mixed = lines("AUD", &[(2, 1_250), (3, 0), (4, 400)]);
        assert_eq!(off(&mixed, five), [1_000, 0, 1_600]);
        let yen = discounts(&mixed, Some(Promo::PerTicket(money(5, "JPY"))));
        assert!(matches!(yen, Err(Error::Mismatch { .. })));
        let negative = discounts(&mixed, Some(Promo::PerTicket(money(-5, "AUD"))));
        assert!(matches!(negative, Err(Error::Negative(_))));
    }
}
