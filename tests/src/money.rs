//! Money: the guarantees about credits, orders and payments, tested by the number of the requirement or fault.

mod abroad;
mod amounts;
mod at_door;
mod attendees;
mod audit;
mod auditor;
mod backends;
mod bad_days;
mod bad_weeks;
mod bank;
mod bounds;
mod buyers;
mod by_card;
mod cancelled;
mod cards;
mod changes;
mod checkpoints;
mod cities;
mod closed;
mod controls;
mod crossing;
mod dismissed;
mod disputes;
mod door;
mod fees;
mod frozen;
mod hidden_places;
mod holds;
mod hosts;
mod in_steps;
mod inbox;
mod invariants;
mod kept;
mod kills;
mod lapses;
mod late;
mod ledger;
mod locks;
mod looks;
mod lost;
pub mod market;
mod offline;
mod on_sale;
mod one_currency;
mod orders;
mod payments;
mod plan_days;
mod promises;
mod promotions;
mod proposals;
mod readers;
mod referrals;
mod refunds;
mod restored;
mod reversals;
mod sales;
mod sellable;
mod shop;
mod skew;
mod soak;
mod spends;
pub mod stage;
mod stampede;
mod started;
mod storm;
mod strangers;
mod stuck;
mod subscriptions;
mod times;
mod told;
mod transfers;
mod unpaid_places;
mod waitlist;
mod waitlist_priority;
mod wallet;

use crate::support::{Database, database::Content};
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

/// Violated invariants of the ledger; must be empty at any moment.
pub async fn faults(conn: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select fault || ' ' || entity_type || ' ' || entity_id from app.wallet_faults",
    )
    .fetch_all(conn)
    .await
    .expect("the view")
}

/// A query for violated invariants of everything that is about money; must return no rows at any moment.
pub const INVARIANTS: &str =
    "select fault || ' ' || entity_type || ' ' || entity_id from app.money_invariants";

/// Violated invariants including those of orders and tickets. Only for stages without the sample data, whose invented
/// rows violate them.
pub async fn all_faults(conn: &mut PgConnection) -> Vec<String> {
    let faults = sqlx::query_scalar(INVARIANTS).fetch_all(conn).await;
    faults.expect("the view")
}

/// The seed of random decisions. It is printed, so that `SEED=…` repeats a run.
pub fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("SEED={seed}");
    seed
}

/// Creates members with this many credits each, paid from a budget. Returns their accounts.
pub async fn accounts(
    superuser: &PgPool,
    job: &PgPool,
    count: usize,
    amount_cents: i64,
) -> Vec<Uuid> {
    let people: Vec<Uuid> = sqlx::query_scalar("select id from app.users order by id limit $1")
        .bind(count as i64)
        .fetch_all(superuser)
        .await
        .expect("people");
    assert_eq!(people.len(), count, "people in the sample");
    let budget: Uuid =
        sqlx::query_scalar("select app.system_wallet('promo_budget', null, null, 'SEK')")
            .fetch_one(job)
            .await
            .expect("a budget");
    let cash: Uuid =
        sqlx::query_scalar("select app.system_wallet('platform_cash', null, null, 'SEK')")
            .fetch_one(job)
            .await
            .expect("cash");
    transfer(
        job,
        "funding:test",
        cash,
        budget,
        amount_cents * count as i64,
    )
    .await
    .expect("a budget that is filled");
    let mut accounts = Vec::new();
    for person in people {
        let account: Uuid = sqlx::query_scalar("select app.wallet_of($1, 'SEK')")
            .bind(person)
            .fetch_one(job)
            .await
            .expect("an account");
        transfer(
            job,
            &format!("credit:{person}"),
            budget,
            account,
            amount_cents,
        )
        .await
        .expect("credits");
        accounts.push(account);
    }
    accounts
}

pub async fn transfer(
    job: &PgPool,
    key: &str,
    from: Uuid,
    to: Uuid,
    amount_cents: i64,
) -> Result<Uuid, sqlx::Error> {
    let legs = serde_json::json!([
        {"wallet_id": from, "amount_cents": -amount_cents},
        {"wallet_id": to, "amount_cents": amount_cents},
    ]);
    sqlx::query_scalar("select app.post_journal('adjustment', $1, 'a test', null, null, $2)")
        .bind(key)
        .bind(legs)
        .fetch_one(job)
        .await
}

/// Two connection pools: of a superuser, and of the database role of modules.
pub struct Books {
    pub superuser: PgPool,
    pub job: PgPool,
    pub database: Database,
}

pub async fn books(connections: u32) -> Books {
    let database = Database::new(Content::Sample).await;
    let options = PgPoolOptions::new().max_connections(connections);
    let job = options.connect_lazy(&database.url("culturepass_job"));
    let superuser = PgPoolOptions::new()
        .max_connections(4)
        .connect_lazy_with(database.superuser_options());
    Books {
        superuser,
        job: job.expect("a URL"),
        database,
    }
}
