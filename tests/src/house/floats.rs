//! M1: money is counted in whole minor units, and no module that handles it uses floating-point numbers. The crates
//! that do nothing else also deny the arithmetic (`clippy::float_arithmetic`).

use super::sources;
use crate::support::root;
use std::collections::BTreeSet;

/// Folders that handle money, below the project's root.
const MONEY: [&str; 11] = [
    "runtime/money/src",
    "runtime/gateway/src",
    "runtime/stripe/src",
    "runtime/app/src/marketplace",
    "runtime/app/src/payments",
    "runtime/app/src/promotions",
    "runtime/app/src/tickets",
    "runtime/app/src/wallet",
    "spec/sql/payments",
    "spec/sql/tickets",
    "spec/sql/wallet",
];

/// Files that may use such numbers, and for what.
const MAY: [(&str, &str); 1] = [(
    "runtime/app/src/marketplace/report.rs",
    "the average of ratings",
)];

const FLOATS: [&str; 7] = [
    "f32",
    "f64",
    "double precision",
    "::float",
    "float4",
    "float8",
    "::real",
];

fn with_floats<'a>(all: impl Iterator<Item = (String, &'a str)>) -> BTreeSet<String> {
    all.filter(|(path, _)| MONEY.iter().any(|below| path.starts_with(below)))
        .filter(|(_, text)| {
            let lines = text.lines().map(str::trim_start);
            // The lint that refuses them contains the word.
            let says_something = |line: &&str| {
                !["//", "--", "#!["]
                    .iter()
                    .any(|sign| line.starts_with(sign))
            };
            let mut code = lines.filter(says_something);
            code.any(|line| FLOATS.iter().any(|float| line.contains(float)))
        })
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn m1_money_is_counted_in_whole_units() {
    let of = |(path, text): (std::path::PathBuf, String)| {
        let path = path.strip_prefix(root()).expect("below").to_owned();
        (path.display().to_string(), text)
    };
    let mut all: Vec<(String, String)> = sources("runtime").map(of).collect();
    for entry in std::fs::read_dir(root().join("spec/sql")).expect("a folder") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        all.push(of((path, text)));
    }
    for below in MONEY {
        let is_there = all.iter().any(|(path, _)| path.starts_with(below));
        assert!(is_there, "{below} has files to check");
    }
    let all = || all.iter().map(|(path, text)| (path.clone(), text.as_str()));
    let may: BTreeSet<String> = MAY.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(
        with_floats(all()),
        may,
        "count minor units, with `money::Money` in Rust and bigint or numeric in SQL"
    );

    // The control: such code is noticed.
    for (path, text) in [
        (
            "runtime/app/src/wallet/maintenance.rs",
            "let share = 0.3_f64;",
        ),
        ("runtime/app/src/payments.rs", "fn fee(of: f64) -> i64"),
        ("spec/sql/wallet.more.sql", "select sum(x)::float8"),
    ] {
        let doctored = all().chain([(path.to_owned(), text)]);
        assert!(with_floats(doctored).contains(path), "{text}");
    }
}
