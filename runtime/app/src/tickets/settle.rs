//! An order whose money is there: it gets its tickets, or its money goes back. There is no third way.
//!
//! Called in the transaction that learns of the payment, as often as it is told. An order whose time is over has let go
//! of its tickets: it takes what is left, and where that is not enough, a refund is written down, which the payments
//! module carries out. So is it where the event does not take place any more, whenever the money comes.

use super::code::{Claims, Keys};
use crate::wallet::ledger::{self, Entry};
use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Result, error::violated, jobs};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Paid,
    /// It was before; nothing happened now.
    Before,
    /// There were not enough tickets left, or there is no event any more: this refund is to be carried out.
    Owed(Uuid),
}

struct Order {
    id: Uuid,
    state: String,
    is_over: bool,
    /// The event does not take place, and never will as it is.
    is_off: bool,
    /// Tickets to it could be bought now.
    is_on: bool,
    user: Uuid,
    event: Uuid,
    currency: String,
    amount: i64,
    wallet: i64,
    card: i64,
    cash: i64,
    application_fee: i64,
    hold: Option<Uuid>,
}

pub async fn settle(cx: &mut Cx, keys: &Keys, order: Uuid) -> Result<Settled> {
    let order = lock(cx, order).await?;
    let late = match order.state.as_str() {
        "pending" if !order.is_over && !order.is_off => false,
        "pending" => {
            // Nothing has swept it up yet; it is over all the same. Whoever takes tickets waits for the event first.
            sqlx::query("select app.wait_for_event($1)")
                .bind(order.event)
                .execute(cx.conn())
                .await?;
            let state = if order.is_off { "cancelled" } else { "expired" };
            let_go(cx, &order, state).await?;
            true
        }
        "expired" | "cancelled" => true,
        _ => return Ok(Settled::Before),
    };
    // Late, it is as if it were ordered now.
    if late && !(order.is_on && take_again(cx, &order).await?) {
        return owe(cx, &order).await;
    }
    take_credits(cx, &order, late).await?;
    sqlx::query(
        "update app.orders o set state = 'paid', paid_at = now(),
           ticket_count = (select sum(i.quantity) from app.order_items i where i.order_id = o.id)
         where o.id = $1",
    )
    .bind(order.id)
    .execute(cx.conn())
    .await?;
    issue(cx, keys, &order).await?;
    // The busiest rows last.
    sqlx::query("select app.sell_held_tickets($1)")
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    jobs::tell(cx, "tickets.paid", ("order", order.id), json!({})).await?;
    Ok(Settled::Paid)
}

/// Cancels an order that is not paid. False: it is no longer pending.
pub async fn cancel(cx: &mut Cx, order: Uuid) -> Result<bool> {
    let order = lock(cx, order).await?;
    if order.state != "pending" {
        return Ok(false);
    }
    let_go(cx, &order, "cancelled").await?;
    Ok(true)
}

async fn lock(cx: &mut Cx, order: Uuid) -> Result<Order> {
    let row = sqlx::query(
        "select o.state, coalesce(o.expires_at <= now(), false) as is_over, o.user_id, o.event_id, o.currency, o.amount_cents,
           o.wallet_cents, o.card_cents, o.cash_cents, o.application_fee_cents, o.wallet_hold_id,
           e.state in ('draft', 'cancelled') or e.status = 'archived' as is_off,
           e.state = 'published' and e.status = 'active' and e.ends_at > now() as is_on
         from app.orders o join app.events e on e.id = o.event_id where o.id = $1 for update of o",
    )
    .bind(order)
    .fetch_optional(cx.conn())
    .await?
    .ok_or_else(Error::not_found)?;
    Ok(Order {
        id: order,
        state: row.try_get("state")?,
        is_over: row.try_get("is_over")?,
        is_off: row.try_get("is_off")?,
        is_on: row.try_get("is_on")?,
        user: row.try_get("user_id")?,
        event: row.try_get("event_id")?,
        currency: row.try_get("currency")?,
        amount: row.try_get("amount_cents")?,
        wallet: row.try_get("wallet_cents")?,
        card: row.try_get("card_cents")?,
        cash: row.try_get("cash_cents")?,
        application_fee: row.try_get("application_fee_cents")?,
        hold: row.try_get("wallet_hold_id")?,
    })
}

async fn let_go(cx: &mut Cx, order: &Order, state: &str) -> Result<()> {
    sqlx::query("update app.orders set state = $2 where id = $1")
        .bind(order.id)
        .bind(state)
        .execute(cx.conn())
        .await?;
    if let Some(hold) = order.hold {
        ledger::release(cx, hold).await?;
    }
    sqlx::query("select app.release_tickets($1)")
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// Tickets and credits once more, as if it were ordered now: all of them or none.
async fn take_again(cx: &mut Cx, order: &Order) -> Result<bool> {
    sqlx::query("savepoint again").execute(cx.conn()).await?;
    let taken = sqlx::query("select app.hold_tickets($1)")
        .bind(order.id)
        .execute(cx.conn())
        .await;
    let lacking = match taken {
        Ok(_) if order.wallet == 0 => return Ok(true),
        Ok(_) => {
            let wallet = ledger::of_member(cx, order.user, &order.currency).await?;
            if ledger::available(cx, wallet).await? >= order.wallet {
                return Ok(true);
            }
            None
        }
        Err(error) => Some(error),
    };
    sqlx::query("rollback to savepoint again")
        .execute(cx.conn())
        .await?;
    match lacking {
        Some(error) => match violated(&error) {
            Some("ticket_types_sold_out" | "events_sold_out") => Ok(false),
            _ => Err(error.into()),
        },
        None => Ok(false),
    }
}

/// What was set aside is spent; of an order that came late it is not set aside any more.
async fn take_credits(cx: &mut Cx, order: &Order, late: bool) -> Result<()> {
    if order.wallet == 0 {
        return Ok(());
    }
    let wallet = ledger::of_member(cx, order.user, &order.currency).await?;
    let cash = ledger::of_platform(cx, "platform_cash", &order.currency).await?;
    let (key, reference) = (
        format!("purchase:{}", order.id),
        format!("order:{}", order.id),
    );
    let entry = Entry {
        kind: "purchase",
        key: &key,
        reference: Some(&reference),
        reverses: None,
        hold: order.hold.filter(|_| !late),
        legs: &ledger::legs(wallet, cash, order.wallet),
    };
    entry.post(cx).await.map(drop)
}

async fn issue(cx: &mut Cx, keys: &Keys, order: &Order) -> Result<()> {
    let ends_at: DateTime<Utc> = sqlx::query_scalar("select ends_at from app.events where id = $1")
        .bind(order.event)
        .fetch_one(cx.conn())
        .await?;
    let items: Vec<(Uuid, i32, i64)> = sqlx::query_as(
        "select ticket_type_id, quantity, total_cents from app.order_items where order_id = $1 order by ticket_type_id",
    )
    .bind(order.id)
    .fetch_all(cx.conn())
    .await?;
    let paid = shares(order, &items)?;
    let (mut ids, mut types, mut codes) = (Vec::new(), Vec::new(), Vec::new());
    let now = Utc::now();
    for (kind, quantity, _) in &items {
        for _ in 0..*quantity {
            let id = Uuid::now_v7();
            codes.push(keys.sign(&Claims::new(id, order.event, 1, now, ends_at)));
            ids.push(id);
            types.push(*kind);
        }
    }
    sqlx::query(
        "insert into app.tickets (id, order_id, event_id, holder_id, buyer_id, currency, ticket_type_id, code, paid_cents, position)
         select t.id, $1, $2, $3, $3, $4, t.kind, t.code, t.paid, t.position::int
         from unnest($5::uuid[], $6::uuid[], $7::text[], $8::int8[]) with ordinality t(id, kind, code, paid, position)",
    )
    .bind(order.id)
    .bind(order.event)
    .bind(order.user)
    .bind(&order.currency)
    .bind(ids)
    .bind(types)
    .bind(codes)
    .bind(paid)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// What was paid for each ticket, to the cent in all: what giving it back gives back.
fn shares(order: &Order, items: &[(Uuid, i32, i64)]) -> Result<Vec<i64>> {
    use money::{Currency, Money, share::by_weights};
    let currency = Currency::parse(&order.currency).map_err(|e| Error::internal(e.to_string()))?;
    let share = |amount: i64, weights: &[u64]| -> Result<Vec<i64>> {
        let parts = by_weights(Money::new(amount, currency), weights);
        let parts = parts.map_err(|error| Error::internal(error.to_string()))?;
        Ok(parts.iter().map(|part| part.amount()).collect())
    };
    let totals: Vec<u64> = items
        .iter()
        .map(|(.., total)| total.unsigned_abs())
        .collect();
    let lines = match totals.iter().all(|total| *total == 0) {
        true => vec![0; totals.len()],
        false => share(order.amount, &totals)?,
    };
    let mut each = Vec::new();
    for (line, (_, quantity, _)) in lines.into_iter().zip(items) {
        let count = usize::try_from(*quantity).map_err(Error::internal)?;
        each.extend(share(line, &vec![1; count])?);
    }
    Ok(each)
}

/// Paid, and nothing to be had for it: all of the card's payment goes back.
async fn owe(cx: &mut Cx, order: &Order) -> Result<Settled> {
    if order.card == 0 {
        // Nothing was paid: its credits were only set aside.
        return Ok(Settled::Before);
    }
    debug_assert_eq!(order.cash, 0, "what is sold at the door is there at once");
    sqlx::query("update app.orders set state = 'refund_pending' where id = $1")
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    let refund = Uuid::now_v7();
    // The card's payment was divided at Stripe; the city has no share of what was never sold.
    sqlx::query(
        "insert into app.refunds (id, order_id, amount_cents, card_cents, organizer_cents, platform_fee_cents, currency, reason,
           stripe_idempotency_key)
         values ($1, $2, $3, $3, $3::int8 - $4::int8, $4, $5, $6, $7)",
    )
    .bind(refund)
    .bind(order.id)
    .bind(order.card)
    .bind(order.application_fee)
    .bind(&order.currency)
    .bind(match (order.is_off, order.is_on) {
        (true, _) => "event_cancelled",
        (false, true) => "sold_out_meanwhile",
        (false, false) => "other",
    })
    .bind(format!("refund:{refund}"))
    .execute(cx.conn())
    .await?;
    jobs::tell(cx, "tickets.refund_owed", ("refund", refund), json!({})).await?;
    Ok(Settled::Owed(refund))
}
