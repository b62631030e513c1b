//! Orders that end without a request for a refund: the event was cancelled, or a dispute was lost.

use super::{super::bodies::Target, Order, Why, done, lock, write_down};
use generated::refund::RefundReason;
use kernel::{Cx, Error, Result, jobs};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

/// Refunds all that is left of an order of a cancelled event to where it was paid from, and voids its tickets. Used
/// tickets are refunded as well: an event that is cancelled after the doors have opened counts as broken off; one that
/// took place is completed instead. Cash is recorded as paid back by the host by hand.
///
/// Runs in the transaction of the caller, which winds up the orders of the event. A unique index allows one refund
/// with this reason per order, whatever this function does.
pub async fn called_off(cx: &mut Cx, order: Uuid) -> Result<()> {
    let order = lock(cx, order).await?;
    if order.lost > 0 && void_covered(cx, order.id, order.lost, Used::Go).await? == 0 {
        // The bank has given the buyer the price of all tickets that were left.
        sqlx::query("update app.orders set state = 'charged_back' where id = $1")
            .bind(order.id)
            .execute(cx.conn())
            .await?;
        return forget_failure(cx, order.id).await;
    }
    let tickets: Vec<(Uuid, i64)> = sqlx::query_as(
        "select id, paid_cents from app.tickets where order_id = $1 and state in ('valid', 'checked_in') order by id for update",
    )
    .bind(order.id)
    .fetch_all(cx.conn())
    .await?;
    if tickets.is_empty() {
        return Err(Error::internal("paid, and without a ticket that counts"));
    }
    let amount: i64 = tickets.iter().map(|(_, paid)| paid).sum();
    if amount == 0 {
        return for_nothing(cx, &order).await;
    }
    let ids: Vec<Uuid> = tickets.into_iter().map(|(id, _)| id).collect();
    let why = Why {
        reason: RefundReason::EventCancelled,
        note: None,
        to: Target::Source,
        by: None,
    };
    write_down(cx, &order, &ids, amount, why).await?;
    forget_failure(cx, order.id).await
}

/// Ends what a lost dispute was about: the bank has given money to the buyer. If nothing is left of the card payment, or
/// no ticket, the order is charged back and its unused tickets are voided. If the dispute was about a part, only unused
/// tickets of that value are. Refunds that are on their way are left alone, since only the provider knows whether they
/// were made. A second call changes nothing.
pub async fn charge_back(cx: &mut Cx, order: Uuid) -> Result<()> {
    let found = sqlx::query("select state from app.orders where id = $1 for update")
        .bind(order)
        .fetch_optional(cx.conn())
        .await?;
    let state: Option<String> = found.map(|row| row.try_get("state")).transpose()?;
    if !matches!(
        state.as_deref(),
        Some("paid" | "part_refunded" | "refund_pending")
    ) {
        return Ok(());
    }
    let (lost, is_all): (i64, bool) = sqlx::query_as(
        "select app.lost_to_banks(o.id), app.lost_to_banks(o.id) >= o.card_cents - (
           select coalesce(sum(r.card_cents), 0) from app.refunds r
           where r.order_id = o.id and r.state <> 'failed' and r.failure_code is distinct from 'dispute_lost')
         from app.orders o where o.id = $1",
    )
    .bind(order)
    .fetch_one(cx.conn())
    .await?;
    if !is_all && void_covered(cx, order, lost, Used::Stay).await? > 0 {
        jobs::tell(cx, "tickets.charged_back", ("order", order), json!({})).await?;
        return done(cx, order).await;
    }
    sqlx::query("update app.orders set state = 'charged_back' where id = $1")
        .bind(order)
        .execute(cx.conn())
        .await?;
    jobs::tell(cx, "tickets.charged_back", ("order", order), json!({})).await?;
    // Ticket types last, because their rows are the most contended.
    sqlx::query("select app.void_tickets($1, 'disputed')")
        .bind(order)
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// Voids tickets that cost nothing. No money moves.
async fn for_nothing(cx: &mut Cx, order: &Order) -> Result<()> {
    sqlx::query("select app.void_tickets($1, 'event_cancelled')")
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    forget_failure(cx, order.id).await?;
    if order.amount > 0 {
        // The order also had paid tickets; they were refunded before.
        return done(cx, order.id).await;
    }
    sqlx::query("update app.orders set state = 'cancelled' where id = $1")
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    Ok(())
}

async fn forget_failure(cx: &mut Cx, order: Uuid) -> Result<()> {
    sqlx::query(
        "update app.orders set refund_failure = null where id = $1 and refund_failure is not null",
    )
    .bind(order)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// What becomes of tickets with which somebody has entered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    Stay,
    Go,
}

/// Voids tickets of this value and returns how many still count.
async fn void_covered(cx: &mut Cx, order: Uuid, lost: i64, used: Used) -> Result<i64> {
    let left = sqlx::query_scalar("select app.void_covered($1, $2, $3)")
        .bind(order)
        .bind(lost)
        .bind(used == Used::Go);
    Ok(left.fetch_one(cx.conn()).await?)
}
