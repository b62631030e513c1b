//! What came of the card's part of a refund, as the payments module learns it: it has arrived, or the card does not take it.
//! Then the buyer gets credits, unless a bank gives them the same money, or is about to decide whether it does.

use super::done;
use crate::wallet::ledger::{self, Grant};
use kernel::{Cx, Result};
use sqlx::Row;
use uuid::Uuid;

/// All of the refund's money is back where it came from. Told again, it changes nothing. The time is that of the first
/// end: cities have given back their share in that month.
pub async fn settled(cx: &mut Cx, refund: Uuid) -> Result<bool> {
    let order: Option<Option<Uuid>> = sqlx::query_scalar(
        "update app.refunds set state = 'succeeded', settled_at = coalesce(settled_at, now())
         where id = $1 and state <> 'succeeded' returning order_id",
    )
    .bind(refund)
    .fetch_optional(cx.conn())
    .await?;
    if let Some(Some(order)) = order {
        done(cx, order).await?;
    }
    Ok(order.is_some())
}

/// The card does not take its money back: the buyer gets credits for it, at once. Also after it had succeeded, when the
/// bank has sent the money back. What a bank gives the buyer in a dispute is not given beside it. False: a bank has yet to
/// decide, and this is to be told again. Told again, it changes nothing.
///
/// The rows of the payment and the order are locked by whoever tells.
pub async fn to_wallet(cx: &mut Cx, refund: Uuid, code: &str) -> Result<bool> {
    let is_due: Option<bool> = sqlx::query_scalar(
        "select state <> 'failed' from app.refunds where id = $1 and card_cents > 0 for update",
    )
    .bind(refund)
    .fetch_optional(cx.conn())
    .await?;
    if is_due != Some(true) {
        return Ok(true);
    }
    match Bank::of(cx, refund).await? {
        Bank::GivesNothing => {
            as_credits(cx, refund, code).await?;
            Ok(true)
        }
        Bank::HasGiven => {
            given_by_the_bank(cx, refund).await?;
            Ok(true)
        }
        Bank::Decides => {
            waits(cx, refund).await?;
            Ok(false)
        }
    }
}

/// The provider gives nothing back of a payment that is disputed. True: it was lost, and the refund is at its end. False: a
/// bank has yet to decide, or we have not heard what.
pub async fn disputed(cx: &mut Cx, refund: Uuid) -> Result<bool> {
    let is_lost: bool = sqlx::query_scalar(
        "select exists (
           select from app.refunds r
           join app.disputes d on (d.order_id = r.order_id or d.promotion_id = r.promotion_id or d.quote_id = r.quote_id)
           where r.id = $1 and d.state = 'lost'
         )",
    )
    .bind(refund)
    .fetch_one(cx.conn())
    .await?;
    match is_lost {
        true => to_wallet(cx, refund, "charge_disputed").await,
        false => Ok(false),
    }
}

/// So much of the host's part is not taken back, since it was never sent to it.
pub async fn withhold(cx: &mut Cx, refund: Uuid, cents: i64) -> Result<()> {
    sqlx::query("update app.refunds set withheld_cents = withheld_cents + $2 where id = $1")
        .bind(refund)
        .bind(cents)
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// What disputes do with the money of a refund.
enum Bank {
    GivesNothing,
    Decides,
    HasGiven,
}

impl Bank {
    /// What is disputed, what else went back to the card and this refund can't be more than was paid: if they are, they
    /// are about the same money.
    async fn of(cx: &mut Cx, refund: Uuid) -> Result<Self> {
        let row = sqlx::query(
            "select
               (t.amount_cents - r.card_cents - (
                 select coalesce(sum(x.card_cents), 0) from app.refunds x
                 where (x.order_id = r.order_id or x.promotion_id = r.promotion_id or x.quote_id = r.quote_id)
                   and x.id <> r.id and x.state <> 'failed'
               ))::int8 as rest,
               (select coalesce(sum(d.amount_cents), 0)::int8 from app.disputes d
                 where d.transaction_id = t.id and d.state = 'lost') as lost,
               (select coalesce(sum(d.amount_cents), 0)::int8 from app.disputes d
                 where d.transaction_id = t.id and d.state in ('needs_response', 'under_review')) as undecided
             from app.refunds r
             join app.transactions t on (t.order_id = r.order_id or t.promotion_id = r.promotion_id or t.quote_id = r.quote_id)
               and t.status in ('succeeded', 'part_refunded', 'refunded')
             where r.id = $1",
        )
        .bind(refund)
        .fetch_optional(cx.conn())
        .await?;
        let Some(row) = row else {
            return Ok(Self::GivesNothing);
        };
        let rest: i64 = row.try_get("rest")?;
        let lost: i64 = row.try_get("lost")?;
        let undecided: i64 = row.try_get("undecided")?;
        Ok(if lost > 0 && lost > rest {
            Self::HasGiven
        } else if undecided > 0 && lost + undecided > rest {
            Self::Decides
        } else {
            Self::GivesNothing
        })
    }
}

/// What had succeeded before, and was sent back since, waits as what never arrived. It keeps its time.
async fn waits(cx: &mut Cx, refund: Uuid) -> Result<()> {
    let order: Option<Option<Uuid>> = sqlx::query_scalar(
        "update app.refunds set state = 'pending' where id = $1 and state = 'succeeded' returning order_id",
    )
    .bind(refund)
    .fetch_optional(cx.conn())
    .await?;
    if let Some(Some(order)) = order {
        done(cx, order).await?;
    }
    Ok(())
}

/// The buyer has the money by the dispute. A refund that had succeeded stays so: all who had a part of it have given that
/// back for this, in its month.
async fn given_by_the_bank(cx: &mut Cx, refund: Uuid) -> Result<()> {
    let order: Option<Option<Uuid>> = sqlx::query_scalar(
        "update app.refunds set state = case when settled_at is null then 'failed' else 'succeeded' end,
           failure_code = 'dispute_lost', settled_at = coalesce(settled_at, now())
         where id = $1 and state <> 'failed' and failure_code is distinct from 'dispute_lost' returning order_id",
    )
    .bind(refund)
    .fetch_optional(cx.conn())
    .await?;
    if let Some(Some(order)) = order {
        done(cx, order).await?;
    }
    Ok(())
}

async fn as_credits(cx: &mut Cx, refund: Uuid, code: &str) -> Result<()> {
    let row = sqlx::query(
        "update app.refunds r set state = 'succeeded', card_cents = 0, wallet_cents = r.wallet_cents + r.card_cents,
           failure_code = left($2, 100), settled_at = coalesce(r.settled_at, now())
         from app.refunds before
         where r.id = $1 and before.id = r.id and r.card_cents > 0
         returning before.card_cents, r.order_id, r.promotion_id, r.quote_id, r.currency",
    )
    .bind(refund)
    .bind(code)
    .fetch_one(cx.conn())
    .await?;
    let order: Option<Uuid> = row.try_get("order_id")?;
    let promotion: Option<Uuid> = row.try_get("promotion_id")?;
    let quote: Option<Uuid> = row.try_get("quote_id")?;
    let currency: String = row.try_get("currency")?;
    let buyer: Uuid = sqlx::query_scalar(
        "select o.user_id from app.orders o where o.id = $1
         union all
         select t.user_id from app.transactions t
         where (t.promotion_id = $2 or t.quote_id = $3) and t.status in ('succeeded', 'part_refunded', 'refunded')",
    )
    .bind(order)
    .bind(promotion)
    .bind(quote)
    .fetch_one(cx.conn())
    .await?;
    let to = ledger::of_member(cx, buyer, &currency).await?;
    let from = ledger::of_platform(cx, "platform_cash", &currency).await?;
    let reference = order.map(|order| format!("order:{order}"));
    let reference = reference.or(promotion.map(|promotion| format!("promotion:{promotion}")));
    let reference = reference.or(quote.map(|quote| format!("quote:{quote}")));
    let grant = Grant {
        kind: "refund_credit",
        key: &format!("refund:{refund}:card"),
        reference: reference.as_deref(),
        from,
        to,
        amount_cents: row.try_get("card_cents")?,
        expires_at: None,
    };
    grant.post(cx).await?;
    if let Some(order) = order {
        done(cx, order).await?;
    }
    Ok(())
}
