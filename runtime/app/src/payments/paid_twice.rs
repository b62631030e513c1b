//! Keeps payers from being paid twice: by credits for what the card has paid, and by a bank that takes the same
//! payment back. The credits are taken back as soon as the bank has taken the money, as far as they are not spent, and
//! are given again if the bank decides otherwise.
//!
//! Pending refunds are not handled here: they wait for the bank's decision (`crate::tickets::refund`).

use super::{Payments, looks::in_turn};
use crate::{module::Module, wallet::ledger};
use kernel::{Cx, Result};
use sqlx::Row;
use uuid::Uuid;

/// Adjusts the payer's credits to the current disputes of a payment, whose row must be locked. Credits that are held
/// at the moment are not claimed; [`Payments::claim_again`] claims them later.
pub async fn settle(cx: &mut Cx, transaction: Uuid) -> Result<()> {
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
        return Ok(());
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
    if taken < due {
        tracing::info!(%transaction, due, taken, "a payer has no credits left of those for money that a bank has given as well");
    }
    Ok(())
}

impl Payments {
    /// Claims credits that could not be claimed before: the payer's account was frozen, or the credits were held for
    /// an order that has expired since. Stops 35 days after the end of the dispute, because what the payer receives
    /// much later does not come from the refund.
    pub(super) async fn claim_again(&self, request: Uuid) -> Result<()> {
        self.each_in_turn(
            request,
            in_turn!(
                "select 'claim:' || t.id as id, t.id as name, t.created_at from app.transactions t
                 where t.id in (
                     select d.transaction_id from app.disputes d
                     where d.state in ('needs_response', 'under_review')
                       or (d.state = 'lost' and d.closed_at > now() - interval '35 days'))
                   and exists (
                     select from app.refunds r
                     where (r.order_id = t.order_id or r.promotion_id = t.promotion_id or r.quote_id = t.quote_id)
                       and r.state <> 'failed' and r.wallet_cents > 0)"
            ),
            "credits could not be claimed yet",
            |transaction: Uuid| {
                self.db.run(Self::NAME, None, request, move |cx| {
                    Box::pin(async move {
                        lock(cx, transaction).await?;
                        settle(cx, transaction).await
                    })
                })
            },
        )
        .await
    }
}

/// Locks the payment and then its order, in the same order as all statements that change refunds or disputes of a
/// payment.
async fn lock(cx: &mut Cx, transaction: Uuid) -> Result<()> {
    for text in [
        "select from app.transactions t where t.id = $1 for update",
        "select from app.orders o join app.transactions t on t.order_id = o.id where t.id = $1 for update of o",
    ] {
        sqlx::query(text)
            .bind(transaction)
            .execute(cx.conn())
            .await?;
    }
    Ok(())
}

/// The amounts that were paid, and what the payer has received back. In minor units.
struct Paid {
    card: i64,
    wallet: i64,
    /// Refunded as credits.
    credits: i64,
    to_card: i64,
    /// Taken back by the bank.
    disputed: i64,
}

impl Paid {
    /// The credits for money that the bank has given as well. Refunds of the part that was paid by credits stay with
    /// the payer.
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
        // All of it, and half of it, was refunded to the wallet.
        assert_eq!(twice(100, 0, 100, 0, 100), 100);
        assert_eq!(twice(100, 0, 50, 0, 100), 50);
        assert_eq!(twice(100, 0, 50, 0, 40), 0);
        // The bank has taken nothing, or has given it back.
        assert_eq!(twice(100, 0, 100, 0, 0), 0);
        // The part paid by credits is refunded as credits and stays.
        assert_eq!(twice(100, 40, 40, 0, 100), 0);
        assert_eq!(twice(100, 40, 140, 0, 100), 100);
        assert_eq!(twice(100, 40, 40, 100, 100), 0);
        // A part was refunded to the card, and a bank takes back the rest.
        assert_eq!(twice(100, 0, 40, 60, 40), 40);
    }
}
