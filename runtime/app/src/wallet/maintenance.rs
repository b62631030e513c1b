//! Periodic work on the ledger: books expired credits, and checks that every balance is the sum of its legs.

use super::Wallet;
use crate::module::Module;
use kernel::Result;
use uuid::Uuid;

const AT_ONCE: i32 = 200;

/// The fault of a currency as a whole. The account that the view names for it is not to blame and may be the one that
/// refunds are paid from, so it is not frozen.
const OF_A_CURRENCY: &str = "the accounts of a currency do not add up to zero";

/// What is wrong, the name of the entity and its id.
type Fault = (String, String, Uuid);

fn tell(faults: &[Fault]) {
    for (fault, entity, id) in faults {
        tracing::error!(fault, entity, %id, "the books do not agree");
    }
}

impl Wallet {
    /// Ends holds and credits whose time is over. Returns how many.
    pub async fn lapse(&self) -> Result<i64> {
        // Both are tried before either error is returned, so that a failure of one does not prevent the other.
        let holds = self.swept("select app.expire_holds($1)").await;
        let credits = self.swept("select app.expire_credits($1)").await;
        Ok(holds? + credits?)
    }

    /// Repeats the statement, in a transaction each, until it finds no more rows. Returns how many it has handled.
    async fn swept(&self, text: &'static str) -> Result<i64> {
        let mut all = 0;
        loop {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let done: i32 = sqlx::query_scalar(text)
                        .bind(AT_ONCE)
                        .fetch_one(cx.conn())
                        .await?;
                    Ok(done)
                })
            });
            let done = run.await?;
            all += i64::from(done);
            if done == 0 {
                return Ok(all);
            }
        }
    }

    /// Compares every balance with its legs. An account that differs is frozen, so that nothing more can be taken from
    /// it, and an error is logged. Returns the number of faults.
    pub async fn reconcile(&self) -> Result<usize> {
        let faults: Vec<Fault> = self
            .db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let text = "select fault, entity_type, entity_id from app.find_wallet_faults()";
                    let faults: Vec<Fault> =
                        sqlx::query_as(text).fetch_all(cx.conn()).await?;
                    let accounts: Vec<Uuid> = faults
                        .iter()
                        .filter(|(fault, entity, _)| {
                            entity == "wallet_account" && fault != OF_A_CURRENCY
                        })
                        .map(|(.., id)| *id)
                        .collect();
                    if !accounts.is_empty() {
                        sqlx::query(
                            "update app.wallet_accounts set frozen_at = now() where id = any ($1) and frozen_at is null",
                        )
                        .bind(accounts)
                        .execute(cx.conn())
                        .await?;
                    }
                    Ok(faults)
                })
            })
            .await?;
        tell(&faults);
        Ok(faults.len())
    }

    /// Looks for faults in the books of tickets, payments and featured places (`app.money_invariants` without the
    /// wallet's), and logs an error for each. Returns their number. Nothing is frozen: what is wrong is somebody's ticket
    /// or refund, which an operator has to look at.
    pub async fn audit(&self) -> Result<usize> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let text = "select fault, entity_type, entity_id from app.find_money_faults()";
                let faults: Vec<Fault> = sqlx::query_as(text).fetch_all(cx.conn()).await?;
                Ok(faults)
            })
        });
        let faults = run.await?;
        tell(&faults);
        Ok(faults.len())
    }
}
