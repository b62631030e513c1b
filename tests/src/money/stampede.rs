//! T2: everybody orders the last tickets at the same moment, over HTTP.

use super::stage::{Stage, keyed};
use crate::support::Member;
use axum::http::StatusCode;
use fastrand::Rng;
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use uuid::Uuid;

pub const BUYERS: usize = 200;
pub const CAPACITY: i32 = 50;

/// The number of seeds: one in `script/test`, twenty in `script/soak`.
fn seeds() -> u64 {
    let given = std::env::var("SEEDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The status of each buyer's answer, and the time that it took.
pub struct Rush(Vec<(StatusCode, Duration)>);

impl Rush {
    pub fn count(&self, status: StatusCode) -> usize {
        self.0.iter().filter(|(got, _)| *got == status).count()
    }

    /// Statuses other than the two expected ones.
    fn other(&self) -> Vec<StatusCode> {
        let known = [StatusCode::CREATED, StatusCode::CONFLICT];
        let all = self.0.iter().map(|(status, _)| *status);
        all.filter(|status| !known.contains(status)).collect()
    }

    fn slowest(&self, of_a_hundred: usize) -> Duration {
        let mut all: Vec<Duration> = self.0.iter().map(|(_, took)| *took).collect();
        all.sort_unstable();
        all[(all.len() * of_a_hundred / 100).min(all.len() - 1)]
    }
}

/// All buyers order at the same moment, in an order that the seed determines; nobody retries.
pub async fn rush(stage: &Stage, buyers: &[Member], kind: Uuid, seed: u64) -> Rush {
    let mut random = Rng::with_seed(seed);
    let mut order: Vec<&Member> = buyers.iter().collect();
    random.shuffle(&mut order);
    let all = order.into_iter().map(|buyer| {
        let pause = Duration::from_micros(random.u64(0..20_000));
        async move {
            tokio::time::sleep(pause).await;
            let began = Instant::now();
            let cart = stage.cart(&[(kind, 1)], false);
            let status = keyed(buyer, "/orders", cart).await.status;
            (status, began.elapsed())
        }
    });
    Rush(join_all(all).await)
}

/// A stage on which requests wait for its few connections: on a machine with two processors, two hundred buyers would
/// otherwise be told to retry.
async fn stage() -> Stage {
    Stage::changed(true, |parts| {
        parts.db.acquire_timeout = Duration::from_secs(120);
        parts.http.handler_timeout = Duration::from_secs(120);
    })
    .await
}

pub async fn buyers(stage: &Stage, count: usize) -> Vec<Member> {
    let mut buyers = Vec::with_capacity(count);
    for n in 0..count {
        buyers.push(stage.server.member(&format!("buyer_{n}")).await);
    }
    buyers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_the_last_tickets_are_sold_once() {
    let stage = stage().await;
    let buyers = buyers(&stage, BUYERS).await;
    let first = super::seed();
    for seed in (0..seeds()).map(|n| first.wrapping_add(n)) {
        for (name, price) in [("Free", 0), ("Paid", 2_500)] {
            let kind = stage
                .tickets(&format!("{name} {seed}"), price, CAPACITY)
                .await;
            let told = rush(&stage, &buyers, kind, seed).await;
            assert_eq!(told.other(), Vec::<StatusCode>::new(), "{name} {seed}");
            let sold = told.count(StatusCode::CREATED);
            assert_eq!(sold, CAPACITY as usize, "{name} {seed}");
            let (held, sold) = stage.stock(kind).await;
            assert_eq!(held + sold, CAPACITY, "{name} {seed}");
            println!(
                "{name} {seed}: {BUYERS} buyers were told within {:?} (half), {:?} (99 of 100)",
                told.slowest(50),
                told.slowest(99)
            );
        }
    }
    stage.sound().await;
}

/// The negative control: without the condition in the update and the table's own check, more tickets are sold than
/// exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_notices_a_sale_without_its_condition() {
    let stage = stage().await;
    let buyers = buyers(&stage, BUYERS).await;
    let kind = stage.tickets("Free", 0, CAPACITY).await;
    let mut conn = stage.server.superuser().await;
    let text: String =
        sqlx::query_scalar("select pg_get_functiondef('app.hold_tickets(uuid)'::regprocedure)")
            .fetch_one(&mut conn)
            .await
            .expect("the function");
    let condition = " and t.held + t.sold + v_need <= t.capacity";
    assert!(text.contains(condition));
    for text in [
        text.replace(condition, ""),
        "alter table app.ticket_types drop constraint ticket_types_within_capacity_check"
            .to_owned(),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut conn)
            .await
            .expect("switched off");
    }
    rush(&stage, &buyers, kind, 0).await;
    let (mut held, mut sold) = stage.stock(kind).await;
    // On a slow machine they may run one after the other, and then each sees what the one before has left.
    for n in 1..=5 {
        if held + sold > CAPACITY {
            break;
        }
        let kind = stage.tickets(&format!("Free {n}"), 0, CAPACITY).await;
        rush(&stage, &buyers, kind, n).await;
        (held, sold) = stage.stock(kind).await;
    }
    assert!(held + sold > CAPACITY, "{held} {sold}");
    let found = super::all_faults(&mut conn).await;
    assert!(
        found.iter().any(|fault| fault.starts_with("oversold")),
        "{found:?}"
    );
}
