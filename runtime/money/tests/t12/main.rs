//! T12: rules, fees, funding, prices and refunds against naive computations, over random money of all currencies.
//!
//! Each property is a function of what it tests. It is shown to hold for the crate, and to be refuted for a variant with
//! one guard taken off: a property that no mistake refutes shows nothing.
//!
//! `SEED=…` replays a run, `CASES=…` makes it longer.

mod fees;
mod funding;
mod prices;
mod refunds;
mod rules;
mod shares;

use money::{Currency, Money, card};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner},
};
use std::{
    fmt::Debug,
    time::{SystemTime, UNIX_EPOCH},
};

type Verdict = Result<(), TestCaseError>;

/// In all of 10,000 cases.
fn holds<S: Strategy>(cases: &S, property: impl Fn(S::Value) -> Verdict)
where
    S::Value: Debug,
{
    let (seed, outcome) = run(cases, property);
    if let Err(refuted) = outcome {
        panic!("SEED={seed} refutes it: {refuted}");
    }
}

/// In at least one of as many: the property notices what was made wrong.
fn is_refuted<S: Strategy>(cases: &S, property: impl Fn(S::Value) -> Verdict)
where
    S::Value: Debug,
{
    let (seed, outcome) = run(cases, property);
    assert!(
        matches!(outcome, Err(TestError::Fail(..))),
        "SEED={seed} does not refute it"
    );
}

fn run<S: Strategy>(
    cases: &S,
    property: impl Fn(S::Value) -> Verdict,
) -> (u64, Result<(), TestError<S::Value>>)
where
    S::Value: Debug,
{
    let given = |name: &str| std::env::var(name).ok()?.parse().ok();
    let seed = given("SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::from(now.expect("after 1970").subsec_nanos())
    });
    let config = Config {
        cases: given("CASES").map_or(10_000, |cases| {
            u32::try_from(cases).expect("a number of cases")
        }),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    (seed, TestRunner::new(config).run(cases, property))
}

/// Every currency there is; those with three decimals and other odd ones as often as all the others.
fn currencies() -> impl Strategy<Value = Currency> {
    let odd = ["JPY", "ISK", "UGX", "KWD", "BHD", "TND", "MGA", "HUF"];
    let odd = odd.map(|code| Currency::parse(code).expect(code)).to_vec();
    prop_oneof![
        prop::sample::select(odd),
        prop::sample::select(Currency::all())
    ]
}

/// So many of the smallest amounts that cards can be charged: of a few, where roundings meet, up to a great many.
fn quanta() -> impl Strategy<Value = i64> {
    prop_oneof![0..12_i64, 0..1_000_i64, 0..1_000_000_000_i64]
}

fn money(quanta: i64, currency: Currency) -> Money {
    let quantum = i64::try_from(card::quantum(currency)).expect("a small number");
    Money::new(quanta * quantum, currency)
}

/// The other way round, for computations without the crate.
fn count(money: Money) -> i128 {
    let quantum = i128::from(card::quantum(money.currency()));
    assert_eq!(i128::from(money.amount()) % quantum, 0, "{money}");
    i128::from(money.amount()) / quantum
}

/// The nearest whole number to `value × of / whole`, the larger one of two.
fn nearest(value: i128, of: i128, whole: i128) -> i128 {
    (2 * value * of + whole).div_euclid(2 * whole)
}
