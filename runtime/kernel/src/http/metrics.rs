//! Counters of the process, exported as Prometheus text.
//!
//! Plain atomics: no labels with values from requests, so the number of series is fixed.

use crate::{cx::PoolState, jobs::Figures};
use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Refusals by the database of something that the rules in Rust allow. Must stay 0.
pub static POLICY_DIVERGENCE: Counter = Counter::new();
/// Statements of ours that failed for lack of a grant. Must stay 0.
pub static MISSING_PRIVILEGE: Counter = Counter::new();
pub static RATE_LIMITED: Counter = Counter::new();
pub static SHED: Counter = Counter::new();
/// Connections closed at once because their address held too many.
pub static CONNECTIONS_REFUSED: Counter = Counter::new();
pub static PANICS: Counter = Counter::new();
pub static RETRIED: Counter = Counter::new();
pub static JOBS_FAILED: Counter = Counter::new();
pub static JOBS_DIED: Counter = Counter::new();
/// Webhooks with an invalid signature: the secret was changed at one side only, or requests are forged.
pub static UNSIGNED: Counter = Counter::new();

/// By class of the status: 1xx to 5xx.
static ANSWERS: [Counter; 5] = [const { Counter::new() }; 5];
static DURATIONS: [Counter; BOUNDS.len() + 1] = [const { Counter::new() }; BOUNDS.len() + 1];
static MICROSECONDS: AtomicU64 = AtomicU64::new(0);
const BOUNDS: [(u64, &str); 9] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

pub(crate) fn answered(status: u16, took: Duration) {
    ANSWERS[usize::from(status / 100).clamp(1, 5) - 1].add();
    let micros = took.as_micros() as u64;
    MICROSECONDS.fetch_add(micros, Relaxed);
    let bucket = BOUNDS
        .iter()
        .position(|(bound, _)| micros <= *bound)
        .unwrap_or(BOUNDS.len());
    DURATIONS[bucket].add();
}

/// `jobs`: figures of the job queue, if they could be read.
pub fn text(pool: PoolState, jobs: Option<Figures>) -> String {
    let mut text = String::with_capacity(2048);
    counters(&mut text);
    answers(&mut text);
    durations(&mut text);
    connections(&mut text, pool);
    if let Some(jobs) = jobs {
        queue(&mut text, jobs);
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn counters(text: &mut String) {
    for (name, help, counter) in [
        (
            "policy_divergence_total",
            "Writes that only the database refused",
            &POLICY_DIVERGENCE,
        ),
        (
            "missing_privilege_total",
            "Statements that the database refused for want of a grant",
            &MISSING_PRIVILEGE,
        ),
        ("rate_limited_total", "Requests answered 429", &RATE_LIMITED),
        (
            "shed_total",
            "Requests answered 503 because too many were in progress",
            &SHED,
        ),
        (
            "connections_refused_total",
            "Connections closed because their address had too many",
            &CONNECTIONS_REFUSED,
        ),
        ("panics_total", "Handlers that panicked", &PANICS),
        (
            "transactions_retried_total",
            "Transactions run again after a conflict",
            &RETRIED,
        ),
        (
            "jobs_failed_total",
            "Attempts at jobs that failed here and are tried again",
            &JOBS_FAILED,
        ),
        (
            "jobs_died_total",
            "Jobs that failed here for the last time",
            &JOBS_DIED,
        ),
        (
            "webhooks_unsigned_total",
            "Webhooks refused because their signature did not hold",
            &UNSIGNED,
        ),
    ] {
        head(text, name, "counter", help);
        let _ = writeln!(text, "{name} {}", counter.get());
    }
}

fn answers(text: &mut String) {
    let name = "http_answers_total";
    head(text, name, "counter", "Answers by class of status");
    for (index, counter) in ANSWERS.iter().enumerate() {
        let (class, count) = (index + 1, counter.get());
        let _ = writeln!(text, "{name}{{class=\"{class}xx\"}} {count}");
    }
}

fn durations(text: &mut String) {
    let name = "http_duration_seconds";
    head(text, name, "histogram", "Time from request to answer");
    let mut sum = 0;
    for (counter, (_, bound)) in DURATIONS.iter().zip(BOUNDS) {
        sum += counter.get();
        let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {sum}");
    }
    sum += DURATIONS[BOUNDS.len()].get();
    let seconds = MICROSECONDS.load(Relaxed) as f64 / 1e6;
    let _ = writeln!(
        text,
        "{name}_bucket{{le=\"+Inf\"}} {sum}\n{name}_sum {seconds}\n{name}_count {sum}"
    );
}

fn connections(text: &mut String, pool: PoolState) {
    let name = "db_connections";
    head(text, name, "gauge", "Connections of the request pool");
    let busy = (pool.open as usize).saturating_sub(pool.idle);
    for (state, count) in [("idle", pool.idle), ("busy", busy)] {
        let _ = writeln!(text, "{name}{{state=\"{state}\"}} {count}");
    }
}

/// Figures of the whole queue, which are the same in every process.
fn queue(text: &mut String, jobs: Figures) {
    let name = "jobs";
    head(text, name, "gauge", "Jobs in the queue");
    for (state, count) in [
        ("queued", jobs.queued),
        ("running", jobs.running),
        ("dead", jobs.dead),
    ] {
        let _ = writeln!(text, "{name}{{state=\"{state}\"}} {count}");
    }
    let name = "jobs_oldest_seconds";
    let help = "For how long the oldest job that is due has been waiting";
    head(text, name, "gauge", help);
    let _ = writeln!(text, "{name} {}", jobs.oldest_seconds);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_histogram_counts_up_to_all() {
        answered(200, Duration::from_millis(3));
        answered(503, Duration::from_secs(60));
        let jobs = Figures {
            queued: 7,
            running: 2,
            dead: 1,
            oldest_seconds: 1.5,
        };
        let text = text(PoolState { open: 3, idle: 1 }, Some(jobs));
        assert!(text.contains("jobs{state=\"dead\"} 1"));
        assert!(text.contains("db_connections{state=\"busy\"} 2"));
        let last = text.lines().find(|line| line.contains("+Inf")).unwrap();
        let count = text
            .lines()
            .find(|line| line.starts_with("http_duration_seconds_count"))
            .unwrap();
        assert_eq!(last.rsplit(' ').next(), count.rsplit(' ').next());

        // Those who run the server look the names up.
        let page = include_str!("../../../../docs/reference.md");
        let (_, table) = page.split_once("| metric |").unwrap();
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let told: BTreeSet<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let known: BTreeSet<_> = types.filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(told, known);
    }
}
