//! M5: one clock decides what time it is. Stored times, and comparisons with them, use the database's clock; decisions
//! of a server alone use `app::clock`, which tests can change.

use super::{code, sources};
use crate::support::root;
use std::collections::BTreeSet;

/// How a program reads the date from its machine. `Instant` isn't included: it measures a span within one process, and
/// can neither be stored nor compared with stored times.
const ASKS: &[&str] = &["Utc::now", "Local::now", "SystemTime::now", "::now_utc"];

/// Files that may do so, and the reason.
const MAY: &[(&str, &str)] = &[
    ("app/src/clock.rs", "is the clock"),
    (
        "app/src/dashboards/period.rs",
        "refuses early what is too long by every clock, a day on the safe side",
    ),
    (
        "app/src/me/export.rs",
        "writes into a file when it was made, for people",
    ),
    (
        "app/src/media/audit.rs",
        "compares with the times of files, which the machine has set",
    ),
    (
        "delivery/src/fcm.rs",
        "says how long a message may wait, and reads dates of answers",
    ),
    ("delivery/src/resend.rs", "reads dates of answers"),
    ("delivery/src/sendgrid.rs", "reads dates of answers"),
    ("delivery/src/senders.rs", "dates a mail"),
    (
        "kernel/src/auth.rs",
        "tokens of others carry times of their clocks; leeway is the setting's",
    ),
    (
        "kernel/src/http/stream.rs",
        "ends a connection when its token does",
    ),
    (
        "kernel/src/quota.rs",
        "tells a client when to come again; the database counts the days",
    ),
    (
        "server/src/checks/database.rs",
        "compares it with the clock of the database",
    ),
    (
        "server/src/seed/sales/services.rs",
        "a command that fills a new database with examples",
    ),
    (
        "server/src/seed/trade/market.rs",
        "a command that fills a new database with examples",
    ),
];

/// Files that use the server's own clock, and why: none of it is stored, or decides about stored data.
const OWN: &[(&str, &str)] = &[
    (
        "app/src/media/announce.rs",
        "signs an address, with the end of its time in it",
    ),
    ("app/src/media/files.rs", "checks such an address"),
    (
        "app/src/media/lifecycle.rs",
        "compares with the times of files, which the machine has set",
    ),
    (
        "app/src/notifications/feedback.rs",
        "checks how old a signature is",
    ),
    ("app/src/payments/inbox.rs", "checks how old a signature is"),
    (
        "app/src/payments/reconcile.rs",
        "asks Stripe piece by piece, by Stripe's times",
    ),
    (
        "app/src/sessions/issue.rs",
        "issues access tokens, which every server checks by its own",
    ),
    (
        "app/src/trending/featured.rs",
        "leaves out of an answer what is over this moment",
    ),
    (
        "kernel/src/http/limits.rs",
        "counts requests of this process, by a clock that never goes back",
    ),
];

/// Files of the program, below `runtime`, that do so.
fn asking<'a>(all: impl Iterator<Item = (String, &'a str)>, asks: &[&str]) -> BTreeSet<String> {
    all.filter(|(_, text)| {
        let code = code(text);
        asks.iter().any(|ask| code.contains(ask))
    })
    .map(|(path, _)| path)
    .collect()
}

#[test]
fn m5_one_clock_says_what_time_it_is() {
    let below = root().join("runtime");
    let all: Vec<(String, String)> = sources("runtime")
        .map(|(path, text)| {
            let path = path.strip_prefix(&below).expect("below");
            (path.display().to_string(), text)
        })
        .filter(|(path, _)| !path.contains("/tests/") && !path.contains("/examples/"))
        .collect();
    let all = || all.iter().map(|(path, text)| (path.clone(), text.as_str()));
    let paths = |listed: &[(&str, &str)]| -> BTreeSet<String> {
        listed.iter().map(|(path, _)| (*path).to_owned()).collect()
    };
    assert_eq!(
        asking(all(), ASKS),
        paths(MAY),
        "take `clock::of_database`, or `Clock` where nothing is stored"
    );
    assert_eq!(
        asking(all(), &["clock.now()"]),
        paths(OWN),
        "what is stored, or compared with what is stored, goes by `now()` in the statement, or `clock::of_database`"
    );

    // The control: such code is noticed.
    let more = [
        "let now = Utc::now();",
        "let until = std::time::SystemTime::now() + LEASE;",
        "Self::new(Utc::now)",
    ];
    for text in more {
        let doctored = all().chain([("app/src/wallet.rs".to_owned(), text)]);
        assert!(
            asking(doctored, ASKS).contains("app/src/wallet.rs"),
            "{text}"
        );
    }
}
