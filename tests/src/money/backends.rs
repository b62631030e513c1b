//! T5: PostgreSQL terminates the server's connections while people buy, or crashes; the server recovers by itself.

use super::{buyers::Crowd, shop::Shop};
use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest wait for a recovery. No test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

fn times() -> usize {
    let given = std::env::var("SOAK_CRASHES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// Terminates the connections of both roles, whatever they are doing.
async fn terminate(shop: &Shop) -> u64 {
    shop.run(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and usename in ('culturepass_app', 'culturepass_job')",
    )
    .await
}

/// Runs a program that crashes PostgreSQL and restarts it (`pg_ctl -m immediate`), if the soak names one.
fn crash() -> bool {
    let Ok(program) = std::env::var("SOAK_CRASH") else {
        return false;
    };
    assert!(Command::new(program).status().expect("a program").success());
    true
}

/// Waits until a request succeeds again.
async fn recovered(shop: &Shop, crowd: &Crowd) -> Duration {
    let (since, before) = (Instant::now(), crowd.paid());
    while crowd.paid() == before {
        assert!(since.elapsed() < PATIENCE, "no request succeeds any more");
        shop.claims_end(5).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while shop.try_faults().await.is_none() {
        assert!(since.elapsed() < PATIENCE, "PostgreSQL stays down");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t5_connections_that_end_lose_nothing() {
    let seed = super::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let shop = Arc::new(Shop::new().await);
    let mut program = shop.serve().await;
    let crowd = Crowd::enter(&shop, seed);
    let (mut ended, mut longest) = (0, Duration::ZERO);
    for n in 0..times() {
        tokio::time::sleep(Duration::from_millis(random.u64(200..1_500))).await;
        if n % 2 == 0 || !crash() {
            ended += terminate(&shop).await;
        }
        longest = longest.max(recovered(&shop, &crowd).await);
        assert_eq!(shop.faults().await, Vec::<String>::new(), "after {n}");
    }
    assert!(program.status().is_none(), "it ended:\n{}", program.text());
    let told = crowd.leave().await;
    shop.quiet().await;
    println!(
        "{ended} connections ended in {} rounds, served again after {longest:?} at most: {} orders, {} told to be paid",
        times(),
        told.placed.len(),
        told.paid.len()
    );
    assert_eq!(shop.audit(&told).await, Vec::<String>::new());
}
