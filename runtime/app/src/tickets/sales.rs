//! The sales of an event, for its host: tickets by type, and money by currency.
//!
//! Computed from the tables for each request, so it always agrees with them. Counts orders whose tickets were issued;
//! an order that was paid too late and refunded in full was never sold.

use super::{Tickets, sellable};
use crate::module::{Module, admin_or_platform, id, uncached};
use crate::payments;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use generated::event::EVENT;
use kernel::{Cx, Member, Result, openapi::Objects};
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

/// Sales of an event.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "sales")]
pub(crate) struct Sales {
    event_id: Uuid,
    ticket_types: Vec<TicketTypeSales>,
    /// One for each currency with sales.
    currencies: Vec<CurrencySales>,
}

impl Sales {
    /// The number of tickets of all types that were used at the door.
    pub(crate) fn checked_in(&self) -> i64 {
        self.ticket_types.iter().map(|kind| kind.checked_in).sum()
    }
}

/// Sales of one ticket type.
#[derive(Serialize, ToSchema)]
struct TicketTypeSales {
    ticket_type_id: Uuid,
    name: String,
    currency: String,
    capacity: i32,
    /// Tickets held for pending orders and for offers to the waiting list.
    held: i32,
    /// Sold tickets without refunded and void ones.
    sold: i32,
    checked_in: i64,
    refunded: i64,
    /// Price before discounts, including refunded tickets.
    gross_cents: i64,
    /// Discounts by promo codes.
    discount_cents: i64,
    /// Amount paid for all tickets, fees on top included.
    paid_cents: i64,
    /// Part of `paid_cents` for refunded tickets.
    refunded_cents: i64,
    /// Why nobody can order them online, and what to do, apart from the state of the event, the sales period and the number
    /// of tickets left. Null if they can be ordered or are sold only at the door.
    obstacle: Option<String>,
}

/// Sales in one currency.
#[derive(Serialize, ToSchema)]
struct CurrencySales {
    currency: String,
    orders: i64,
    /// Price of the tickets before discounts.
    gross_cents: i64,
    /// Discounts by promo codes.
    discount_cents: i64,
    /// Fees that buyers paid on top.
    fee_cents: i64,
    /// Amounts paid.
    paid: Amounts,
    /// Completed refunds.
    refunded: Amounts,
    /// Refunds that are under way to cards.
    refunds_pending: Amounts,
}

/// A sum, divided by means of payment and by recipient.
#[derive(Serialize, ToSchema, Default)]
struct Amounts {
    amount_cents: i64,
    card_cents: i64,
    /// Paid with credits.
    wallet_cents: i64,
    /// Paid in cash at the door.
    cash_cents: i64,
    organizer_cents: i64,
    platform_fee_cents: i64,
    city_share_cents: i64,
}

pub fn router(tickets: Tickets) -> Router {
    Router::new()
        .route("/events/{id}/sales", get(sales))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[("Sales", "sales")]);

#[derive(OpenApi)]
#[openapi(paths(sales), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Computes the sales, in two statements regardless of how much was sold. Callers must check the permission
/// themselves; the queries run as this module.
pub(crate) async fn figures(cx: &mut Cx, event: Uuid) -> Result<Sales> {
    let before = cx.work_as(Tickets::NAME).await?;
    let sales = Sales {
        event_id: event,
        ticket_types: with_obstacles(cx, event).await?,
        currencies: currencies(cx, event).await?,
    };
    cx.work_as(before).await?;
    Ok(sales)
}

/// Get the sales of an event
///
/// For the host's admins and the platform: tickets by type, and amounts by means of payment and recipient.
#[utoipa::path(get, path = "/events/{id}/sales", operation_id = "getSales", tag = "Orders", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the event")),
    responses(
        (status = 200, description = "The sales", body = Sales),
        (status = 403, description = "The caller is no admin of the event's host"),
        (status = 404, description = "There is no such event, or the caller may not see it")))]
async fn sales(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let event = id(&path)?;
    let member = &caller;
    let run = tickets
        .db
        .run(Tickets::NAME, Some(member), member.request_id, move |cx| {
            Box::pin(async move {
                // The same callers who may read the host's amounts of an order.
                admin_or_platform(cx, member, &EVENT, event).await?;
                figures(cx, event).await
            })
        });
    run.await.map(uncached)
}

const BEGINS_LATE: &str = "Their sale begins when the event is over. Set an earlier `sales_start`.";

async fn with_obstacles(cx: &mut Cx, event: Uuid) -> Result<Vec<TicketTypeSales>> {
    let mut sales = ticket_types(cx, event).await?;
    let kinds = sellable::kinds(cx, event).await?;
    if kinds.is_empty() {
        return Ok(sales);
    }
    let unpayable = payments::unpayable(cx, event).await?;
    let obstacles = sellable::obstacles(cx, event, &kinds).await?;
    for (kind, obstacle) in kinds.iter().zip(obstacles) {
        let mut rows = sales.iter_mut();
        if let Some(row) = rows.find(|row| row.ticket_type_id == kind.id) {
            row.obstacle = unpayable.clone().or(obstacle).or(row.obstacle.take());
        }
    }
    Ok(sales)
}

async fn ticket_types(cx: &mut Cx, event: Uuid) -> Result<Vec<TicketTypeSales>> {
    let rows = sqlx::query(
        "select t.id, t.name, t.currency, t.capacity, t.held, t.sold, coalesce(k.checked_in, 0) as checked_in,
           coalesce(k.refunded, 0) as refunded, coalesce(k.paid, 0)::int8 as paid, coalesce(k.paid_back, 0)::int8 as paid_back,
           coalesce(i.gross, 0)::int8 as gross, coalesce(i.discount, 0)::int8 as discount,
           not t.door_only and coalesce(t.sales_start >= e.ends_at, false) as begins_late
         from app.ticket_types t join app.events e on e.id = t.event_id
         left join (
           select k.ticket_type_id, count(*) filter (where k.state = 'checked_in') as checked_in,
             count(*) filter (where k.state = 'refunded') as refunded, sum(k.paid_cents) as paid,
             sum(k.paid_cents) filter (where k.state = 'refunded') as paid_back
           from app.tickets k where k.event_id = $1 group by 1
         ) k on k.ticket_type_id = t.id
         left join (
           select i.ticket_type_id, sum(i.subtotal_cents) as gross, sum(i.discount_cents) as discount
           from app.order_items i join app.orders o on o.id = i.order_id where o.event_id = $1 and o.ticket_count > 0 group by 1
         ) i on i.ticket_type_id = t.id
         where t.event_id = $1 order by t.id",
    )
    .bind(event)
    .fetch_all(cx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(TicketTypeSales {
                ticket_type_id: row.try_get("id")?,
                name: row.try_get("name")?,
                currency: row.try_get("currency")?,
                capacity: row.try_get("capacity")?,
                held: row.try_get("held")?,
                sold: row.try_get("sold")?,
                checked_in: row.try_get("checked_in")?,
                refunded: row.try_get("refunded")?,
                gross_cents: row.try_get("gross")?,
                discount_cents: row.try_get("discount")?,
                paid_cents: row.try_get("paid")?,
                refunded_cents: row.try_get("paid_back")?,
                obstacle: row
                    .try_get::<bool, _>("begins_late")?
                    .then(|| BEGINS_LATE.to_owned()),
            })
        })
        .collect()
}

async fn currencies(cx: &mut Cx, event: Uuid) -> Result<Vec<CurrencySales>> {
    let paid = sqlx::query(
        "select o.currency, count(*) as orders, sum(o.subtotal_cents)::int8 as gross, sum(o.discount_cents)::int8 as discount,
           sum(o.fee_cents)::int8 as fee, sum(o.amount_cents)::int8 as amount, sum(o.card_cents)::int8 as card,
           sum(o.wallet_cents)::int8 as wallet, sum(o.cash_cents)::int8 as cash, sum(o.organizer_cents)::int8 as organizer,
           sum(o.platform_fee_cents)::int8 as platform_fee, sum(o.city_share_cents)::int8 as city_share
         from app.orders o where o.event_id = $1 and o.ticket_count > 0
         group by 1 order by 1",
    )
    .bind(event)
    .fetch_all(cx.conn())
    .await?;
    let back = sqlx::query(
        "select r.currency, r.state, sum(r.amount_cents)::int8 as amount, sum(r.card_cents)::int8 as card,
           sum(r.wallet_cents)::int8 as wallet, sum(r.cash_cents)::int8 as cash, sum(r.organizer_cents)::int8 as organizer,
           sum(r.platform_fee_cents)::int8 as platform_fee, sum(r.city_share_cents)::int8 as city_share
         from app.refunds r join app.orders o on o.id = r.order_id
         where o.event_id = $1 and r.state in ('succeeded', 'pending')
           and o.ticket_count > 0
         group by 1, 2",
    )
    .bind(event)
    .fetch_all(cx.conn())
    .await?;
    paid.iter()
        .map(|row| {
            let currency: String = row.try_get("currency")?;
            Ok(CurrencySales {
                orders: row.try_get("orders")?,
                gross_cents: row.try_get("gross")?,
                discount_cents: row.try_get("discount")?,
                fee_cents: row.try_get("fee")?,
                paid: amounts(row)?,
                refunded: refunds(&back, &currency, "succeeded")?,
                refunds_pending: refunds(&back, &currency, "pending")?,
                currency,
            })
        })
        .collect()
}

fn refunds(rows: &[PgRow], currency: &str, state: &str) -> Result<Amounts> {
    for row in rows {
        if row.try_get::<&str, _>("currency")? == currency
            && row.try_get::<&str, _>("state")? == state
        {
            return amounts(row);
        }
    }
    Ok(Amounts::default())
}

fn amounts(row: &PgRow) -> Result<Amounts> {
    Ok(Amounts {
        amount_cents: row.try_get("amount")?,
        card_cents: row.try_get("card")?,
        wallet_cents: row.try_get("wallet")?,
        cash_cents: row.try_get("cash")?,
        organizer_cents: row.try_get("organizer")?,
        platform_fee_cents: row.try_get("platform_fee")?,
        city_share_cents: row.try_get("city_share")?,
    })
}
