//! Places an order: its tickets and credits are held in one transaction, which locks the most contended rows last.
//!
//! If nothing is left to pay by card, the order is settled in the same transaction, which locks the event's row before
//! the types, as all that changes tickets does. Otherwise it waits for its payment, and releases everything when its
//! time is over.

use super::{
    Tickets,
    bodies::{Cart, PlacedOrder},
    cart::{self, Priced, Sale},
    settle::{self, Settled},
};
use crate::{module::Module, problems, wallet::ledger};
use chrono::{DateTime, TimeDelta, Utc};
use generated::promo_code::constraint;
use kernel::{Cx, Error, Member, Result, error::violated, problem::Item};
use money::{PaidBy, Quote};
use sqlx::{Row, postgres::PgDatabaseError};
use uuid::Uuid;

/// How much longer credits are held than the order, so that it is the order's expiry that releases them.
const HOLD_LONGER: TimeDelta = TimeDelta::minutes(5);

impl Tickets {
    /// Places an order. `key` is the idempotency key of the buyer: the same key buys once.
    pub async fn place(
        &self,
        buyer: &Member,
        cart: Cart,
        key: &str,
        sale: Sale,
    ) -> Result<PlacedOrder> {
        self.few_enough(&cart)?;
        let cart = &cart;
        let run = self
            .db
            .run(Self::NAME, Some(buyer), buyer.request_id, move |cx| {
                Box::pin(async move {
                    match placed_before(cx, buyer, cart, key, sale).await? {
                        Some(order) => shown(cx, order).await,
                        None => self.set_aside(cx, buyer, cart, key, sale).await,
                    }
                })
            });
        run.await
    }

    /// Refuses more tickets than one order may be for, also when it is only priced.
    pub(super) fn few_enough(&self, cart: &Cart) -> Result<()> {
        let items = cart.items.0.iter().map(|item| item.quantity).sum::<i32>();
        if items > self.settings.order_max_tickets.into() {
            let detail = format!(
                "are {items} tickets; one order is for {} at most",
                self.settings.order_max_tickets
            );
            return Err(Error::field("/items", "range", detail));
        }
        Ok(())
    }

    async fn set_aside(
        &self,
        cx: &mut Cx,
        buyer: &Member,
        cart: &Cart,
        key: &str,
        sale: Sale,
    ) -> Result<PlacedOrder> {
        // Serialises the buyer's orders for this event: concurrent ones would each count the buyer's tickets without
        // the other, and exceed the limit per person.
        sqlx::query(
            "select pg_advisory_xact_lock(hashtextextended('order:' || $1::text || $2::text, 0))",
        )
        .bind(buyer.id())
        .bind(cart.event_id)
        .execute(cx.conn())
        .await?;
        let priced = cart::load(cx, buyer, cart, sale).await?;
        let order = New {
            id: Uuid::now_v7(),
            buyer: buyer.id(),
            key,
            sale,
            minutes: self.settings.order_minutes,
            referrer: cart.referrer.as_deref(),
            priced: &priced,
        };
        order.insert(cx).await?;
        let is_paid = sale == Sale::AtDoor || priced.quote.funds.card.amount() == 0;
        // What a waiting order shows does not depend on its tickets. It is read before they are locked, because the
        // orders of other buyers wait for them.
        let waiting = match is_paid {
            true => None,
            false => Some(shown(cx, order.id).await?),
        };
        if is_paid {
            settle::lock_event(cx, cart.event_id).await?;
        }
        let held = sqlx::query("select app.hold_tickets($1)")
            .bind(order.id)
            .execute(cx.conn())
            .await;
        if let Err(error) = held {
            return Err(sold_out(cart, error));
        }
        if let Some(waiting) = waiting {
            return Ok(waiting);
        }
        if settle::settle(cx, &self.keys, order.id).await? != Settled::Paid {
            // The event was cancelled after the cart was priced.
            return Err(Error::new(&problems::NOT_ON_SALE));
        }
        shown(cx, order.id).await
    }
}

struct New<'a> {
    id: Uuid,
    buyer: Uuid,
    key: &'a str,
    sale: Sale,
    minutes: u16,
    referrer: Option<&'a str>,
    priced: &'a Priced,
}

/// How an order is paid.
#[derive(Default)]
struct Means {
    credits: i64,
    card: i64,
    cash: i64,
    application_fee: i64,
    top_up: i64,
}

impl New<'_> {
    fn means(&self) -> Means {
        let Quote {
            total,
            funds,
            funding,
            ..
        } = &self.priced.quote;
        match self.sale {
            Sale::AtDoor => Means {
                cash: total.amount(),
                ..Means::default()
            },
            Sale::Online => Means {
                credits: funds.wallet.amount(),
                card: funds.card.amount(),
                cash: 0,
                application_fee: funding.application_fee.amount(),
                top_up: funding.top_up.amount(),
            },
        }
    }

    async fn insert(&self, cx: &mut Cx) -> Result<()> {
        let Quote {
            subtotal,
            discount,
            fee,
            fee_paid_by,
            rule,
            total,
            parts,
            ..
        } = &self.priced.quote;
        let expires: DateTime<Utc> = sqlx::query_scalar("select now() + make_interval(mins => $1)")
            .bind(i32::from(self.minutes))
            .fetch_one(cx.conn())
            .await?;
        let (on_top, paid_by) = match fee_paid_by {
            PaidBy::Buyer => (fee.amount(), "buyer"),
            PaidBy::Organizer => (0, "organizer"),
        };
        let means = self.means();
        let hold = match self.priced.wallet.filter(|_| means.credits > 0) {
            Some(wallet) => {
                let reference = format!("order:{}", self.id);
                let until = expires + HOLD_LONGER;
                Some(ledger::hold(cx, wallet, means.credits, &reference, until).await?)
            }
            None => None,
        };
        let inserted = sqlx::query(
            "insert into app.orders (id, user_id, event_id, subtotal_cents, discount_cents, fee_cents, amount_cents, wallet_cents,
               card_cents, cash_cents, currency, platform_fee_cents, city_share_cents, organizer_cents, application_fee_cents,
               top_up_cents, fee_paid_by, sold_at_door, expires_at, idempotency_key, commission_rule_id, promo_code_id, wallet_hold_id, referrer)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
        )
        .bind(self.id)
        .bind(self.buyer)
        .bind(self.priced.event.id)
        .bind(subtotal.amount())
        .bind(discount.amount())
        .bind(on_top)
        .bind(total.amount())
        .bind(means.credits)
        .bind(means.card)
        .bind(means.cash)
        .bind(total.currency().code())
        .bind(parts.platform.amount())
        .bind(parts.city_share.amount())
        .bind(parts.organizer.amount())
        .bind(means.application_fee)
        .bind(means.top_up)
        .bind(paid_by)
        .bind(self.sale == Sale::AtDoor)
        .bind(expires)
        .bind(self.key)
        .bind(rule)
        .bind(self.priced.promo)
        .bind(hold)
        .bind(self.referrer)
        .execute(cx.conn())
        .await;
        inserted.map_err(|error| match violated(&error) {
            Some(constraint::REDEEMED_WITHIN_CHECK) => Error::new(&problems::PROMO_CODE),
            _ => error.into(),
        })?;
        self.insert_items(cx).await
    }

    async fn insert_items(&self, cx: &mut Cx) -> Result<()> {
        let lines = &self.priced.quote.lines;
        let of =
            |amount: fn(&money::QuotedLine) -> i64| lines.iter().map(amount).collect::<Vec<_>>();
        let inserted = sqlx::query(
            "insert into app.order_items (order_id, ticket_type_id, quantity, unit_price_cents, subtotal_cents, discount_cents,
               total_cents, currency)
             select $1, i.*, $8 from unnest($2::uuid[], $3::int[], $4::int8[], $5::int8[], $6::int8[], $7::int8[]) i",
        )
        .bind(self.id)
        .bind(lines.iter().map(|line| line.line.ticket_type).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.line.quantity.cast_signed()).collect::<Vec<_>>())
        .bind(of(|line| line.line.unit_price.amount()))
        .bind(of(|line| line.discount.amount() + line.total.amount()))
        .bind(of(|line| line.discount.amount()))
        .bind(of(|line| line.total.amount()))
        .bind(self.priced.quote.total.currency().code())
        .execute(cx.conn())
        .await;
        inserted.map(drop).map_err(|error| match violated(&error) {
            // The host has changed the type after the cart was read.
            Some("order_items_at_door") => Error::new(&problems::NOT_ON_SALE),
            _ => error.into(),
        })
    }
}

pub(super) async fn shown(cx: &mut Cx, order: Uuid) -> Result<PlacedOrder> {
    let row = sqlx::query(
        "select o.state, o.currency, o.amount_cents, o.wallet_cents, o.card_cents, o.cash_cents,
           case when o.state = 'pending' then o.expires_at end as expires_at,
           array(select k.id from app.tickets k where k.order_id = o.id order by k.position) as ticket_ids
         from app.orders o where o.id = $1",
    )
    .bind(order)
    .fetch_one(cx.conn())
    .await?;
    Ok(PlacedOrder {
        id: order,
        state: row.try_get("state")?,
        currency: row.try_get("currency")?,
        amount_cents: row.try_get("amount_cents")?,
        wallet_cents: row.try_get("wallet_cents")?,
        card_cents: row.try_get("card_cents")?,
        cash_cents: row.try_get("cash_cents")?,
        expires_at: row.try_get("expires_at")?,
        ticket_ids: row.try_get("ticket_ids")?,
    })
}

/// The error if tickets can't be held. It names the ticket types of which too few are left, or says how many more the
/// event has room for.
fn sold_out(cart: &Cart, error: sqlx::Error) -> Error {
    let detail = error
        .as_database_error()
        .and_then(|database| database.try_downcast_ref::<PgDatabaseError>())
        .and_then(PgDatabaseError::detail)
        .unwrap_or_default()
        .to_owned();
    match violated(&error) {
        Some("events_sold_out") => cart::full(&detail),
        // The host has archived the type after the cart was read.
        Some("ticket_types_withdrawn") => Error::new(&problems::NOT_ON_SALE),
        Some("ticket_types_sold_out") => {
            let lacking = |id: &Uuid| detail.split(' ').any(|known| known.parse() == Ok(*id));
            let items = cart.items.0.iter().enumerate();
            items
                .filter(|(_, item)| lacking(&item.ticket_type_id))
                .fold(Error::new(&problems::SOLD_OUT), |error, (n, _)| {
                    let pointer = format!("/items/{n}/quantity");
                    error.item(Item::body(
                        pointer,
                        "sold_out",
                        "not enough tickets are left",
                    ))
                })
        }
        _ => error.into(),
    }
}

/// Finds the order that an earlier request with the same key has placed. The order keeps its key for ever, longer than
/// the stored answer. A key that was used with another cart is refused: other tickets, another promo code, or a cart
/// that allows fewer credits than the order has used.
async fn placed_before(
    cx: &mut Cx,
    buyer: &Member,
    cart: &Cart,
    key: &str,
    sale: Sale,
) -> Result<Option<Uuid>> {
    let items = cart.items.0.iter();
    let (kinds, quantities): (Vec<Uuid>, Vec<i32>) = items
        .map(|item| (item.ticket_type_id, item.quantity))
        .unzip();
    // An order that used fewer credits than the cart allows may still be of this cart: the buyer may have had fewer.
    let most_credits = match cart.use_credits {
        Some(true) => cart.credits_max_cents.unwrap_or(i64::MAX),
        _ => 0,
    };
    let found: Option<(Uuid, bool)> = sqlx::query_as(
        "select o.id, o.event_id = $3 and o.sold_at_door = $4
             and (select p.code from app.promo_codes p where p.id = o.promo_code_id) is not distinct from $7
             and o.wallet_cents <= $8 and not exists (
             select from (select i.ticket_type_id, i.quantity from app.order_items i where i.order_id = o.id) i
             full join unnest($5::uuid[], $6::int[]) w(ticket_type_id, quantity) using (ticket_type_id, quantity)
             where i.ticket_type_id is null or w.ticket_type_id is null) as is_same
         from app.orders o where o.user_id = $1 and o.idempotency_key = $2",
    )
    .bind(buyer.id())
    .bind(key)
    .bind(cart.event_id)
    .bind(sale == Sale::AtDoor)
    .bind(kinds)
    .bind(quantities)
    .bind(&cart.promo_code)
    .bind(most_credits)
    .fetch_optional(cx.conn())
    .await?;
    match found {
        Some((_, false)) => Err(Error::new(&kernel::problems::KEY_REUSED)),
        found => Ok(found.map(|(order, _)| order)),
    }
}
