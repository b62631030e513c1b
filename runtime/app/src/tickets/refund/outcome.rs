//! Records the outcome of the card part of a refund, as the payments module learns it: the money has arrived, or the
//! card doesn't accept it. In the latter case the buyer gets credits, unless a bank gives the buyer the same money in
//! a dispute, or has yet to decide whether it does.

use super::done;
use crate::wallet::ledger::{self, Grant};
use kernel::{Cx, Result};
use sqlx::Row;
use uuid::Uuid;

/// Marks a refund as succeeded: all of its money is back where it came from. Returns whether it changed; a second call
/// changes nothing. `settled_at` keeps its first value, since cities have given back their share in that month.
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

/// Gives the buyer credits for the card part of a refund that the card doesn't accept, even if the refund had
/// succeeded before and the bank has sent the money back since. Gives no credits for money that a bank gives the buyer
/// in a dispute. Returns false if a bank has yet to decide: the caller must then call again later. Otherwise a second
/// call changes nothing.
///
/// The caller holds the locks of the payment's and the order's rows.
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

/// Handles a refund that the provider refuses because the payment is disputed. Returns true if the dispute was lost
/// and the refund is final, false if the bank has yet to decide or its decision has not reached us.
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

/// Records that this much of the host's part is not taken back, because it was never sent to the host.
pub async fn withhold(cx: &mut Cx, refund: Uuid, cents: i64) -> Result<()> {
    sqlx::query("update app.refunds set withheld_cents = withheld_cents + $2 where id = $1")
        .bind(refund)
        .bind(cents)
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// How disputes affect the money of a refund.
enum Bank {
    GivesNothing,
    Decides,
    HasGiven,
}

impl Bank {
    /// The disputed amount, the other refunds to the card and this refund together can't exceed what was paid by card.
    /// Nor can everything that the buyer gets back exceed what was paid in all, although an earlier refund may have
    /// turned money of the card into credits. If one of these sums is exceeded, the dispute and this refund are about
    /// the same money. Other refunds whose money the bank has given count as part of the dispute.
    async fn of(cx: &mut Cx, refund: Uuid) -> Result<Self> {
        let row = sqlx::query(
            "select
               least(
                 t.amount_cents - r.card_cents - others.card,
                 t.amount_cents + coalesce(o.wallet_cents, 0) - r.card_cents - r.wallet_cents - others.card - others.wallet
               )::int8 as rest,
               (select coalesce(sum(d.amount_cents), 0)::int8 from app.disputes d
                 where d.transaction_id = t.id and d.state = 'lost') as lost,
               (select coalesce(sum(d.amount_cents), 0)::int8 from app.disputes d
                 where d.transaction_id = t.id and d.state in ('needs_response', 'under_review')) as undecided
             from app.refunds r
             join app.transactions t on (t.order_id = r.order_id or t.promotion_id = r.promotion_id or t.quote_id = r.quote_id)
               and t.status in ('succeeded', 'part_refunded', 'refunded')
             left join app.orders o on o.id = r.order_id
             cross join lateral (
               select coalesce(sum(x.card_cents) filter (where x.failure_code is distinct from 'dispute_lost'), 0) as card,
                 coalesce(sum(x.wallet_cents), 0) as wallet
               from app.refunds x
               where (x.order_id = r.order_id or x.promotion_id = r.promotion_id or x.quote_id = r.quote_id)
                 and x.id <> r.id and x.state <> 'failed'
             ) others
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

/// A refund that had succeeded and was sent back by the card is pending again, like one that never arrived. It keeps
/// its `settled_at`.
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

/// Ends a refund whose money the buyer has received from the bank. One that was settled before stays `succeeded`,
/// because host, platform and city have given back their parts for it in that month.
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
