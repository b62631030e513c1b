//! Percentages, and division by weights.

use crate::{Verdict, count, currencies, holds, is_refuted, money, quanta};
use money::{BasisPoints, Currency, Money, Result, share::by_weights};
use proptest::prelude::*;

fn percentages() -> impl Strategy<Value = (Currency, i64, i64)> {
    (currencies(), quanta(), 0..=10_000_i64)
}

/// The number of quanta nearest to the exact value; of two equally near, the larger.
fn is_half_up(
    (currency, amount, points): (Currency, i64, i64),
    of: impl Fn(i64, i64) -> i64,
) -> Verdict {
    let (value, exact) = (
        i128::from(of(amount, points)),
        i128::from(amount) * i128::from(points),
    );
    let off = 2 * (value * 10_000 - exact);
    prop_assert!(
        -10_000 < off && off <= 10_000,
        "{amount} × {points} is not {value} {currency}"
    );
    Ok(())
}

#[test]
fn t12_percentages_are_rounded_half_up() {
    holds(&percentages(), |case| {
        is_half_up(case, |amount, points| {
            let points = BasisPoints::new(points).expect("basis points");
            let part = points.of(money(amount, case.0)).expect("a part");
            i64::try_from(count(part)).expect("a part")
        })
    });
    is_refuted(&percentages(), |case| {
        is_half_up(case, |amount, points| amount * points / 10_000)
    });
    is_refuted(&percentages(), |case| {
        is_half_up(case, |amount, points| (amount * points + 4_999) / 10_000)
    });
}

fn weighed() -> impl Strategy<Value = (Currency, i64, Vec<u64>)> {
    let weights = prop::collection::vec(prop_oneof![0..4_u64, 0..10_000_u64, any::<u64>()], 1..6);
    let weights = weights.prop_filter("somebody gets it", |weights| weights.iter().any(|w| *w > 0));
    (currencies(), quanta(), weights)
}

type Share = fn(Money, &[u64]) -> Result<Vec<Money>>;

/// The parts sum to the whole, and each differs from its exact proportion by less than a quantum.
fn sums((currency, amount, weights): (Currency, i64, Vec<u64>), share: Share) -> Verdict {
    let parts = share(money(amount, currency), &weights).expect("parts");
    prop_assert_eq!(parts.len(), weights.len());
    let counts: Vec<i128> = parts.into_iter().map(count).collect();
    prop_assert_eq!(counts.iter().sum::<i128>(), i128::from(amount));
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    for (part, weight) in counts.iter().zip(&weights) {
        let exact = i128::from(amount) * i128::from(*weight);
        prop_assert!(
            (part * whole - exact).abs() < whole,
            "{part} for {weight} of {whole}"
        );
    }
    Ok(())
}

#[test]
fn t12_parts_sum_to_the_whole() {
    holds(&weighed(), |case| sums(case, by_weights));
    is_refuted(&weighed(), |case| sums(case, each_rounded));
    is_refuted(&weighed(), |case| sums(case, rest_to_the_first));
}

fn each_rounded(amount: Money, weights: &[u64]) -> Result<Vec<Money>> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let part = |weight: &u64| {
        let part = crate::nearest(count(amount), i128::from(*weight), whole);
        money(i64::try_from(part).expect("a part"), amount.currency())
    };
    Ok(weights.iter().map(part).collect())
}

/// Bug: the parts sum to the whole, but the first gets the whole remainder, which can be several quanta.
fn rest_to_the_first(amount: Money, weights: &[u64]) -> Result<Vec<Money>> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let floor = |weight: &u64| count(amount) * i128::from(*weight) / whole;
    let mut parts: Vec<i128> = weights.iter().map(floor).collect();
    parts[0] += count(amount) - parts.iter().sum::<i128>();
    let parts = parts.into_iter();
    Ok(parts
        .map(|part| money(i64::try_from(part).expect("a part"), amount.currency()))
        .collect())
}
