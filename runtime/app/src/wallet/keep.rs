//! Keeping the books: what lapses goes back, and whether balances are what their legs add up to.

use super::Wallet;
use crate::module::Module;
use kernel::Result;
use uuid::Uuid;

const AT_ONCE: i32 = 200;

/// Of a currency: the account that stands for it in the view is not to blame, and may be the one that everybody is paid from.
const OF_A_CURRENCY: &str = "all accounts together are not nothing";

impl Wallet {
    /// Holds and credits whose time is over. How many.
    pub async fn lapse(&self) -> Result<i64> {
        // Each by itself: trouble with the one is none of the other.
        let holds = self.swept("select app.expire_holds($1)").await;
        let credits = self.swept("select app.expire_credits($1)").await;
        Ok(holds? + credits?)
    }

    /// Some at a time, until there are none.
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

    /// Compares every balance with its legs. An account that does not agree is frozen, so that nothing more is taken
    /// from it, and an alarm is raised. How many faults there are.
    pub async fn reconcile(&self) -> Result<usize> {
        let faults: Vec<(String, String, Uuid)> = self
            .db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let text = "select fault, entity_type, entity_id from app.find_wallet_faults()";
                    let faults: Vec<(String, String, Uuid)> =
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
        for (fault, entity, id) in &faults {
            tracing::error!(fault, entity, %id, "the books of the wallet do not agree");
        }
        Ok(faults.len())
    }
}
