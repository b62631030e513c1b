//! Settles an order whose payment has arrived: either it gets its tickets, or its payment is refunded.
//!
//! Runs in the transaction that learns of the payment, and may be called any number of times. An order whose time is
//! over has released its tickets, its credits and the use of its promo code. It takes them again if the payment
//! arrives late; if they are gone, or the buyer has reached the limit per person, a refund is recorded, which the
//! payments module carries out. The same happens, in time or late, if the event does not take place any more, if the
//! held credits can't be taken because the wallet is frozen, or if the buyer has cancelled the order or closed their
//! account before.

use super::code::{Claims, Keys};
use crate::wallet::ledger::{self, Entry};
use chrono::{DateTime, Utc};
use generated::{order::OrderState, promo_code::constraint, refund::RefundReason};
use kernel::{Cx, Error, Result, error::violated, jobs};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Paid,
    /// The order was settled or ended before; nothing was changed.
    Before,
    /// Something could not be taken again, the event does not take place, or the order was cancelled before. Holds the
    /// id of the refund to carry out.
    Owed(Uuid),
}

struct Order {
    id: Uuid,
    state: OrderState,
    is_over: bool,
    /// The event is a draft, cancelled or archived, so it does not take place.
    is_off: bool,
    /// Whether tickets for the event could be bought now.
    is_on: bool,
    /// The buyer has closed their account, so nobody could use the tickets.
    is_left: bool,
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

/// Why an order can't get its tickets although its payment has arrived.
#[derive(Clone, Copy, Debug)]
enum Lacking {
    Event,
    /// The order itself: its buyer has cancelled it.
    Order,
    /// The buyer, who has closed their account.
    Buyer,
    /// The buyer may not order tickets of the event any more.
    Access,
    Tickets,
    /// A ticket type is archived, suspended, or not sold online by now.
    Type,
    /// The part of the price that credits should pay.
    Credits,
    PromoCode,
    /// The buyer has reached the limit per person, of tickets or of uses of the promo code.
    Limit,
}

impl Lacking {
    /// What the database has refused. None: the error has nothing to do with a late payment.
    fn of(error: &sqlx::Error) -> Option<Self> {
        match violated(error)? {
            "ticket_types_sold_out" | "events_sold_out" => Some(Self::Tickets),
            "ticket_types_withdrawn" => Some(Self::Type),
            "orders_buyer_may_order" => Some(Self::Access),
            constraint::REDEEMED_WITHIN_CHECK => Some(Self::PromoCode),
            "ticket_types_per_user_limit" | "promo_codes_per_user_limit" => Some(Self::Limit),
            _ => None,
        }
    }

    fn reason(self, order: &Order) -> RefundReason {
        match self {
            Self::Event if order.is_off => RefundReason::EventCancelled,
            Self::Tickets => RefundReason::SoldOutMeanwhile,
            Self::Event
            | Self::Order
            | Self::Buyer
            | Self::Access
            | Self::Type
            | Self::Credits
            | Self::PromoCode
            | Self::Limit => RefundReason::Other,
        }
    }

    /// A note for the buyer if the reason alone doesn't explain the refund.
    fn note(self, order: &Order) -> Option<&'static str> {
        match self {
            Self::Event if order.is_off => None,
            Self::Event => Some(
                "The payment came late, and no tickets for the event were sold any more by then.",
            ),
            Self::Tickets => None,
            Self::Order => Some("The order had been cancelled when the payment came."),
            Self::Buyer => Some("The account had been closed when the payment came."),
            Self::Access => Some(
                "The payment came late, and you could not order tickets for the event any more by then.",
            ),
            Self::Type => Some(
                "The payment came late, and tickets of this type were not sold any more by then.",
            ),
            Self::Credits => Some(
                "Your credits could not be taken when the payment came: they are spent, or your wallet is being checked.",
            ),
            Self::PromoCode => Some(
                "The payment came late, and the promo code had been used as often as it may be by then.",
            ),
            Self::Limit => {
                Some("The payment came late, and you had bought as much as one person may by then.")
            }
        }
    }
}

pub async fn settle(cx: &mut Cx, keys: &Keys, order: Uuid) -> Result<Settled> {
    let order = lock(cx, order).await?;
    let late = match order.state {
        OrderState::Pending if !order.is_over && !order.is_off => false,
        OrderState::Pending => {
            // The order is over, although the job has not released it yet. The locks are taken in the same order as
            // when placing an order: the buyer's other orders, then the event, then its types.
            wait_for_buyer(cx, order.id).await?;
            lock_event(cx, order.event).await?;
            sqlx::query("select app.wait_for_event($1)")
                .bind(order.event)
                .execute(cx.conn())
                .await?;
            let state = if order.is_off {
                OrderState::Cancelled
            } else {
                OrderState::Expired
            };
            let_go(cx, &order, state).await?;
            true
        }
        OrderState::Expired => {
            wait_for_buyer(cx, order.id).await?;
            lock_event(cx, order.event).await?;
            true
        }
        // Whoever cancels an order does not want its tickets any more, so the payment goes back even if there are enough.
        OrderState::Cancelled => {
            let lacking = if order.is_off {
                Lacking::Event
            } else {
                Lacking::Order
            };
            return owe(cx, &order, lacking).await;
        }
        OrderState::Paid
        | OrderState::RefundPending
        | OrderState::Refunded
        | OrderState::PartRefunded
        | OrderState::ChargedBack => return Ok(Settled::Before),
    };
    // A late order is treated as if it were placed now.
    let lacking = match (late, order.is_on) {
        (false, _) => None,
        (true, _) if order.is_left => Some(Lacking::Buyer),
        (true, true) => take_again(cx, &order).await?,
        (true, false) => Some(Lacking::Event),
    };
    if let Some(lacking) = lacking {
        return owe(cx, &order, lacking).await;
    }
    if !late && order.card > 0 {
        let lacking = match order.is_left {
            true => Some(Lacking::Buyer),
            false if !can_take_credits(cx, &order).await? => Some(Lacking::Credits),
            false => None,
        };
        if let Some(lacking) = lacking {
            let_go(cx, &order, OrderState::Cancelled).await?;
            return owe(cx, &order, lacking).await;
        }
    }
    take_credits(cx, &order, late).await?;
    if !late {
        mark_paid(cx, order.id).await?;
    }
    issue(cx, keys, &order).await?;
    // Ticket types last, because their rows are the most contended.
    sqlx::query("select app.sell_held_tickets($1)")
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    jobs::tell(cx, "tickets.paid", ("order", order.id), json!({})).await?;
    Ok(Settled::Paid)
}

/// Cancels an order that is not paid. Returns false if it is no longer pending.
pub async fn cancel(cx: &mut Cx, order: Uuid) -> Result<bool> {
    let order = lock(cx, order).await?;
    if order.state != OrderState::Pending {
        return Ok(false);
    }
    let_go(cx, &order, OrderState::Cancelled).await?;
    Ok(true)
}

/// Locks the event's row before its ticket types. Needed by transactions that hold tickets and issue them as well: refunds
/// and payments in time change tickets, which are counted in the event's row, before they change types.
pub(super) async fn lock_event(cx: &mut Cx, event: Uuid) -> Result<()> {
    sqlx::query("select app.lock_event($1)")
        .bind(event)
        .execute(cx.conn())
        .await?;
    Ok(())
}

async fn lock(cx: &mut Cx, order: Uuid) -> Result<Order> {
    let row = sqlx::query(
        "select o.state, coalesce(o.expires_at <= now(), false) as is_over, o.user_id, o.event_id, o.currency, o.amount_cents,
           o.wallet_cents, o.card_cents, o.cash_cents, o.application_fee_cents, o.wallet_hold_id,
           e.state in ('draft', 'cancelled') or e.status = 'archived' as is_off,
           e.state = 'published' and e.status = 'active' and e.ends_at > now() and app.host_is_live(e.host_id) as is_on,
           u.status = 'archived' as is_left
         from app.orders o join app.events e on e.id = o.event_id join app.users u on u.id = o.user_id
         where o.id = $1 for update of o",
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
        is_left: row.try_get("is_left")?,
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

async fn let_go(cx: &mut Cx, order: &Order, state: OrderState) -> Result<()> {
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

/// Serialises this with the buyer's other orders for the event, as placing an order does.
async fn wait_for_buyer(cx: &mut Cx, order: Uuid) -> Result<()> {
    sqlx::query("select app.wait_for_buyer($1)")
        .bind(order)
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// Takes everything again that the order had released, as if it were placed now. Returns what is missing; in that case
/// nothing is taken.
async fn take_again(cx: &mut Cx, order: &Order) -> Result<Option<Lacking>> {
    sqlx::query("savepoint again").execute(cx.conn()).await?;
    let lacking = match hold_again(cx, order.id).await {
        Ok(()) if order.wallet == 0 => return Ok(None),
        Ok(()) => {
            let wallet = ledger::of_member(cx, order.user, &order.currency).await?;
            if ledger::available(cx, wallet).await? >= order.wallet {
                return Ok(None);
            }
            Lacking::Credits
        }
        Err(error) => match Lacking::of(&error) {
            Some(lacking) => lacking,
            None => return Err(error.into()),
        },
    };
    sqlx::query("rollback to savepoint again")
        .execute(cx.conn())
        .await?;
    Ok(Some(lacking))
}

/// The use of the promo code is counted when the order is marked as paid, so that is done here as well, where the
/// database may refuse it. Locks in the same order as placing an order, the most contended rows last.
async fn hold_again(cx: &mut Cx, order: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("select app.keep_limits($1)")
        .bind(order)
        .execute(cx.conn())
        .await?;
    mark_paid(cx, order).await?;
    sqlx::query("select app.hold_tickets($1)")
        .bind(order)
        .execute(cx.conn())
        .await?;
    Ok(())
}

async fn mark_paid(cx: &mut Cx, order: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update app.orders o set state = 'paid', paid_at = now(),
           ticket_count = (select sum(i.quantity) from app.order_items i where i.order_id = o.id)
         where o.id = $1",
    )
    .bind(order)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Whether the credits that were held in time can be spent. The wallet stays locked until the transaction ends, so
/// that it can't be frozen in between.
async fn can_take_credits(cx: &mut Cx, order: &Order) -> Result<bool> {
    let Some(hold) = order.hold else {
        return Ok(true);
    };
    ledger::is_held(cx, hold).await
}

/// Spends the order's credits. A late order has no hold any more, so its credits are taken from the wallet directly.
async fn take_credits(cx: &mut Cx, order: &Order, late: bool) -> Result<()> {
    if order.wallet == 0 {
        return Ok(());
    }
    let wallet = ledger::of_member(cx, order.user, &order.currency).await?;
    let cash = ledger::of_platform(cx, "platform_cash", &order.currency).await?;
    let (key, reference) = (
        ledger::purchase_key(order.id),
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
    let (ends_at, now): (DateTime<Utc>, DateTime<Utc>) =
        sqlx::query_as("select ends_at, now() from app.events where id = $1")
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
    for (kind, quantity, _) in &items {
        for _ in 0..*quantity {
            let id = Uuid::now_v7();
            codes.push(keys.sign(&Claims::new(id, order.event, 1, now, ends_at)));
            ids.push(id);
            types.push(*kind);
        }
    }
    // A guest who pays at the door has no account here. The staff would otherwise hold their tickets.
    sqlx::query(
        "insert into app.tickets (id, order_id, event_id, holder_id, buyer_id, currency, ticket_type_id, code, paid_cents, position)
         select t.id, $1, $2, o.buyer, o.buyer, $4, t.kind, t.code, t.paid, t.position::int
         from unnest($5::uuid[], $6::uuid[], $7::text[], $8::int8[]) with ordinality t(id, kind, code, paid, position),
           (select case when not sold_at_door then $3::uuid end as buyer from app.orders where id = $1) o",
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

/// What was paid for each ticket, which is what a refund of it returns. The parts add up to the order's amount
/// exactly.
fn shares(order: &Order, items: &[(Uuid, i32, i64)]) -> Result<Vec<i64>> {
    use money::{Currency, Money, share::by_weights};
    let currency = Currency::parse(&order.currency).map_err(Error::internal)?;
    let share = |amount: i64, weights: &[u64]| -> Result<Vec<i64>> {
        let parts = by_weights(Money::new(amount, currency), weights);
        let parts = parts.map_err(Error::internal)?;
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

/// Records a refund of the whole card payment, because the order gets no tickets.
async fn owe(cx: &mut Cx, order: &Order, lacking: Lacking) -> Result<Settled> {
    if order.card == 0 {
        // Nothing was paid: the credits were only held.
        return Ok(Settled::Before);
    }
    debug_assert_eq!(order.cash, 0, "what is sold at the door is there at once");
    sqlx::query("update app.orders set state = 'refund_pending' where id = $1")
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    let refund = Uuid::now_v7();
    // Host and platform return what Stripe has divided between them; a city has no share of tickets that were never
    // sold.
    sqlx::query(
        "insert into app.refunds (id, order_id, amount_cents, card_cents, organizer_cents, platform_fee_cents, currency, reason,
           note, stripe_idempotency_key)
         values ($1, $2, $3, $3, $3::int8 - $4::int8, $4, $5, $6, $7, $8)",
    )
    .bind(refund)
    .bind(order.id)
    .bind(order.card)
    .bind(order.application_fee)
    .bind(&order.currency)
    .bind(lacking.reason(order))
    .bind(lacking.note(order))
    .bind(format!("refund:{refund}"))
    .execute(cx.conn())
    .await?;
    jobs::tell(cx, "tickets.refund_owed", ("refund", refund), json!({})).await?;
    Ok(Settled::Owed(refund))
}
