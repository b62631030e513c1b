//! T18: a long run in which one in a hundred calls fails and events come twice, late or never. The invariants are
//! checked all the time, the server's memory is watched, and the books are compared in the end.

use super::{buyers::Crowd, shop::Shop};
use fake_stripe::{
    fault::{Fault, Kind},
    webhook::Mischief,
};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

const LOOK: Duration = Duration::from_secs(5);

/// The number of samples from which on the server's memory may not grow by more than a tenth.
const LONG: usize = 60;

fn minutes() -> f64 {
    let given = std::env::var("SOAK_MINUTES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(10.0)
}

/// Ten of a thousand calls fail, in all possible ways.
fn bad_days(shop: &Shop) {
    let fake = &shop.stripe.fake;
    let kinds = Kind::ALL.into_iter().map(|kind| match kind {
        Kind::Stall { .. } => Kind::Stall { seconds: 2 },
        kind => kind,
    });
    for (n, kind) in kinds.enumerate() {
        let mut fault = Fault::new(kind);
        fault.per_mille = Some(if n == 0 { 2 } else { 1 });
        fake.add_fault(fault);
    }
    fake.set_mischief(Mischief {
        copies: 2,
        delay_seconds: 0,
        shuffle_seconds: 3,
        drop_per_mille: 10,
        hold: false,
    });
}

/// Resident memory of a process, in KiB.
fn memory(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).expect("kB")
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as one likes: script/soak"]
async fn t18_a_long_day_leaves_nothing_behind() {
    let seed = super::seed();
    let shop = Arc::new(Shop::new().await);
    let mut program = shop.serve().await;
    bad_days(&shop);
    let crowd = Crowd::enter(&shop, seed);
    let until = Instant::now() + Duration::from_secs_f64(minutes() * 60.0);
    let mut samples = Vec::new();
    while Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        assert_eq!(shop.faults().await, Vec::<String>::new());
        assert!(program.status().is_none(), "it ended:\n{}", program.text());
        samples.push(memory(program.id()));
    }
    let told = crowd.leave().await;
    shop.stripe.fake.clear_faults();
    shop.quiet().await;
    let part = samples.len().div_ceil(4);
    // The first quarter is left out, since it fills caches and pools.
    let second = part.min(samples.len() - 1);
    let (early, late) = (
        median(&samples[second..(second + part).min(samples.len())]),
        median(&samples[samples.len() - part..]),
    );
    println!(
        "{} minutes, {} samples without a fault: {} orders, {} told to be paid, {} refunds; memory {} MiB, in the end {} MiB",
        minutes(),
        samples.len(),
        told.placed.len(),
        told.paid.len(),
        told.refunds.len(),
        early / 1024,
        late / 1024
    );
    assert_eq!(shop.audit(&told).await, Vec::<String>::new());
    // In a shorter run the caches are still being filled.
    if samples.len() >= LONG {
        assert!(late <= early * 11 / 10, "memory grew by more than a tenth");
    }
}
