//! What the database enforces about the ledger regardless of modules, each with the guard switched off.

use super::{accounts, books, faults, transfer};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

async fn as_module(job: &PgPool, text: &str) -> Result<(), sqlx::Error> {
    let whole = format!("begin; select set_config('app.job', 'wallet', true); {text}; commit");
    let mut conn = job.acquire().await.expect("a connection");
    let result = sqlx::raw_sql(AssertSqlSafe(whole))
        .execute(&mut *conn)
        .await;
    if result.is_err() {
        sqlx::raw_sql("rollback")
            .execute(&mut *conn)
            .await
            .expect("undone");
    }
    result.map(drop)
}

fn refused(result: Result<impl Sized, sqlx::Error>) -> String {
    let Err(error) = result else {
        return "done".to_owned();
    };
    let database = error.as_database_error().expect("of the database");
    let named = database.constraint().map(str::to_owned);
    named.unwrap_or_else(|| database.code().unwrap_or_default().into_owned())
}

#[tokio::test]
async fn i_w1_a_journal_that_does_not_balance_is_not_committed() {
    let books = books(2).await;
    let accounts = accounts(&books.superuser, &books.job, 2, 1_000).await;
    let legs = |other: i64| {
        json!([
            {"wallet_id": accounts[0], "amount_cents": -100}, {"wallet_id": accounts[1], "amount_cents": other},
        ])
    };
    let post = |key: &'static str, legs: serde_json::Value| {
        sqlx::query("select app.post_journal('adjustment', $1, null, null, null, $2)")
            .bind(key)
            .bind(legs)
            .execute(&books.job)
    };
    assert_eq!(
        refused(post("journal:99", legs(99)).await),
        "wallet_journals_balance"
    );
    assert_eq!(
        refused(
            post(
                "journal:one",
                json!([{"wallet_id": accounts[0], "amount_cents": 1}])
            )
            .await
        ),
        "wallet_journals_legs"
    );
    let nowhere = json!([{"wallet_id": accounts[0], "amount_cents": 1}, {"wallet_id": Uuid::nil(), "amount_cents": -1}]);
    assert_eq!(
        refused(post("journal:nowhere", nowhere).await),
        "wallet_journals_legs"
    );
    assert_eq!(refused(post("journal:100", legs(100)).await), "done");
    // Transactions of other modules are checked too, since the check sees the legs whoever commits.
    sqlx::raw_sql(
        "alter table app.wallet_transactions disable trigger wallet_transactions_balance",
    )
    .execute(&books.superuser)
    .await
    .expect("switched off");
    assert_eq!(refused(post("journal:unguarded", legs(99)).await), "done");
    let mut conn = books.database.superuser().await;
    assert!(
        faults(&mut conn)
            .await
            .iter()
            .any(|fault| fault.starts_with("unbalanced journal"))
    );
}

#[tokio::test]
async fn m2_i_w1_legs_are_in_the_currency_of_their_account() {
    let books = books(2).await;
    let accounts = accounts(&books.superuser, &books.job, 2, 1_000).await;
    let mixed = format!(
        "insert into app.wallet_journals (id, kind, idempotency_key) values ('{0}', 'adjustment', 'mixed:currency');
         insert into app.wallet_transactions (wallet_id, journal_id, amount_cents, currency, type) values
           ('{1}', '{0}', 5, 'EUR', 'debit'), ('{2}', '{0}', 5, 'EUR', 'credit')",
        Uuid::now_v7(), accounts[0], accounts[1],
    );
    assert_eq!(
        refused(as_module(&books.job, &mixed).await),
        "wallet_transactions_currency"
    );
    // The negative control.
    let off = "alter table app.wallet_transactions disable trigger wallet_transactions_currency";
    let done = sqlx::raw_sql(off).execute(&books.superuser).await;
    done.expect("switched off");
    assert_eq!(refused(as_module(&books.job, &mixed).await), "done");
}

#[tokio::test]
async fn m4_i_w2_legs_and_journals_are_never_changed() {
    let books = books(2).await;
    accounts(&books.superuser, &books.job, 2, 1_000).await;
    for table in ["wallet_transactions", "wallet_journals"] {
        for text in [
            format!("update app.{table} set reference = 'other'"),
            format!("delete from app.{table}"),
            format!("truncate app.{table} cascade"),
        ] {
            assert_eq!(
                refused(as_module(&books.job, &text).await),
                "42501",
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn i_w4_all_accounts_together_are_nothing() {
    let books = books(2).await;
    let accounts = accounts(&books.superuser, &books.job, 4, 1_000).await;
    for n in 0..12 {
        let key = format!("round:{n:04}");
        transfer(
            &books.job,
            &key,
            accounts[n % 4],
            accounts[(n + 1) % 4],
            10 + n as i64,
        )
        .await
        .expect("moved");
    }
    let totals: Vec<(String, i64)> = sqlx::query_as(
        "select currency, sum(case type when 'credit' then amount_cents else -amount_cents end)::int8
         from app.wallet_transactions group by currency having count(*) > 0 and currency = 'SEK'",
    )
    .fetch_all(&books.superuser)
    .await
    .expect("totals");
    assert_eq!(totals, [("SEK".to_owned(), 0)]);
}

#[tokio::test]
async fn i_w5_an_entry_is_reversed_once_and_a_key_books_once() {
    let books = books(4).await;
    let accounts = accounts(&books.superuser, &books.job, 2, 1_000).await;
    let journal = transfer(&books.job, "first:one", accounts[0], accounts[1], 100)
        .await
        .expect("booked");
    let again = transfer(&books.job, "first:one", accounts[0], accounts[1], 100)
        .await
        .expect("the same");
    assert_eq!(journal, again);
    let other = transfer(&books.job, "first:one", accounts[0], accounts[1], 101).await;
    assert_eq!(refused(other), "wallet_journals_key_reused");
    let back = json!([
        {"wallet_id": accounts[0], "amount_cents": 100}, {"wallet_id": accounts[1], "amount_cents": -100},
    ]);
    let reverse = |key: &'static str| {
        sqlx::query("select app.post_journal('reversal', $1, null, $2, null, $3)")
            .bind(key)
            .bind(journal)
            .bind(back.clone())
            .execute(&books.job)
    };
    assert_eq!(refused(reverse("reversal:1").await), "done");
    assert_eq!(
        refused(reverse("reversal:2").await),
        "wallet_journals_reverses_id_key"
    );
    let mut conn = books.database.superuser().await;
    assert_eq!(faults(&mut conn).await, Vec::<String>::new());
}

/// A client that uses only the columns of the first design works unchanged.
#[tokio::test]
async fn the_literal_columns_of_the_first_design_work() {
    let books = books(2).await;
    let accounts = accounts(&books.superuser, &books.job, 1, 1_000).await;
    let user: Uuid = sqlx::query_scalar("select user_id from app.wallet_accounts where id = $1")
        .bind(accounts[0])
        .fetch_one(&books.superuser)
        .await
        .expect("a member");
    let balance: i64 = sqlx::query_scalar(
        "select balance_cents from app.wallet_accounts where user_id = $1 and currency = 'SEK'",
    )
    .bind(user)
    .fetch_one(&books.superuser)
    .await
    .expect("a balance");
    let history: Vec<(i64, String, Option<String>)> = sqlx::query_as(
        "select amount_cents, type, reference from app.wallet_transactions where wallet_id = $1 order by created_at desc",
    )
    .bind(accounts[0])
    .fetch_all(&books.superuser)
    .await
    .expect("a history");
    assert_eq!(balance, 1_000);
    assert_eq!(
        history,
        [(1_000, "credit".to_owned(), Some("a test".to_owned()))]
    );
}
