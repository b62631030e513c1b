//! Who has credits for what their card has paid, and whose bank takes the same payment back, would be paid twice. So the
//! credits go back as soon as the bank has taken the money, as far as they are not spent, and are given again if the bank
//! decides otherwise.
//!
//! A refund that is still on its way is another matter: it waits for the bank (`crate::tickets::refund`).

use super::{Payments, looks::in_turn};
use crate::{module::Module, wallet::ledger};
use kernel::{Cx, Result};
use sqlx::Row;
use uuid::Uuid;

/// Brings the payer's credits to what the disputes of a payment have come to, whose row is locked.
pub async fn settle(cx: &mut Cx, transaction: Uuid) -> Result<()> {
    let (due, taken) = claim(cx, transaction).await?;
    if taken < due {
        tracing::warn!(%transaction, due, taken, "a payer has no free credits for money that their bank has given them as well");
    }
    Ok(())
}

impl Payments {
    /// Credits that were set aside for an order, or of an account that was frozen, when the bank took the money, may be free by
    /// now.
    pub(super) async fn claim_again(&self, request: Uuid) -> Result<()> {
        let found = self.in_turn::<Uuid>(
            request,
            in_turn!(
                "select 'claim:' || t.id as id, t.id as name, t.created_at from app.transactions t
                 where t.id in (
                     select d.transaction_id from app.disputes d
                     where d.state in ('needs_response', 'under_review')
                       or (d.state = 'lost' and d.closed_at > now() - interval '35 days')
                   )
                   and exists (
                     select from app.refunds r
                     where (r.order_id = t.order_id or r.promotion_id = t.promotion_id or r.quote_id = t.quote_id) and r.wallet_cents > 0
                   )"
            ),
        );
        for transaction in found.await? {
            let run = self.db.run(Self::NAME, None, request, move |cx| {
                Box::pin(async move { look_again(cx, transaction).await })
            });
            if let Err(error) = run.await {
                tracing::warn!(%transaction, %error, "credits could not be claimed yet");
            }
        }
        Ok(())
    }
}

/// The payment, the order, then the wallet, as whoever learns of a dispute takes them.
async fn look_again(cx: &mut Cx, transaction: Uuid) -> Result<()> {
    let order: Option<Option<Uuid>> =
        sqlx::query_scalar("select order_id from app.transactions where id = $1 for update")
            .bind(transaction)
            .fetch_optional(cx.conn())
            .await?;
    sqlx::query("select from app.orders where id = $1 for update")
        .bind(order.flatten())
        .execute(cx.conn())
        .await?;
    claim(cx, transaction).await.map(drop)
}

/// What is due of the payer's credits, and what has been taken of it by now.
async fn claim(cx: &mut Cx, transaction: Uuid) -> Result<(i64, i64)> {
    let row = sqlx::query(
        "select t.user_id, t.currency, t.amount_cents as card, coalesce(o.wallet_cents, 0) as wallet,
           r.credits, r.to_card, d.disputed
         from app.transactions t
         left join app.orders o on o.id = t.order_id
         cross join lateral (
           select coalesce(sum(x.wallet_cents) filter (where x.state <> 'failed'), 0)::int8 as credits,
             coalesce(sum(x.card_cents) filter (
               where x.state = 'succeeded' and x.failure_code is distinct from 'dispute_lost'), 0)::int8 as to_card
           from app.refunds x
           where x.order_id = t.order_id or x.promotion_id = t.promotion_id or x.quote_id = t.quote_id
         ) r
         cross join lateral (
           select coalesce(sum(x.amount_cents), 0)::int8 as disputed from app.disputes x
           where x.transaction_id = t.id and x.state in ('needs_response', 'under_review', 'lost')
         ) d
         where t.id = $1 and t.user_id is not null and r.credits > coalesce(o.wallet_cents, 0)",
    )
    .bind(transaction)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok((0, 0));
    };
    let cents = |column: &str| row.try_get::<i64, _>(column);
    let due = Paid {
        card: cents("card")?,
        wallet: cents("wallet")?,
        credits: cents("credits")?,
        to_card: cents("to_card")?,
        disputed: cents("disputed")?,
    }
    .twice();
    let (payer, currency): (Uuid, &str) = (row.try_get("user_id")?, row.try_get("currency")?);
    let wallet = ledger::of_member(cx, payer, currency).await?;
    let taken: i64 = sqlx::query_scalar("select app.claim_credits($1, $2, $3)")
        .bind(transaction)
        .bind(wallet)
        .bind(due)
        .fetch_one(cx.conn())
        .await?;
    Ok((due, taken))
}

/// What was paid for something, and what the payer has got back of it.
struct Paid {
    card: i64,
    wallet: i64,
    /// By refunds, as credits.
    credits: i64,
    to_card: i64,
    /// By the bank.
    disputed: i64,
}

impl Paid {
    /// Credits for money that the bank has given as well. What credits had paid is the payer's.
    fn twice(&self) -> i64 {
        let back = self.credits + self.to_card + self.disputed;
        let too_much = back - self.card - self.wallet;
        too_much.min(self.credits - self.wallet).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Paid;

    fn twice(card: i64, wallet: i64, credits: i64, to_card: i64, disputed: i64) -> i64 {
        Paid {
            card,
            wallet,
            credits,
            to_card,
            disputed,
        }
        .twice()
    }

    #[test]
    fn p7_credits_are_claimed_where_the_bank_gives_the_same_money() {
        // All of it, and half of it, went to the wallet.
        assert_eq!(twice(100, 0, 100, 0, 100), 100);
        assert_eq!(twice(100, 0, 50, 0, 100), 50);
        assert_eq!(twice(100, 0, 50, 0, 40), 0);
        // Nobody has taken anything, or no longer.
        assert_eq!(twice(100, 0, 100, 0, 0), 0);
        // What credits had paid comes back as credits and stays.
        assert_eq!(twice(100, 40, 40, 0, 100), 0);
        assert_eq!(twice(100, 40, 140, 0, 100), 100);
        assert_eq!(twice(100, 40, 40, 100, 100), 0);
        // A part went to the card, of which a bank may take what is left.
        assert_eq!(twice(100, 0, 40, 60, 40), 40);
    }
}
