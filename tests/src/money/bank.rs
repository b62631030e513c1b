//! T1: concurrent transfers between accounts, during which every reader sees the same total.

use super::{accounts, books, faults, transfer};
use crate::support::Database;
use fastrand::Rng;
use sqlx::PgPool;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

const ACCOUNTS: usize = 10;
const WRITERS: usize = 16;
const EACH_CENTS: i64 = 10_000;

/// On a slow machine the run continues until enough has happened, but no longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

struct Run {
    totals: Vec<i64>,
    least: i64,
    moved: usize,
    refused: usize,
}

/// Runs transfers for some seconds, some of them of more than an account has, while two readers add everything up.
async fn run(
    job: PgPool,
    superuser: PgPool,
    accounts: Vec<Uuid>,
    time: Duration,
    seed: u64,
) -> Run {
    let [moved, refused, looks] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (job, accounts) = (job.clone(), accounts.clone());
        let (moved, refused, looks) = (moved.clone(), refused.clone(), looks.clone());
        let earliest = Instant::now() + time;
        writers.push(tokio::spawn(async move {
            let mut random = Rng::with_seed(seed + writer as u64);
            for n in 0.. {
                let now = Instant::now();
                let are_enough = || are_enough(of(&moved), of(&refused), of(&looks));
                if now > earliest + PATIENCE || now > earliest && are_enough() {
                    break;
                }
                let from = random.usize(0..accounts.len());
                let to = (from + random.usize(1..accounts.len())) % accounts.len();
                let amount = random.i64(1..EACH_CENTS);
                let key = format!("bank:{writer}:{n}");
                match transfer(&job, &key, accounts[from], accounts[to], amount).await {
                    Ok(_) => moved.fetch_add(1, Ordering::Relaxed),
                    Err(error) => {
                        let why = kernel::error::violated(&error)
                            .unwrap_or_default()
                            .to_owned();
                        assert_eq!(why, "wallet_accounts_never_negative_check", "{error}");
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                };
            }
        }));
    }
    let reader = {
        let (over, looks) = (over.clone(), looks.clone());
        tokio::spawn(async move {
            let (mut totals, mut least) = (Vec::new(), i64::MAX);
            while !over.load(Ordering::Relaxed) {
                let (total, smallest): (i64, i64) = sqlx::query_as(
                    "select sum(balance_cents)::int8, min(balance_cents - held_cents) from app.wallet_accounts
                     where kind = 'user' and currency = 'SEK'",
                )
                .fetch_one(&superuser)
                .await
                .expect("a total");
                totals.push(total);
                looks.fetch_add(1, Ordering::Relaxed);
                least = least.min(smallest);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (totals, least)
        })
    };
    for writer in writers {
        writer.await.expect("a writer");
    }
    over.store(true, Ordering::Relaxed);
    let (totals, least) = reader.await.expect("a reader");
    Run {
        totals,
        least,
        moved: of(&moved),
        refused: of(&refused),
    }
}

fn of(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

fn are_enough(moved: usize, refused: usize, looks: usize) -> bool {
    moved > 50 && refused > 5 && looks > 10
}

async fn check(database: &Database, run: &Run) {
    let total = EACH_CENTS * ACCOUNTS as i64;
    assert!(
        run.totals.iter().all(|seen| *seen == total),
        "{total}: {:?}",
        run.totals
    );
    assert!(run.least >= 0, "{}", run.least);
    let (moved, refused, looks) = (run.moved, run.refused, run.totals.len());
    assert!(
        are_enough(moved, refused, looks),
        "{moved} moved, {refused} refused, {looks} looks"
    );
    let mut conn = database.superuser().await;
    assert_eq!(faults(&mut conn).await, Vec::<String>::new());
}

/// The duration: some seconds in `script/test`, thirty in `script/soak`.
fn time() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_everybody_sees_the_same_total() {
    let books = books(WRITERS as u32).await;
    let accounts = accounts(&books.superuser, &books.job, ACCOUNTS, EACH_CENTS).await;
    let run = run(
        books.job.clone(),
        books.superuser.clone(),
        accounts,
        time(),
        super::seed(),
    )
    .await;
    check(&books.database, &run).await;
}

/// The negative control: without the row lock that the update of the balance takes, sums are wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_notices_balances_that_are_read_before_they_are_changed() {
    let books = books(WRITERS as u32).await;
    let accounts = accounts(&books.superuser, &books.job, ACCOUNTS, EACH_CENTS).await;
    let text: String = sqlx::query_scalar(
        "select pg_get_functiondef('app.post_journal(text,text,text,uuid,uuid,jsonb)'::regprocedure)",
    )
    .fetch_one(&books.superuser)
    .await
    .expect("the function");
    let guarded = "w.balance_cents + v_leg.amount,";
    assert!(text.contains(guarded));
    // Uses the balance that was read some lines above instead of the current one.
    let careless = text
        .replace(
            "w.frozen_at, l.amount_cents",
            "w.frozen_at, w.balance_cents as before, l.amount_cents",
        )
        .replace(guarded, "v_leg.before + v_leg.amount,");
    sqlx::raw_sql(sqlx::AssertSqlSafe(careless))
        .execute(&books.superuser)
        .await
        .expect("a careless function");
    run(
        books.job.clone(),
        books.superuser.clone(),
        accounts,
        time(),
        super::seed(),
    )
    .await;
    let mut conn = books.database.superuser().await;
    assert_ne!(faults(&mut conn).await, Vec::<String>::new());
}
