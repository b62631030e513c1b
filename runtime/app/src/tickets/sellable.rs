//! Whether an event's tickets can be ordered online at their prices: the host is told when it puts them on sale, and in
//! the figures of its sales, instead of each buyer.
//!
//! Asks the function that prices orders ([`money::price`]) for one ticket and for the largest order, under the commission
//! rule that holds when the sale begins. Knows neither the host's account nor how many tickets are left.

use super::commission;
use crate::problems;
use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Result};
use money::{
    Chain, Charge, Currency, Host, HostKind, Line, Money, Purchase, Quote, Rule, card,
    rule::resolve,
};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// A ticket type that is sold online.
#[derive(Clone, Debug)]
pub struct Kind {
    pub id: Uuid,
    pub name: String,
    pub price_cents: i64,
    pub currency: String,
    pub per_user_limit: i32,
    pub capacity: i32,
    pub sales_start: Option<DateTime<Utc>>,
}

/// Refuses an event with ticket types of which nobody could order one online. For callers who may read the event;
/// refuses nothing of one that they may not see.
pub async fn refuse_all(cx: &mut Cx, event: Uuid) -> Result<()> {
    let kinds = kinds(cx, event).await?;
    refuse_these(cx, event, &kinds).await
}

/// The same for these types alone.
pub async fn refuse_these(cx: &mut Cx, event: Uuid, kinds: &[Kind]) -> Result<()> {
    let obstacles = obstacles(cx, event, kinds).await?;
    refuse(kinds.iter().zip(obstacles))
}

/// The same for one type of the event, as it would be after a change.
pub async fn refuse_one(cx: &mut Cx, event: Uuid, kind: Kind) -> Result<()> {
    let mut kinds = kinds(cx, event).await?;
    kinds.retain(|other| other.id != kind.id);
    kinds.push(kind);
    let obstacles = obstacles(cx, event, &kinds).await?;
    refuse(kinds.iter().zip(obstacles).next_back())
}

fn refuse<'a>(found: impl IntoIterator<Item = (&'a Kind, Option<String>)>) -> Result<()> {
    let told: Vec<String> = found
        .into_iter()
        .filter_map(|(kind, why)| why.map(|why| format!("`{}`: {why}", kind.name)))
        .collect();
    match told.is_empty() {
        true => Ok(()),
        false => Err(Error::new(&problems::UNSELLABLE).detail(told.join(" "))),
    }
}

/// The active types of an event that cost something and are sold online.
pub async fn kinds(cx: &mut Cx, event: Uuid) -> Result<Vec<Kind>> {
    let rows = sqlx::query(
        "select t.id, t.name, t.price_cents, t.currency, t.per_user_limit, t.capacity, t.sales_start
         from app.ticket_types t
         where t.event_id = $1 and t.status = 'active' and t.price_cents > 0 and not t.door_only order by t.id",
    )
    .bind(event)
    .fetch_all(cx.conn())
    .await?;
    rows.iter().map(kind).collect()
}

/// The same of those that come back with an archived event. None if it is over or was not published.
pub async fn returning(cx: &mut Cx, event: Uuid) -> Result<Vec<Kind>> {
    let rows = sqlx::query(
        "select t.id, t.name, t.price_cents, t.currency, t.per_user_limit, t.capacity, t.sales_start
         from app.types_restored_with($1) t",
    )
    .bind(event)
    .fetch_all(cx.conn())
    .await?;
    rows.iter().map(kind).collect()
}

/// A row with the columns of these names.
pub fn kind(row: &PgRow) -> Result<Kind> {
    Ok(Kind {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        price_cents: row.try_get("price_cents")?,
        currency: row.try_get("currency")?,
        per_user_limit: row.try_get("per_user_limit")?,
        capacity: row.try_get("capacity")?,
        sales_start: row.try_get("sales_start")?,
    })
}

/// For each of these types of the event, why nobody can order it online and what the host can do. None: it can be
/// ordered.
pub async fn obstacles(cx: &mut Cx, event: Uuid, kinds: &[Kind]) -> Result<Vec<Option<String>>> {
    let mut found = Vec::with_capacity(kinds.len());
    let Some((chain, now)) = chain(cx, event).await? else {
        return Ok(vec![None; kinds.len()]);
    };
    for kind in kinds {
        let at = kind.sales_start.map_or(now, |start| start.max(now));
        let Ok(currency) = Currency::parse(&kind.currency) else {
            found.push(Some(NOT_CHARGED.to_owned()));
            continue;
        };
        let rules = commission::rules(cx, &chain, Charge::Ticket, currency, at).await?;
        found.push(match resolve(&rules, &chain, Charge::Ticket, currency, at) {
            Ok(rule) => obstacle(kind, kinds, rule),
            Err(_) => Some(format!(
                "The platform has no commission rule for tickets in {currency} at the beginning of their sale. Ask the platform for \
                 one, choose another `currency`, or set `door_only` if they are paid in cash at the door."
            )),
        });
    }
    Ok(found)
}

const NOT_CHARGED: &str = "Cards can't be charged in their currency. Choose another `currency`, or set `door_only` if they are paid in cash.";

fn obstacle(kind: &Kind, kinds: &[Kind], rule: &Rule) -> Option<String> {
    let currency = rule.terms.currency;
    if !card::is_charged(currency) {
        return Some(NOT_CHARGED.to_owned());
    }
    match price(rule, &[line(kind, 1, currency)]) {
        Ok(_) => None,
        Err(money::Error::CardMaximum { card, maximum, .. }) => Some(format!(
            "One of them costs {card} with the commission, and a card takes no more than {maximum}. Set a lower `price_cents`."
        )),
        Err(money::Error::CardMinimum { .. }) => too_little(kinds, rule),
        Err(_) => Some(
            "The platform's commission rule for them can't be charged. Ask the platform to change it."
                .to_owned(),
        ),
    }
}

/// One ticket alone costs less than cards take; that is fine if a larger order reaches it.
fn too_little(kinds: &[Kind], rule: &Rule) -> Option<String> {
    let currency = rule.terms.currency;
    let same = kinds.iter().filter(|kind| kind.currency == currency.code());
    let lines: Vec<Line> = same
        .map(|kind| {
            let most = kind.per_user_limit.min(kind.capacity).max(1);
            line(kind, most.unsigned_abs(), currency)
        })
        .collect();
    match price(rule, &lines) {
        Err(money::Error::CardMinimum { total, minimum, .. }) => Some(format!(
            "As many as one buyer may order cost {total}, and a card takes no less than {minimum}. Set a higher `price_cents` or \
             `per_user_limit`, or make them free."
        )),
        _ => None,
    }
}

fn line(kind: &Kind, quantity: u32, currency: Currency) -> Line {
    Line {
        ticket_type: kind.id,
        quantity,
        unit_price: Money::new(kind.price_cents, currency),
    }
}

fn price(rule: &Rule, lines: &[Line]) -> money::Result<Quote> {
    money::price(&Purchase {
        currency: rule.terms.currency,
        lines,
        promo: None,
        rule: Ok(Some(rule)),
        city: None,
        credits: Money::zero(rule.terms.currency),
    })
}

/// The scopes of an event, and the current time of the database. None: the caller may not see the event.
async fn chain(cx: &mut Cx, event: Uuid) -> Result<Option<(Chain, DateTime<Utc>)>> {
    let row = sqlx::query(
        "select e.city_id, c.country_id, e.host_type, e.host_id, now() as now
         from app.events e join app.cities c on c.id = e.city_id where e.id = $1",
    )
    .bind(event)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let host = Host {
        kind: host_kind(row.try_get("host_type")?),
        id: row.try_get("host_id")?,
    };
    let chain = Chain {
        event: Some(event),
        host: Some(host),
        city: Some(row.try_get("city_id")?),
        country: Some(row.try_get("country_id")?),
    };
    Ok(Some((chain, row.try_get("now")?)))
}

/// A value of `event.host_type`.
pub(super) fn host_kind(host_type: &str) -> HostKind {
    match host_type {
        "organization" => HostKind::Organization,
        "community" => HostKind::Community,
        "business" => HostKind::Business,
        _ => HostKind::Institution,
    }
}
