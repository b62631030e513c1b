//! T3: ordering, paying, paying twice, paying late, cancelling and refunding at the same time, while the invariants
//! are checked.

use super::{
    all_faults,
    stage::{Stage, keyed},
};
use crate::support::Member;
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
use uuid::Uuid;

/// What has happened so far.
#[derive(Default)]
struct Counts {
    paid: AtomicUsize,
    late: AtomicUsize,
    owed: AtomicUsize,
    given_back: AtomicUsize,
    samples: AtomicUsize,
}

/// The run lasts some seconds, longer in a soak, and on a slow machine until everything has happened a few times.
struct End {
    earliest: Instant,
    latest: Instant,
}

const PATIENCE: Duration = Duration::from_secs(300);

/// The number of times that the invariants must have been checked by the end; a thousand in `script/soak`.
fn samples() -> usize {
    let given = std::env::var("SAMPLES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(25)
}

impl End {
    fn after(seconds: u64) -> Self {
        let earliest = Instant::now() + Duration::from_secs(seconds);
        Self {
            earliest,
            latest: earliest + PATIENCE,
        }
    }

    fn is_come(&self, counts: &Counts) -> bool {
        let now = Instant::now();
        now > self.latest || now > self.earliest && counts.are_enough()
    }
}

impl Counts {
    fn are_enough(&self) -> bool {
        let happened = [&self.paid, &self.late, &self.given_back].map(of);
        happened.iter().all(|times| *times > 0) && of(&self.samples) >= samples()
    }
}

fn of(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

fn add(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn seconds() -> u64 {
    let soak = std::env::var("SOAK_SECONDS").ok();
    soak.and_then(|text| text.parse().ok()).unwrap_or(4)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_stock_is_right_at_every_moment() {
    chaos(Arc::new(Stage::without_provider().await), seconds()).await;
}

/// The negative control: tickets that come back without their place are noticed by the query that the test repeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_notices_stock_that_is_not_returned() {
    let stage = Stage::without_provider().await;
    let kinds = [
        stage.tickets("One", 2_500, 12).await,
        stage.tickets("Two", 1_000, 8).await,
    ];
    let mut conn = stage.server.superuser().await;
    let text: String =
        sqlx::query_scalar("select pg_get_functiondef('app.return_tickets(uuid)'::regprocedure)")
            .fetch_one(&mut conn)
            .await
            .expect("the function");
    let returned = "set sold = t.sold - v_type.quantity";
    assert!(text.contains(returned));
    sqlx::raw_sql(sqlx::AssertSqlSafe(
        text.replace(returned, "set sold = t.sold"),
    ))
    .execute(&mut conn)
    .await
    .expect("switched off");
    let (counts, mut random) = (Counts::default(), Rng::with_seed(1));
    for _ in 0..20 {
        assert_eq!(all_faults(&mut conn).await, Vec::<String>::new());
        buy(&stage, &stage.mira, &kinds, &mut random, &counts).await;
        if of(&counts.given_back) > 0 {
            break;
        }
    }
    let faults = all_faults(&mut conn).await;
    let fault = "sold is not the number of tickets";
    assert!(
        faults.iter().any(|found| found.contains(fault)),
        "{faults:?}"
    );
}

/// Runs everything at once for this many seconds, while the invariants are checked continuously.
pub async fn chaos(stage: Arc<Stage>, seconds: u64) {
    let kinds = [
        stage.tickets("One", 2_500, 12).await,
        stage.tickets("Two", 1_000, 8).await,
    ];
    let (counts, end) = (Arc::new(Counts::default()), Arc::new(End::after(seconds)));
    let mut buyers = Vec::new();
    for buyer in 0..4_u64 {
        let member = stage.server.member(&format!("chaos_{buyer}")).await;
        let (stage, counts, end) = (stage.clone(), counts.clone(), end.clone());
        buyers.push(tokio::spawn(async move {
            let mut random = Rng::with_seed(buyer);
            while !end.is_come(&counts) {
                buy(&stage, &member, &kinds, &mut random, &counts).await;
            }
        }));
    }
    let over = Arc::new(AtomicBool::new(false));
    let sampler = {
        let (stage, counts, over) = (stage.clone(), counts.clone(), over.clone());
        tokio::spawn(async move {
            let mut conn = stage.server.superuser().await;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(all_faults(&mut conn).await, Vec::<String>::new());
                add(&counts.samples);
            }
        })
    };
    for buyer in buyers {
        buyer.await.expect("a buyer");
    }
    over.store(true, Ordering::Relaxed);
    sampler.await.expect("a sampler");
    println!(
        "paid {}, late {}, owed {}, given back {}, samples {}",
        of(&counts.paid),
        of(&counts.late),
        of(&counts.owed),
        of(&counts.given_back),
        of(&counts.samples)
    );
    assert!(counts.are_enough());
    stage.sound().await;
}

/// One order: paid in time or late, reported twice, and mostly refunded.
async fn buy(stage: &Stage, member: &Member, kinds: &[Uuid; 2], random: &mut Rng, counts: &Counts) {
    let items: Vec<_> = match random.u8(0..3) {
        0 => vec![(kinds[0], random.i32(1..4))],
        1 => vec![(kinds[1], random.i32(1..3))],
        _ => vec![(kinds[1], 1), (kinds[0], 1)],
    };
    let order = stage.order(member, &items, false).await;
    if order.status != 201 {
        assert_eq!(order.status, 409, "{}", order.text);
        return;
    }
    let order = order.id();
    let is_late = random.bool();
    if is_late {
        stage.run_out(&order).await;
        if random.bool() {
            let tickets = &stage.server.built.app.modules.tickets;
            tickets.expire().await.expect("swept");
        }
    }
    match stage.paid(&order).await {
        Settled::Paid if is_late => add(&counts.late),
        Settled::Paid => add(&counts.paid),
        Settled::Owed(_) => add(&counts.owed),
        Settled::Before => {}
    }
    assert_eq!(stage.paid(&order).await, Settled::Before);
    if random.u8(0..4) > 0 {
        let path = format!("/orders/{order}/refunds");
        let given = keyed(member, &path, json!({"to": "wallet"})).await;
        match given.status.as_u16() {
            201 => add(&counts.given_back),
            // There is nothing to be given back.
            409 => {}
            status => panic!("{status}: {}", given.text),
        }
    }
}
