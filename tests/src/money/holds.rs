//! T3: buying, paying, paying twice, paying late, letting go and giving back at the same time, with somebody adding up.

use super::{
    all_faults,
    stage::{Stage, keyed},
};
use app::tickets::settle::Settled;
use fastrand::Rng;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

fn seconds() -> u64 {
    let soak = std::env::var("SOAK_SECONDS").ok();
    soak.and_then(|text| text.parse().ok()).unwrap_or(4)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_stock_is_right_at_every_moment() {
    let stage = Arc::new(Stage::without_provider().await);
    let kinds = [
        stage.tickets("One", 2_500, 12).await,
        stage.tickets("Two", 1_000, 8).await,
    ];
    let over = Arc::new(AtomicBool::new(false));
    let [paid, late, owed, back] = [(); 4].map(|()| Arc::new(AtomicUsize::new(0)));
    let until = Instant::now() + Duration::from_secs(seconds());
    let mut tasks = Vec::new();
    for buyer in 0..4_u64 {
        let member = stage.server.member(&format!("chaos_{buyer}")).await;
        let (stage, paid, late, owed, back) = (
            stage.clone(),
            paid.clone(),
            late.clone(),
            owed.clone(),
            back.clone(),
        );
        tasks.push(tokio::spawn(async move {
            let mut random = Rng::with_seed(buyer);
            while Instant::now() < until {
                let items: Vec<_> = match random.u8(0..3) {
                    0 => vec![(kinds[0], random.i32(1..4))],
                    1 => vec![(kinds[1], random.i32(1..3))],
                    _ => vec![(kinds[1], 1), (kinds[0], 1)],
                };
                let order = stage.order(&member, &items, false).await;
                if order.status != 201 {
                    assert_eq!(order.status, 409, "{}", order.text);
                    continue;
                }
                let order = order.id();
                let is_late = random.bool();
                if is_late {
                    stage.run_out(&order).await;
                    if random.bool() {
                        stage
                            .server
                            .built
                            .app
                            .modules
                            .tickets
                            .expire()
                            .await
                            .expect("swept");
                    }
                }
                match stage.paid(&order).await {
                    Settled::Paid if is_late => late.fetch_add(1, Ordering::Relaxed),
                    Settled::Paid => paid.fetch_add(1, Ordering::Relaxed),
                    Settled::Owed(_) => owed.fetch_add(1, Ordering::Relaxed),
                    Settled::Before => 0,
                };
                assert_eq!(stage.paid(&order).await, Settled::Before);
                if random.u8(0..4) > 0 {
                    let given = keyed(
                        &stage.olga,
                        &format!("/orders/{order}/refunds"),
                        json!({"to": "wallet"}),
                    )
                    .await;
                    back.fetch_add(usize::from(given.status == 201), Ordering::Relaxed);
                }
            }
        }));
    }
    let sampler = {
        let (stage, over) = (stage.clone(), over.clone());
        tokio::spawn(async move {
            let mut conn = stage.server.superuser().await;
            let mut samples = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(all_faults(&mut conn).await, Vec::<String>::new());
                samples += 1;
            }
            samples
        })
    };
    for task in tasks {
        task.await.expect("a buyer");
    }
    over.store(true, Ordering::Relaxed);
    let samples = sampler.await.expect("a sampler");
    let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    println!(
        "paid {}, late {}, owed {}, given back {}, samples {samples}",
        of(&paid),
        of(&late),
        of(&owed),
        of(&back)
    );
    assert!(of(&paid) > 0 && of(&late) > 0 && of(&back) > 0 && samples > 3);
    stage.sound().await;
}
