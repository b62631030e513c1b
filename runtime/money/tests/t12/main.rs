//! T12: rules, fees, funding, prices and refunds, compared with naive computations over random amounts of all
//! currencies.
//!
//! Each property is a function of the implementation that it tests. It must hold for the crate, and must be refuted
//! for a variant with one guard removed: a property that no bug refutes proves nothing.
//!
//! `SEED=…` repeats a run, `CASES=…` sets the number of cases.

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

/// Asserts that the property holds in all of 10,000 cases.
fn holds<S: Strategy>(cases: &S, property: impl Fn(S::Value) -> Verdict)
where
    S::Value: Debug,
{
    let (seed, outcome) = run(cases, property);
    if let Err(refuted) = outcome {
        panic!("SEED={seed} refutes it: {refuted}");
    }
}

/// Asserts that the property is refuted in at least one of as many cases, so that it detects the bug.
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

/// A random currency; those with three decimals and other special ones are as frequent as all others.
fn currencies() -> impl Strategy<Value = Currency> {
    let odd = ["JPY", "ISK", "UGX", "KWD", "BHD", "TND", "MGA", "HUF"];
    let odd = odd.map(|code| Currency::parse(code).expect(code)).to_vec();
    prop_oneof![
        prop::sample::select(odd),
        prop::sample::select(Currency::all())
    ]
}

/// A random number of quanta: from a few, for which rounding matters most, to very many.
fn quanta() -> impl Strategy<Value = i64> {
    prop_oneof![0..12_i64, 0..1_000_i64, 0..1_000_000_000_i64]
}

fn money(quanta: i64, currency: Currency) -> Money {
    let quantum = i64::try_from(card::quantum(currency)).expect("a small number");
    Money::new(quanta * quantum, currency)
}

/// The reverse conversion, for computations without the crate.
fn count(money: Money) -> i128 {
    let quantum = i128::from(card::quantum(money.currency()));
    assert_eq!(i128::from(money.amount()) % quantum, 0, "{money}");
    i128::from(money.amount()) / quantum
}

/// `value × of / whole`, rounded half up.
fn nearest(value: i128, of: i128, whole: i128) -> i128 {
    (2 * value * of + whole).div_euclid(2 * whole)
}
