//! What the database says of a cart: the event, its ticket types, the commission rules and the promo code.
//!
//! [`money::price`] computes the price from it. Previews and orders both use this module, so their prices can't
//! differ.

use super::{
    bodies::{Cart, Item},
    commission, joining,
    sellable::host_kind,
};
use crate::{payments, problems, wallet::ledger};
use chrono::{DateTime, Utc};
use generated::event::EVENT;
use kernel::{Cx, Error, Member, Result, problem::Item as Wrong};
use money::{
    BasisPoints, Chain, Charge, Currency, Host, HostKind, Line, Money, Promo, Purchase, Quote,
    card,
    rule::{Unresolved, resolve},
};
use sqlx::{Row, postgres::PgRow};
use std::fmt::Display;
use uuid::Uuid;

/// Where tickets are sold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sale {
    /// To the buyer, who pays by credits and card.
    Online,
    /// By staff of the event, who take cash.
    AtDoor,
}

/// A cart with its price.
pub struct Priced {
    pub event: Event,
    pub quote: Quote,
    pub promo: Option<Uuid>,
    /// The buyer's wallet. None if no credits are used.
    pub wallet: Option<Uuid>,
}

pub struct Event {
    pub id: Uuid,
    pub city: Uuid,
    chain: Chain,
    on_sale: bool,
    /// Whether the event has not been over for a day. It may take longer than planned, and tickets are scanned until
    /// then.
    door_is_open: bool,
    /// Whether it has a capacity of its own.
    is_limited: bool,
    /// The current time by the database's clock.
    now: DateTime<Utc>,
    /// Whether the event takes place: it is published and active, and so is its host. Also true while it is under way.
    is_on: bool,
}

struct Kind {
    id: Uuid,
    price: Money,
    per_user_limit: i64,
    on_sale: bool,
    door_only: bool,
    /// The number of tickets that the buyer has, or has ordered and not paid for yet. What they have sold at the door as
    /// staff is not theirs.
    has: i64,
    /// The number of tickets left at this moment, including waiting-list places that are held for the buyer or whose
    /// hold is over. Only holding the tickets decides whether there are enough.
    left: i32,
}

/// Reads a cart and prices it. At the door every type is on sale until a day after the end of the event, there is no limit
/// per person (of tickets or of a promo code), and no credits are used.
pub async fn load(cx: &mut Cx, buyer: &Member, cart: &Cart, sale: Sale) -> Result<Priced> {
    cx.require(&EVENT, "read", cart.event_id).await?;
    let event = event(cx, cart.event_id).await?;
    let is_sold = match sale {
        Sale::Online => event.on_sale,
        Sale::AtDoor => event.door_is_open,
    };
    if !event.is_on || !is_sold {
        return Err(Error::new(&problems::NOT_ON_SALE));
    }
    if sale == Sale::Online {
        joining::order(cx, buyer, cart.event_id).await?;
    }
    let kinds = kinds(cx, buyer, cart).await?;
    let (lines, currency) = lines(&cart.items.0, &kinds, sale)?;
    if event.is_limited {
        room(cx, buyer, cart).await?;
    }
    let (promo, off) = match &cart.promo_code {
        Some(code) => promo(cx, buyer, cart.event_id, code, currency, sale).await?,
        None => (None, None),
    };
    let rules = commission::rules(cx, &event.chain, Charge::Ticket, currency, event.now).await?;
    let (wallet, credits) = match (sale, cart.use_credits) {
        // Nothing is left for a card, whose smallest and largest charge don't matter to cash.
        (Sale::AtDoor, _) => (None, Money::new(i64::MAX, currency)),
        (Sale::Online, Some(true)) => credits(cx, buyer, currency, cart.credits_max_cents).await?,
        (Sale::Online, _) => (None, Money::zero(currency)),
    };
    let rule = match resolve(&rules, &event.chain, Charge::Ticket, currency, event.now) {
        Ok(rule) => {
            rule.terms.check().map_err(unusable)?;
            Ok(Some(rule))
        }
        // The platform takes no part of cash, so it needs no rule about it.
        Err(Unresolved::NoRule(_)) if sale == Sale::AtDoor => Ok(None),
        Err(error) => Err(error),
    };
    let mut purchase = Purchase {
        currency,
        lines: &lines,
        promo: off,
        rule,
        city: Some(event.city),
        credits,
    };
    // At the door the host has received the cash directly.
    let is_paid_out = sale == Sale::Online && lines.iter().any(|line| line.unit_price.amount() > 0);
    let account = match is_paid_out {
        true => account(cx, &event).await?,
        false => None,
    };
    let is_own = account.is_some()
        && purchase.credits.amount() > 0
        && cx.holds(&EVENT, "admin", event.id).await?;
    if is_own || account.as_ref().is_some_and(|ready| ready.settles_abroad) {
        purchase.credits =
            credits_without_top_up(&purchase).map_err(|error| unpayable(cart, error))?;
    }
    let quote = money::price(&purchase).map_err(|error| unpayable(cart, error))?;
    refuse_too_much(&quote)?;
    if quote.funds.card.amount() > 0 && !card::is_charged(currency) {
        let detail = format!(
            "Cards can't be charged in {currency}. The host has to sell these tickets in another currency."
        );
        return Err(Error::new(&problems::NOT_ON_SALE).detail(detail));
    }
    if is_paid_out && quote.parts.organizer.amount() > 0 && account.is_none() {
        return Err(Error::new(&problems::HOST_UNPAYABLE));
    }
    Ok(Priced {
        event,
        quote,
        promo,
        wallet,
    })
}

/// The error for more tickets than the event has room for.
pub fn full(room: impl Display) -> Error {
    let detail = format!("the event has room for {room} more");
    Error::new(&problems::SOLD_OUT).item(Wrong::body("/items", "sold_out", detail))
}

/// Refuses more than an order can be about, which is possible only in cash.
fn refuse_too_much(quote: &Quote) -> Result<()> {
    let sum = quote.subtotal.amount().max(quote.total.amount());
    let most = Money::new(Money::MOST, quote.total.currency());
    if sum <= most.amount() {
        return Ok(());
    }
    let detail = format!(
        "cost {}, and one order is about {most} at most: order fewer tickets",
        Money::new(sum, most.currency())
    );
    Err(Error::field("/items", "range", detail))
}

/// A host in another region can only be paid by card payments, and one that the buyer runs would pay the credits out to
/// the buyer, which is not what they are for. So credits pay at most the platform's part (with the city's share).
fn credits_without_top_up(purchase: &Purchase<'_>) -> Result<Money, money::Error> {
    let by_card = Purchase {
        credits: Money::zero(purchase.currency),
        ..*purchase
    };
    let parts = money::price(&by_card)?.parts;
    purchase.credits.min(parts.platform.plus(parts.city_share)?)
}

/// The error if what credits leave of the price can't be charged to a card. It points at what the buyer can change: the
/// credits, the promo code, or the tickets.
fn unpayable(cart: &Cart, error: money::Error) -> Error {
    let of_price = match &cart.promo_code {
        Some(_) => "/promo_code",
        None => "/items",
    };
    let credits = match cart.use_credits {
        Some(true) => "credits",
        _ => "credits (`use_credits`)",
    };
    let (pointer, detail) = match error {
        money::Error::CardMinimum {
            minimum,
            credits_at_most: Some(most),
            ..
        } => (
            "/credits_max_cents",
            format!(
                "leaves less than {minimum} for the card, which takes no less: use at most {}, or no credits",
                most.amount()
            ),
        ),
        money::Error::CardMinimum { minimum, total, .. } => {
            let without = match &cart.promo_code {
                Some(_) => "order without the promo code, ",
                None => "",
            };
            let detail = format!(
                "makes {total} to pay, and a card takes no less than {minimum}: order more tickets, {without}or pay all of it \
                 with {credits}"
            );
            (of_price, detail)
        }
        money::Error::CardMaximum {
            card,
            maximum,
            credits_at_least,
        } => (
            "/items",
            format!(
                "leave {card} for the card, which takes no more than {maximum}: order fewer tickets, or pay {} or more \
                 with {credits}",
                credits_at_least.amount()
            ),
        ),
        other => return unpriced(other),
    };
    Error::field(pointer, "range", detail)
}

/// The error if a cart can't be priced because the host or the platform has set something wrong.
fn unpriced(error: money::Error) -> Error {
    match error {
        money::Error::Unresolved(_) => Error::new(&problems::NOT_ON_SALE)
            .detail("The platform has no commission rule for this event and currency yet.")
            .because(error.to_string()),
        other => Error::new(&problems::NOT_ON_SALE)
            .detail("The prices of this event can't be charged. Its host has to change them.")
            .because(other.to_string()),
    }
}

/// The error if no commission can be computed by the platform's rule, of which the host knows nothing.
fn unusable(error: money::Error) -> Error {
    Error::new(&problems::NOT_ON_SALE)
        .detail("The platform's commission rule for this event can't be charged. The platform has to change it.")
        .because(error.to_string())
}

/// The account of the event's host, if money can be sent to it now. It receives what credits pay as well as what cards
/// pay.
async fn account(cx: &mut Cx, event: &Event) -> Result<Option<payments::Ready>> {
    let Some(host) = event.chain.host else {
        return Ok(None);
    };
    let kind = match host.kind {
        HostKind::Organization => "organization",
        HostKind::Business => "business",
        HostKind::Community | HostKind::Institution => return Ok(None),
    };
    payments::ready(cx, kind, host.id).await
}

async fn event(cx: &mut Cx, id: Uuid) -> Result<Event> {
    let row = sqlx::query(
        "select e.city_id, c.country_id, e.host_type, e.host_id,
           e.state = 'published' and e.status = 'active' and app.host_is_live(e.host_id) as is_on, e.ends_at > now() as on_sale,
           e.ends_at > now() - interval '1 day' as door_is_open, e.capacity is not null as is_limited, now() as now
         from app.events e join app.cities c on c.id = e.city_id where e.id = $1",
    )
    .bind(id)
    .fetch_optional(cx.conn())
    .await?
    .ok_or_else(Error::not_found)?;
    let city: Uuid = row.try_get("city_id")?;
    let kind = host_kind(row.try_get("host_type")?);
    Ok(Event {
        id,
        city,
        on_sale: row.try_get("on_sale")?,
        door_is_open: row.try_get("door_is_open")?,
        is_limited: row.try_get("is_limited")?,
        is_on: row.try_get("is_on")?,
        now: row.try_get("now")?,
        chain: Chain {
            event: Some(id),
            host: Some(Host {
                kind,
                id: row.try_get("host_id")?,
            }),
            city: Some(city),
            country: Some(row.try_get("country_id")?),
        },
    })
}

async fn kinds(cx: &mut Cx, buyer: &Member, cart: &Cart) -> Result<Vec<Kind>> {
    let ids: Vec<Uuid> = cart
        .items
        .0
        .iter()
        .map(|item| item.ticket_type_id)
        .collect();
    let rows = sqlx::query(
        "select t.id, t.price_cents, t.currency, t.per_user_limit::int8 as per_user_limit,
           t.capacity - t.held - t.sold + (select count(*)::int from app.waitlist_entries w
             where w.offered_type_id = t.id and w.state = 'offered'
               and (w.user_id = $3 or w.status <> 'active' or w.offer_expires_at <= now())) as left,
           (t.sales_start is null or t.sales_start <= now()) and (t.sales_end is null or t.sales_end > now()) as on_sale, t.door_only,
           (select count(*) from app.tickets k join app.orders o on o.id = k.order_id
              where k.ticket_type_id = t.id and k.buyer_id = $3 and k.state in ('valid', 'checked_in') and not o.sold_at_door)
           + (select coalesce(sum(i.quantity), 0) from app.order_items i join app.orders o on o.id = i.order_id
              where i.ticket_type_id = t.id and o.user_id = $3 and o.state = 'pending' and not o.sold_at_door) as has
         from app.ticket_types t where t.event_id = $1 and t.id = any ($2) and t.status = 'active'",
    )
    .bind(cart.event_id)
    .bind(ids)
    .bind(buyer.id())
    .fetch_all(cx.conn())
    .await?;
    rows.iter().map(kind).collect()
}

fn kind(row: &PgRow) -> Result<Kind> {
    let currency = Currency::parse(row.try_get("currency")?).map_err(unpriced)?;
    Ok(Kind {
        id: row.try_get("id")?,
        price: Money::new(row.try_get("price_cents")?, currency),
        per_user_limit: row.try_get("per_user_limit")?,
        on_sale: row.try_get("on_sale")?,
        door_only: row.try_get("door_only")?,
        has: row.try_get("has")?,
        left: row.try_get("left")?,
    })
}

/// Refuses more tickets than an event with a capacity of its own has room for, as holding them does. Places that are
/// held for the buyer, or no longer for anybody, are room.
async fn room(cx: &mut Cx, buyer: &Member, cart: &Cart) -> Result<()> {
    let items = cart.items.0.iter();
    let kinds: Vec<Uuid> = items.map(|item| item.ticket_type_id).collect();
    let room: Option<i64> = sqlx::query_scalar(
        "select e.capacity - (select coalesce(sum(t.held + t.sold), 0) from app.ticket_types t where t.event_id = e.id)::int8
           + (select count(*) from app.waitlist_entries w where w.event_id = e.id and w.state = 'offered'
                and ((w.user_id = $2 and w.offered_type_id = any ($3)) or w.status <> 'active' or w.offer_expires_at <= now()))
         from app.events e where e.id = $1",
    )
    .bind(cart.event_id)
    .bind(buyer.id())
    .bind(kinds)
    .fetch_one(cx.conn())
    .await?;
    let wanted: i64 = cart
        .items
        .0
        .iter()
        .map(|item| i64::from(item.quantity))
        .sum();
    match room {
        Some(room) if wanted > room => Err(full(room.max(0))),
        _ => Ok(()),
    }
}

/// Turns the items into lines with prices. Reports everything that is wrong with them at once.
fn lines(items: &[Item], kinds: &[Kind], sale: Sale) -> Result<(Vec<Line>, Currency)> {
    let mut lines = Vec::with_capacity(items.len());
    let mut wrong = Vec::new();
    let mut problem = &kernel::problems::INVALID;
    let mut refuse = |n: usize, field: &str, code, detail: String| {
        wrong.push(Wrong::body(format!("/items/{n}{field}"), code, detail));
    };
    let mut currency = None;
    for (n, item) in items.iter().enumerate() {
        let Some(kind) = kinds.iter().find(|kind| kind.id == item.ticket_type_id) else {
            let detail = "does not refer to anything you can use here".to_owned();
            refuse(n, "/ticket_type_id", "reference", detail);
            continue;
        };
        if items[..n]
            .iter()
            .any(|other| other.ticket_type_id == item.ticket_type_id)
        {
            refuse(
                n,
                "/ticket_type_id",
                "repeated",
                "is there twice; add the quantities".to_owned(),
            );
        }
        if *currency.get_or_insert(kind.price.currency()) != kind.price.currency() {
            let detail = "is sold in another currency: order it by itself".to_owned();
            refuse(n, "/ticket_type_id", "currency", detail);
        }
        if (!kind.on_sale || kind.door_only) && sale == Sale::Online {
            let detail = match kind.door_only {
                true => "is sold only at the door".to_owned(),
                false => "is not on sale now".to_owned(),
            };
            refuse(n, "/ticket_type_id", "not_on_sale", detail);
            problem = &problems::NOT_ON_SALE;
        }
        if kind.has + i64::from(item.quantity) > kind.per_user_limit && sale == Sale::Online {
            let detail = format!(
                "one person may have {}, and you have {}",
                kind.per_user_limit, kind.has
            );
            refuse(n, "/quantity", "limit", detail);
            problem = &problems::LIMIT_REACHED;
        }
        if item.quantity > kind.left {
            let detail = format!("there are {} left", kind.left.max(0));
            refuse(n, "/quantity", "sold_out", detail);
            problem = &problems::SOLD_OUT;
        }
        lines.push(Line {
            ticket_type: kind.id,
            quantity: item.quantity.unsigned_abs(),
            unit_price: kind.price,
        });
    }
    let told = |error: Error, item| error.item(item);
    match currency {
        Some(currency) if wrong.is_empty() => Ok((lines, currency)),
        _ => Err(wrong.into_iter().fold(Error::new(problem), told)),
    }
}

async fn promo(
    cx: &mut Cx,
    buyer: &Member,
    event: Uuid,
    code: &str,
    currency: Currency,
    sale: Sale,
) -> Result<(Option<Uuid>, Option<Promo>)> {
    let row = sqlx::query(
        "select p.id, p.basis_points, p.amount_cents, p.currency, p.per_user_limit::int8 as per_user_limit,
           (select count(*) from app.orders o where o.promo_code_id = p.id and o.user_id = $3
              and o.state in ('pending', 'paid', 'part_refunded') and not o.sold_at_door) as used
         from app.promo_codes p
         where p.event_id = $1 and p.code = $2 and p.status = 'active' and p.valid_from <= now()
           and (p.valid_to is null or p.valid_to > now())",
    )
    .bind(event)
    .bind(code)
    .bind(buyer.id())
    .fetch_optional(cx.conn())
    .await?;
    let refused = || Error::new(&problems::PROMO_CODE);
    let row = row.ok_or_else(refused)?;
    // At the door the caller is the staff: who the guest is, and what they have used, is not known.
    if sale == Sale::Online
        && row.try_get::<i64, _>("used")? >= row.try_get::<i64, _>("per_user_limit")?
    {
        return Err(Error::new(&problems::LIMIT_REACHED)
            .detail("You have used this promo code as often as one person may."));
    }
    let promo = match row.try_get::<Option<i32>, _>("basis_points")? {
        Some(points) => Promo::Percentage(BasisPoints::new(points.into()).map_err(unpriced)?),
        None if row.try_get::<Option<&str>, _>("currency")? == Some(currency.code()) => {
            let off = Money::new(row.try_get("amount_cents")?, currency);
            card::to_processor(off).map_err(|error| {
                refused()
                    .detail("What this promo code takes off can't be charged. Its host has to change it; order without it.")
                    .because(error.to_string())
            })?;
            Promo::PerTicket(off)
        }
        None => return Err(refused()),
    };
    Ok((Some(row.try_get("id")?), Some(promo)))
}

async fn credits(
    cx: &mut Cx,
    buyer: &Member,
    currency: Currency,
    at_most: Option<i64>,
) -> Result<(Option<Uuid>, Money)> {
    let wallet = ledger::of_member(cx, buyer.id(), currency.code()).await?;
    let available = ledger::available(cx, wallet).await?;
    let used = available.min(at_most.unwrap_or(i64::MAX)).max(0);
    Ok((Some(wallet), Money::new(used, currency)))
}
