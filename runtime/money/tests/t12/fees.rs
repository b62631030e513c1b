//! Fees and discounts, compared with plain arithmetic on wide integers.

use crate::{Verdict, count, currencies, holds, is_refuted, money, nearest, quanta};
use money::{
    BasisPoints, Currency, Line, Money, PaidBy, Promo, Result, Terms, commission,
    discount::discounts,
};
use proptest::prelude::*;
use uuid::Uuid;

pub fn terms(currency: Currency) -> impl Strategy<Value = Terms> {
    let max = prop::option::of(0..2_000_i64);
    let cents = (0..100_i64, 0..200_i64, max);
    let points = || (0..=10_000_i64).prop_map(|points| BasisPoints::new(points).expect("points"));
    let percentage = prop_oneof![
        points(),
        (0..1_000_i64).prop_map(|points| BasisPoints::new(points).expect("points"))
    ];
    let paid_by = prop_oneof![Just(PaidBy::Buyer), Just(PaidBy::Organizer)];
    (percentage, cents, paid_by, points()).prop_map(
        move |(percentage, (fixed, min, above), paid_by, city_share)| {
            let cents = |quanta| money(quanta, currency).amount();
            Terms {
                currency,
                percentage,
                fixed_cents: cents(fixed),
                min_cents: cents(min),
                max_cents: above.map(|above| cents(min + above)),
                paid_by,
                city_share,
            }
        },
    )
}

fn payments() -> impl Strategy<Value = (Terms, i64, u32)> {
    let terms = currencies().prop_flat_map(terms);
    (terms, quanta(), 1..50_u32)
}

/// The expected fee in quanta, computed without the crate.
pub fn expected_fee(terms: &Terms, gross: i128, quantity: u32) -> i128 {
    if gross == 0 {
        return 0;
    }
    let cents = |cents: i64| count(Money::new(cents, terms.currency));
    let percent = nearest(gross, i128::from(terms.percentage.get()), 10_000);
    let fee = percent + cents(terms.fixed_cents) * i128::from(quantity);
    let max = terms.max_cents.map_or(i128::MAX, cents);
    let fee = fee.clamp(cents(terms.min_cents), max);
    match terms.paid_by {
        PaidBy::Buyer => fee,
        PaidBy::Organizer => fee.min(gross),
    }
}

type Fee = fn(&Terms, Money, u32) -> Result<Money>;

fn is_the_fee((terms, gross, quantity): (Terms, i64, u32), fee: Fee) -> Verdict {
    let gross = money(gross, terms.currency);
    let fee = fee(&terms, gross, quantity).expect("a fee");
    prop_assert_eq!(count(fee), expected_fee(&terms, count(gross), quantity));
    let max = terms.max_cents.unwrap_or(i64::MAX);
    prop_assert!(fee.amount() <= max);
    prop_assert!(terms.paid_by == PaidBy::Buyer || fee.amount() <= gross.amount());

    let parts = commission::split(gross, fee, terms.paid_by, terms.city_share).expect("parts");
    let buyer = gross.amount()
        + if terms.paid_by == PaidBy::Buyer {
            fee.amount()
        } else {
            0
        };
    prop_assert_eq!(parts.total().expect("a total").amount(), buyer);
    let (city, exact) = (
        count(parts.city_share),
        count(fee) * i128::from(terms.city_share.get()),
    );
    // The city's part is rounded half down, since the rest is the platform's.
    let off = 2 * (city * 10_000 - exact);
    prop_assert!((-10_000..10_000).contains(&off), "{city} of {fee}");
    Ok(())
}

#[test]
fn t12_fees() {
    holds(&payments(), |case| is_the_fee(case, commission::fee));
    is_refuted(&payments(), |case| is_the_fee(case, more_than_the_payment));
    is_refuted(&payments(), |case| is_the_fee(case, of_free_orders_too));
    is_refuted(&payments(), |case| is_the_fee(case, fixed_part_once));
}

fn more_than_the_payment(terms: &Terms, gross: Money, quantity: u32) -> Result<Money> {
    let mut on_top = terms.clone();
    on_top.paid_by = PaidBy::Buyer;
    commission::fee(&on_top, gross, quantity)
}

fn of_free_orders_too(terms: &Terms, gross: Money, quantity: u32) -> Result<Money> {
    if gross.is_zero() {
        return Ok(Money::new(terms.min_cents, gross.currency()));
    }
    commission::fee(terms, gross, quantity)
}

fn fixed_part_once(terms: &Terms, gross: Money, _quantity: u32) -> Result<Money> {
    commission::fee(terms, gross, 1)
}

pub fn lines(currency: Currency) -> impl Strategy<Value = Vec<Line>> {
    let price = prop_oneof![Just(0_i64), 1..12_i64, 0..10_000_i64];
    prop::collection::vec((1..9_u32, price), 1..6).prop_map(move |lines| {
        let lines = lines.into_iter().zip(1_u128..);
        lines
            .map(|((quantity, price), id)| Line {
                ticket_type: Uuid::from_u128(id),
                quantity,
                unit_price: money(price, currency),
            })
            .collect()
    })
}

pub fn promos(currency: Currency) -> impl Strategy<Value = Promo> {
    prop_oneof![
        (1..=10_000_i64)
            .prop_map(|points| Promo::Percentage(BasisPoints::new(points).expect("points"))),
        (1..2_000_i64).prop_map(move |off| Promo::PerTicket(money(off, currency))),
    ]
}

fn bargains() -> impl Strategy<Value = (Vec<Line>, Promo)> {
    currencies().prop_flat_map(|currency| (lines(currency), promos(currency)))
}

type Discount = fn(&[Line], Option<Promo>) -> Result<Vec<Money>>;

/// The lines' discounts sum to the discount of the whole, and no line becomes negative.
fn is_off((lines, promo): (Vec<Line>, Promo), discount: Discount) -> Verdict {
    let off: Vec<i128> = discount(&lines, Some(promo))
        .expect("discounts")
        .into_iter()
        .map(count)
        .collect();
    let costs = |line: &Line| count(line.unit_price) * i128::from(line.quantity);
    prop_assert_eq!(off.len(), lines.len());
    for (off, line) in off.iter().zip(&lines) {
        prop_assert!((0..=costs(line)).contains(off), "{off} off {line:?}");
    }
    let expected = match promo {
        Promo::Percentage(points) => {
            let whole = lines.iter().map(costs).sum();
            nearest(whole, i128::from(points.get()), 10_000)
        }
        Promo::PerTicket(amount) => {
            let off =
                |line: &Line| count(line.unit_price).min(count(amount)) * i128::from(line.quantity);
            lines.iter().map(off).sum()
        }
    };
    prop_assert_eq!(off.iter().sum::<i128>(), expected);
    Ok(())
}

#[test]
fn t12_discounts() {
    holds(&bargains(), |case| is_off(case, discounts));
    is_refuted(&bargains(), |case| is_off(case, line_by_line));
    is_refuted(&bargains(), |case| is_off(case, below_zero));
}

/// Bug: rounds each line's percentage separately.
fn line_by_line(lines: &[Line], promo: Option<Promo>) -> Result<Vec<Money>> {
    let each = lines
        .iter()
        .map(|line| discounts(std::slice::from_ref(line), promo));
    Ok(each.collect::<Result<Vec<_>>>()?.concat())
}

fn below_zero(lines: &[Line], promo: Option<Promo>) -> Result<Vec<Money>> {
    match promo {
        Some(Promo::PerTicket(amount)) => lines
            .iter()
            .map(|line| amount.times(line.quantity))
            .collect(),
        _ => discounts(lines, promo),
    }
}
