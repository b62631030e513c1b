//! The progress of the refunds of a cancelled event, computed from its orders and refunds for each request.

use kernel::{Cx, Result};
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;
use uuid::Uuid;

/// The maximum number of failed orders that are listed.
const NAMED: i64 = 50;

/// Refunds of a cancelled event, as numbers of orders. `orders` is the sum of the six counts after it.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "cancellation")]
#[schema(example = json!({"object": "cancellation", "event_id": "019caddd-0f20-7b8e-a1f8-0bd70ae0784c", "is_done": false,
    "orders": 300, "refunded": 240, "voided": 30, "pending": 25, "left": 2, "disputed": 1, "failed": 2,
    "currencies": [{"currency": "AUD", "refunded_cents": 1080000, "pending_cents": 112500}],
    "failures": [{"order_id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "reason": "wallet-frozen: The wallet is being checked"}]}))]
pub struct Cancellation {
    pub event_id: Uuid,
    /// Whether nothing may still be refunded: `pending`, `left` and `failed` are 0, and no dispute is open.
    pub is_done: bool,
    /// Orders that have tickets, await payment or were paid too late.
    pub orders: i64,
    /// Fully refunded orders.
    pub refunded: i64,
    /// Free orders, whose tickets are void.
    pub voided: i64,
    /// Orders whose tickets are invalid and whose card refund is under way.
    pub pending: i64,
    /// Orders not handled yet.
    pub left: i64,
    /// Orders with an open or lost payment dispute.
    pub disputed: i64,
    /// Orders whose refund failed and is retried; see `failures`.
    pub failed: i64,
    pub currencies: Vec<CancellationAmounts>,
    /// The first 50 failed orders.
    pub failures: Vec<CancellationFailure>,
}

/// All refunds of the event in one currency, for any reason.
#[derive(Serialize, ToSchema)]
pub struct CancellationAmounts {
    pub currency: String,
    /// Completed refunds.
    pub refunded_cents: i64,
    /// Refunds under way.
    pub pending_cents: i64,
}

#[derive(Serialize, ToSchema)]
pub struct CancellationFailure {
    pub order_id: Uuid,
    pub reason: String,
}

pub async fn add_up(cx: &mut Cx, event: Uuid) -> Result<Cancellation> {
    let row = sqlx::query(
        "select count(*) filter (where x.fate = 'refunded') as refunded, count(*) filter (where x.fate = 'voided') as voided,
           count(*) filter (where x.fate = 'pending') as pending, count(*) filter (where x.fate = 'left') as left_over,
           count(*) filter (where x.fate = 'disputed') as disputed, count(*) filter (where x.fate = 'failed') as failed,
           count(*) filter (where x.fate = 'disputed' and x.state <> 'charged_back') as undecided
         from (
           select case
               when o.state = 'refunded' then 'refunded'
               when o.state = 'cancelled' and o.ticket_count > 0 then 'voided'
               when o.state = 'refund_pending' then 'pending'
               when o.state = 'charged_back' then 'disputed'
               when o.state not in ('pending', 'paid', 'part_refunded') then 'never_paid'
               when exists (select from app.disputes d where d.order_id = o.id and d.state in ('needs_response', 'under_review'))
                 then 'disputed'
               when o.refund_failure is not null then 'failed'
               else 'left'
             end as fate, o.state
           from app.orders o where o.event_id = $1
         ) x",
    )
    .bind(event)
    .fetch_one(cx.conn())
    .await?;
    let count = |name: &str| -> Result<i64> { Ok(row.try_get(name)?) };
    let (refunded, voided, pending) = (count("refunded")?, count("voided")?, count("pending")?);
    let (left, disputed, failed) = (count("left_over")?, count("disputed")?, count("failed")?);
    Ok(Cancellation {
        event_id: event,
        // What a bank still decides about comes back if the dispute is won.
        is_done: pending + left + failed + count("undecided")? == 0,
        orders: refunded + voided + pending + left + disputed + failed,
        refunded,
        voided,
        pending,
        left,
        disputed,
        failed,
        currencies: currencies(cx, event).await?,
        failures: failures(cx, event).await?,
    })
}

async fn currencies(cx: &mut Cx, event: Uuid) -> Result<Vec<CancellationAmounts>> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select r.currency, coalesce(sum(r.amount_cents) filter (where r.state = 'succeeded'), 0)::int8,
           coalesce(sum(r.amount_cents) filter (where r.state = 'pending'), 0)::int8
         from app.refunds r join app.orders o on o.id = r.order_id where o.event_id = $1 group by 1 order by 1",
    )
    .bind(event)
    .fetch_all(cx.conn())
    .await?;
    let amounts = |(currency, refunded_cents, pending_cents)| CancellationAmounts {
        currency,
        refunded_cents,
        pending_cents,
    };
    Ok(rows.into_iter().map(amounts).collect())
}

async fn failures(cx: &mut Cx, event: Uuid) -> Result<Vec<CancellationFailure>> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "select o.id, o.refund_failure from app.orders o
         where o.event_id = $1 and o.state in ('pending', 'paid', 'part_refunded') and o.refund_failure is not null
           and not exists (select from app.disputes d where d.order_id = o.id and d.state in ('needs_response', 'under_review'))
         order by o.id limit $2",
    )
    .bind(event)
    .bind(NAMED)
    .fetch_all(cx.conn())
    .await?;
    let failure = |(order_id, reason)| CancellationFailure { order_id, reason };
    Ok(rows.into_iter().map(failure).collect())
}
