//! T10: concurrent spending of the same credits, and what becomes of holds.

use super::{accounts, books, faults, transfer};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// The number of rounds: few in `script/test`, five hundred in `script/soak`.
fn rounds(few: usize) -> usize {
    let given = std::env::var("T10_ROUNDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(few)
}

async fn hold(
    job: &PgPool,
    account: Uuid,
    amount: i64,
    until: DateTime<Utc>,
) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar("select app.hold_credits($1, $2, 'a test', $3)")
        .bind(account)
        .bind(amount)
        .bind(until)
        .fetch_one(job)
        .await
}

async fn post(
    job: &PgPool,
    key: &str,
    hold: Uuid,
    from: Uuid,
    to: Uuid,
    amount: i64,
) -> Result<Uuid, sqlx::Error> {
    let legs = serde_json::json!([
        {"wallet_id": from, "amount_cents": -amount}, {"wallet_id": to, "amount_cents": amount},
    ]);
    sqlx::query_scalar("select app.post_journal('purchase', $1, null, null, $2, $3)")
        .bind(key)
        .bind(hold)
        .bind(legs)
        .fetch_one(job)
        .await
}

async fn release(job: &PgPool, hold: Uuid, state: &str) -> bool {
    sqlx::query_scalar("select app.release_hold($1, $2)")
        .bind(hold)
        .bind(state)
        .fetch_one(job)
        .await
        .expect("an answer")
}

fn refused(error: &sqlx::Error) -> &str {
    kernel::error::violated(error).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_one_of_a_hundred_spends_is_done() {
    let books = books(20).await;
    let accounts = accounts(&books.superuser, &books.job, 2, 1_000).await;
    for round in 0..rounds(4) {
        let (from, to) = (accounts[round % 2], accounts[(round + 1) % 2]);
        let balance: i64 =
            sqlx::query_scalar("select balance_cents from app.wallet_accounts where id = $1")
                .bind(from)
                .fetch_one(&books.superuser)
                .await
                .expect("a balance");
        let amount = balance * 6 / 10;
        let spends = (0..100).map(|n| {
            let job = books.job.clone();
            tokio::spawn(async move {
                transfer(&job, &format!("spend:{round}:{n}"), from, to, amount).await
            })
        });
        let mut done = 0;
        for spend in spends.collect::<Vec<_>>() {
            match spend.await.expect("a task") {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(refused(&error), "wallet_accounts_never_negative_check"),
            }
        }
        assert_eq!(done, 1);
    }
    let mut conn = books.database.superuser().await;
    assert_eq!(faults(&mut conn).await, Vec::<String>::new());
    // The negative control: without the check constraint of the account, all of them succeed.
    sqlx::raw_sql(
        "alter table app.wallet_accounts drop constraint wallet_accounts_never_negative_check",
    )
    .execute(&books.superuser)
    .await
    .expect("no check");
    for n in 0..2 {
        let all = transfer(
            &books.job,
            &format!("unchecked:{n}"),
            accounts[0],
            accounts[1],
            1_500,
        )
        .await;
        all.expect("nothing refuses it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_a_hold_is_settled_once() {
    let books = books(12).await;
    let accounts = accounts(&books.superuser, &books.job, 2, 100_000).await;
    let (from, to) = (accounts[0], accounts[1]);
    let mut ways = [0; 3];
    for round in 0..rounds(30) {
        // The hold expires almost at once, so that its expiry takes part in the race.
        let until = Utc::now() + TimeDelta::milliseconds(round as i64 % 3 * 4);
        let held = hold(&books.job, from, 100, until).await.expect("a hold");
        let (job, key) = (books.job.clone(), format!("a hold:{round:03}"));
        let (posted, voided, expired) = tokio::join!(
            async { post(&job, &key, held, from, to, 100).await },
            async { release(&books.job, held, "voided").await },
            async { release(&books.job, held, "expired").await },
        );
        if let Err(error) = &posted {
            assert_eq!(refused(error), "wallet_holds_over", "{error}");
        }
        let settled = [posted.is_ok(), voided, expired];
        let times = settled.iter().filter(|settled| **settled).count();
        assert_eq!(times, 1, "{settled:?}");
        for (way, settled) in ways.iter_mut().zip(settled) {
            *way += usize::from(settled);
        }
    }
    println!("posted, voided, expired: {ways:?}");
    let mut conn = books.database.superuser().await;
    assert_eq!(faults(&mut conn).await, Vec::<String>::new());
}

/// The negative control: if the state of the hold isn't checked, held credits are released twice.
#[tokio::test]
async fn t10_notices_a_hold_that_is_settled_twice() {
    let books = books(2).await;
    let accounts = accounts(&books.superuser, &books.job, 1, 1_000).await;
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let other = hold(&books.job, accounts[0], 300, tomorrow).await;
    other.expect("another hold");
    let held = hold(&books.job, accounts[0], 100, tomorrow).await;
    let held = held.expect("a hold");
    assert!(release(&books.job, held, "voided").await);
    assert!(!release(&books.job, held, "voided").await);
    let text: String = sqlx::query_scalar(
        "select pg_get_functiondef('app.release_hold(uuid,text)'::regprocedure)",
    )
    .fetch_one(&books.superuser)
    .await
    .expect("the function");
    let condition = " and h.state = 'pending'";
    assert!(text.contains(condition));
    sqlx::raw_sql(sqlx::AssertSqlSafe(text.replace(condition, "")))
        .execute(&books.superuser)
        .await
        .expect("switched off");
    assert!(release(&books.job, held, "voided").await);
    let mut conn = books.database.superuser().await;
    let found = faults(&mut conn).await;
    let expected = "held is not the sum of the holds";
    assert!(
        found.iter().any(|fault| fault.starts_with(expected)),
        "{found:?}"
    );
}

#[tokio::test]
async fn w3_what_is_set_aside_is_not_spent() {
    let books = books(2).await;
    let accounts = accounts(&books.superuser, &books.job, 2, 1_000).await;
    let (from, to) = (accounts[0], accounts[1]);
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let held = hold(&books.job, from, 700, tomorrow).await.expect("a hold");
    let more = hold(&books.job, from, 400, tomorrow).await;
    assert_eq!(
        refused(&more.unwrap_err()),
        "wallet_accounts_never_negative_check"
    );
    let spent = transfer(&books.job, "too much", from, to, 400).await;
    assert_eq!(
        refused(&spent.unwrap_err()),
        "wallet_accounts_never_negative_check"
    );
    // A debit can't exceed the hold; if it is smaller, the rest is released.
    let more = post(&books.job, "hold:more", held, from, to, 800).await;
    assert_eq!(refused(&more.unwrap_err()), "wallet_holds_amount");
    post(&books.job, "hold:less", held, from, to, 600)
        .await
        .expect("taken");
    let row: (i64, i64) =
        sqlx::query_as("select balance_cents, held_cents from app.wallet_accounts where id = $1")
            .bind(from)
            .fetch_one(&books.superuser)
            .await
            .expect("an account");
    assert_eq!(row, (400, 0));
    // An expired hold is never used, whether or not the sweeper has released it.
    let over = hold(&books.job, from, 100, Utc::now() - TimeDelta::seconds(1))
        .await
        .expect("a hold");
    let late = post(&books.job, "hold:late", over, from, to, 100).await;
    assert_eq!(refused(&late.unwrap_err()), "wallet_holds_over");
    let mut conn = books.database.superuser().await;
    assert_eq!(faults(&mut conn).await, Vec::<String>::new());
}
