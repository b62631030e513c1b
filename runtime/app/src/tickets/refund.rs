//! Refunds of tickets: which part of the money goes where, recorded before any money moves.
//!
//! The tickets are voided and their stock is released in the same transaction. The parts for the wallet and in cash
//! are settled in that transaction as well; the part for the card is carried out later by the payments module, with an
//! idempotency key that is stored with the refund.

mod asked;
mod ends;
mod outcome;

pub use ends::{called_off, charge_back};
pub use outcome::{disputed, settled, to_wallet, withhold};

use super::bodies::{AskedRefund, Target};
use crate::{
    problems,
    wallet::ledger::{self, Back},
};
use generated::{
    order::OrderState,
    refund::{RefundReason, RefundState},
};
use kernel::{Cx, Error, Result, jobs};
use money::{Currency, Money, Parts, refund};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

/// An order as refunds need it. Its row is locked.
struct Order {
    id: Uuid,
    user: Uuid,
    /// Sold by `user` to a guest.
    is_at_door: bool,
    event: Uuid,
    currency: Currency,
    amount: i64,
    card: i64,
    cash: i64,
    refunded: i64,
    refunded_card: i64,
    /// What banks have given the buyer in disputes.
    lost: i64,
    parts: Parts,
}

/// Why and how money is refunded.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a> {
    pub reason: RefundReason,
    pub note: Option<&'a str>,
    pub to: Target,
    /// The member who asked for it. None if no member did, as for a cancelled event.
    pub by: Option<Uuid>,
}

async fn lock(cx: &mut Cx, order: Uuid) -> Result<Order> {
    // A statement of its own: a statement that waits for the row lock would go on with the refunds and disputes of its
    // old snapshot.
    sqlx::query("select from app.orders where id = $1 for update")
        .bind(order)
        .execute(cx.conn())
        .await?;
    let row = sqlx::query(
        "select user_id, sold_at_door, event_id, currency, state, amount_cents, card_cents, cash_cents, organizer_cents, platform_fee_cents,
           city_share_cents,
           exists (select from app.disputes d where d.order_id = o.id and d.state in ('needs_response', 'under_review')) as is_disputed,
           app.lost_to_banks(o.id) as lost,
           (select coalesce(sum(r.amount_cents), 0)::int8 from app.refunds r where r.order_id = o.id and r.state <> 'failed') as refunded,
           (select coalesce(sum(r.card_cents), 0)::int8 from app.refunds r where r.order_id = o.id and r.state <> 'failed') as refunded_card
         from app.orders o where id = $1",
    )
    .bind(order)
    .fetch_optional(cx.conn())
    .await?
    .ok_or_else(Error::not_found)?;
    let currency = Currency::parse(row.try_get("currency")?).map_err(Error::internal)?;
    let money = |column: &str| -> Result<Money> { Ok(Money::new(row.try_get(column)?, currency)) };
    match row.try_get("state")? {
        // Money that the bank may give back to the buyer must not be refunded as well.
        OrderState::Paid | OrderState::PartRefunded if row.try_get("is_disputed")? => {
            return Err(under_dispute());
        }
        OrderState::Paid | OrderState::PartRefunded => {}
        OrderState::ChargedBack => {
            let detail =
                "The buyer's bank has taken the payment back; there is nothing left to refund.";
            return Err(Error::new(&kernel::problems::STATE).detail(detail));
        }
        state => {
            let detail = format!("It is {state}. Only a paid order can be refunded.");
            return Err(Error::new(&kernel::problems::STATE).detail(detail));
        }
    }
    Ok(Order {
        id: order,
        user: row.try_get("user_id")?,
        is_at_door: row.try_get("sold_at_door")?,
        event: row.try_get("event_id")?,
        currency,
        amount: row.try_get("amount_cents")?,
        card: row.try_get("card_cents")?,
        cash: row.try_get("cash_cents")?,
        refunded: row.try_get("refunded")?,
        refunded_card: row.try_get("refunded_card")?,
        lost: row.try_get("lost")?,
        parts: Parts {
            organizer: money("organizer_cents")?,
            platform: money("platform_fee_cents")?,
            city_share: money("city_share_cents")?,
        },
    })
}

const LOST_TO_BANKS: &str = "The buyer's bank has given back a part of the payment in a dispute, and these tickets cost more than the rest. Refund fewer of them.";

fn under_dispute() -> Error {
    Error::new(&kernel::problems::STATE).detail(
        "The buyer's bank is deciding about this payment. Answer the dispute, or accept it; refund once it is won.",
    )
}

/// How a refund is divided. The card gets at most the part that was paid by card, was not refunded yet and was not lost
/// in a dispute; the wallet gets the rest.
struct Split {
    card: i64,
    wallet: i64,
    cash: i64,
    parts: Parts,
}

fn split(order: &Order, amount: i64, to: Target) -> Result<Split> {
    let money = |amount| Money::new(amount, order.currency);
    // Cards can only be refunded in multiples of the currency's smallest step; the remainder goes to the wallet.
    let step = money::card::quantum(order.currency).cast_signed();
    // Of what banks have taken, each party has lost its part, as by a refund.
    let already = order.refunded + order.lost - order.lost % step;
    let parts =
        refund::parts(&order.parts, money(already), money(amount)).map_err(Error::internal)?;
    let cash = if order.cash > 0 { amount } else { 0 };
    let card = match to {
        Target::Wallet => 0,
        Target::Source => {
            (amount - cash).min((order.card - order.refunded_card - order.lost).max(0))
        }
    };
    let card = card - card % step;
    Ok(Split {
        card,
        wallet: amount - cash - card,
        cash,
        parts,
    })
}

/// Records the refund of these tickets, and does everything about it but the card's part, which the payments module
/// carries out.
async fn write_down(
    cx: &mut Cx,
    order: &Order,
    tickets: &[Uuid],
    amount: i64,
    why: Why<'_>,
) -> Result<AskedRefund> {
    if order.refunded + amount > order.amount {
        return Err(Error::new(&problems::REFUND_EXCEEDS));
    }
    if order.refunded + amount + order.lost > order.amount {
        return Err(Error::new(&problems::REFUND_EXCEEDS).detail(LOST_TO_BANKS));
    }
    if amount == 0 {
        return free(cx, order, tickets).await;
    }
    let id = Uuid::now_v7();
    let split = split(order, amount, why.to)?;
    insert(cx, id, order, amount, &split, why).await?;
    void(cx, order, tickets, id).await?;
    if split.wallet > 0 {
        give_credits(cx, id, order, split.wallet).await?;
    }
    if split.card == 0 {
        settled(cx, id).await?;
    } else {
        done(cx, order.id).await?;
    }
    // Also for refunds to the wallet alone, since the host has received its part of that money. Cash was paid to the
    // host directly.
    if split.cash == 0 {
        jobs::tell(cx, "tickets.refund_owed", ("refund", id), json!({})).await?;
    }
    sqlx::query("select app.return_tickets($1)")
        .bind(id)
        .execute(cx.conn())
        .await?;
    let state = match split.card {
        0 => RefundState::Succeeded,
        _ => RefundState::Pending,
    };
    Ok(AskedRefund {
        id: Some(id),
        state: state.to_string(),
        currency: order.currency.code().to_owned(),
        amount_cents: amount,
        card_cents: split.card,
        wallet_cents: split.wallet,
        cash_cents: split.cash,
    })
}

async fn insert(
    cx: &mut Cx,
    id: Uuid,
    order: &Order,
    amount: i64,
    split: &Split,
    why: Why<'_>,
) -> Result<()> {
    sqlx::query(
        "insert into app.refunds (id, order_id, requested_by_id, amount_cents, card_cents, wallet_cents, cash_cents, organizer_cents,
           platform_fee_cents, city_share_cents, currency, reason, note, stripe_idempotency_key)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(id)
    .bind(order.id)
    .bind(why.by)
    .bind(amount)
    .bind(split.card)
    .bind(split.wallet)
    .bind(split.cash)
    .bind(split.parts.organizer.amount())
    .bind(split.parts.platform.amount())
    .bind(split.parts.city_share.amount())
    .bind(order.currency.code())
    .bind(why.reason)
    .bind(why.note)
    .bind(format!("refund:{id}"))
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Credits the buyer with the part of a refund that goes to the wallet. Credits that expire do so as before: buying and
/// returning a ticket must not make them permanent.
async fn give_credits(cx: &mut Cx, refund: Uuid, order: &Order, amount: i64) -> Result<()> {
    let to = ledger::of_member(cx, order.user, order.currency.code()).await?;
    let from = ledger::of_platform(cx, "platform_cash", order.currency.code()).await?;
    let (key, reference) = (format!("refund:{refund}"), format!("order:{}", order.id));
    let back = Back {
        key: &key,
        reference: &reference,
        purchase: &ledger::purchase_key(order.id),
        from,
        to,
        amount_cents: amount,
    };
    back.post(cx).await.map(drop)
}

/// Gives back tickets that cost nothing. No refund is recorded, since no money moves, so the answer has no id.
async fn free(cx: &mut Cx, order: &Order, tickets: &[Uuid]) -> Result<AskedRefund> {
    let kinds: Vec<(Uuid, i64)> = sqlx::query_as(
        "with gone as (
           update app.tickets set state = 'refunded' where id = any ($1) and state in ('valid', 'checked_in') returning ticket_type_id
         )
         select ticket_type_id, count(*) from gone group by 1 order by 1",
    )
    .bind(tickets)
    .fetch_all(cx.conn())
    .await?;
    done(cx, order.id).await?;
    for (kind, count) in kinds {
        sqlx::query("update app.ticket_types set sold = sold - $2::int where id = $1")
            .bind(kind)
            .bind(count)
            .execute(cx.conn())
            .await?;
        sqlx::query("select app.offer_places($1)")
            .bind(kind)
            .execute(cx.conn())
            .await?;
    }
    Ok(AskedRefund {
        id: None,
        state: RefundState::Succeeded.to_string(),
        currency: order.currency.code().to_owned(),
        amount_cents: 0,
        card_cents: 0,
        wallet_cents: 0,
        cash_cents: 0,
    })
}

async fn void(cx: &mut Cx, order: &Order, tickets: &[Uuid], refund: Uuid) -> Result<()> {
    sqlx::query("update app.tickets set refund_id = $2 where id = any ($1) and order_id = $3 and refund_id is null")
        .bind(tickets)
        .bind(refund)
        .bind(order.id)
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// Recomputes the order's state and refunded sums from its refunds and tickets.
async fn done(cx: &mut Cx, order: Uuid) -> Result<()> {
    sqlx::query(
        "update app.orders o set refunded_cents = s.total, refunded_card_cents = s.card,
           state = case when o.state = 'charged_back' then o.state when s.tickets_left > 0 then 'part_refunded' when s.is_pending then 'refund_pending' else 'refunded' end
         from (
           select coalesce(sum(r.amount_cents), 0)::int8 as total, coalesce(sum(r.card_cents), 0)::int8 as card,
             (select count(*) from app.tickets k where k.order_id = $1 and k.state in ('valid', 'checked_in')
                and k.refund_id is null) as tickets_left,
             exists (select from app.refunds p where p.order_id = $1 and p.state = 'pending') as is_pending
           from app.refunds r where r.order_id = $1 and r.state = 'succeeded'
         ) s
         where o.id = $1",
    )
    .bind(order)
    .execute(cx.conn())
    .await?;
    Ok(())
}
