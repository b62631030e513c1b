//! Orders that end without anybody asking for their money: the event was cancelled, or the bank has taken the payment back.

use super::{super::bodies::Target, Order, Why, done, lock, write_down};
use kernel::{Cx, Error, Result, jobs};
use serde_json::json;
use uuid::Uuid;

/// The event does not take place: all that is left of the order goes back where it came from, and nobody comes in with it.
/// Also the part of those who have come in: an event that is cancelled after the doors have opened is broken off; one that
/// took place is completed instead. Of cash it is written down that the host pays it back in hand.
///
/// In the transaction of whoever undoes the orders of the event. A refund of this reason is there once for an order, which
/// the database holds whatever this believes.
pub async fn called_off(cx: &mut Cx, order: Uuid) -> Result<()> {
    let order = lock(cx, order).await?;
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
        reason: "event_cancelled",
        note: None,
        to: Target::Source,
        by: None,
    };
    write_down(cx, &order, &ids, amount, why).await?;
    forget_failure(cx, order.id).await
}

/// Nothing was paid for these tickets, so nothing moves.
async fn for_nothing(cx: &mut Cx, order: &Order) -> Result<()> {
    sqlx::query("select app.void_tickets($1, 'event_cancelled')")
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    forget_failure(cx, order.id).await?;
    if order.amount > 0 {
        // Those that were paid for were given back before.
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

/// A dispute is lost: the bank has given the buyer the money back. Tickets that nobody has come in with are void. What
/// becomes of a refund that was on its way, the provider says: it may have been made without our having heard so. Told
/// again, it changes nothing.
pub async fn charge_back(cx: &mut Cx, order: Uuid) -> Result<bool> {
    let state: Option<String> =
        sqlx::query_scalar("select state from app.orders where id = $1 for update")
            .bind(order)
            .fetch_optional(cx.conn())
            .await?;
    if !matches!(
        state.as_deref(),
        Some("paid" | "part_refunded" | "refund_pending")
    ) {
        return Ok(false);
    }
    sqlx::query("update app.orders set state = 'charged_back' where id = $1")
        .bind(order)
        .execute(cx.conn())
        .await?;
    jobs::tell(cx, "tickets.charged_back", ("order", order), json!({})).await?;
    // The busiest rows last.
    sqlx::query("select app.void_tickets($1, 'disputed')")
        .bind(order)
        .execute(cx.conn())
        .await?;
    Ok(true)
}
