//! The income from a host's events in a period: payments by the day of payment, refunds by the day of refund, and what
//! banks have made the platform take back by the day on which the host's account was debited.
//!
//! Only orders that have got their tickets count, as in [`crate::tickets::sales`]; refunds and transfers count once they
//! have succeeded.

use super::{part, period::Between};
use chrono::NaiveDate;
use kernel::{Cx, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Revenue of one month in one currency.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct MonthRevenue {
    /// First day of the month.
    pub month: NaiveDate,
    #[serde(flatten)]
    pub revenue: Revenue,
}

/// Revenue of one event in one currency.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct EventRevenue {
    pub event_id: Uuid,
    pub title: String,
    #[serde(flatten)]
    pub revenue: Revenue,
}

/// Payments and refunds.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Revenue {
    pub currency: String,
    pub orders: i64,
    /// Including tickets refunded since.
    pub tickets: i64,
    /// Price of the tickets before discounts.
    pub gross_cents: i64,
    /// Discounts by promo codes.
    pub discount_cents: i64,
    /// Fees added to the price.
    pub fee_cents: i64,
    /// Total paid by buyers.
    pub amount_cents: i64,
    /// The host's share of `amount_cents`.
    pub organizer_cents: i64,
    pub platform_fee_cents: i64,
    pub city_share_cents: i64,
    /// Total refunded to buyers.
    pub refunded_cents: i64,
    /// The host's share of `refunded_cents`.
    pub organizer_refunded_cents: i64,
    /// What was taken back from the host because of disputed payments, less what was returned.
    pub organizer_disputed_cents: i64,
    /// `organizer_cents` less `organizer_refunded_cents` and `organizer_disputed_cents`.
    pub net_cents: i64,
}

/// The income of a host's events.
#[derive(Deserialize)]
pub struct Income {
    pub months: Vec<MonthRevenue>,
    /// Most orders first; at most 100.
    pub events: Vec<EventRevenue>,
}

/// By month and by event in one statement, which reads the host's orders once: a host may have a hundred thousand.
pub async fn of(cx: &mut Cx, host: Uuid, between: Between, zone: &str) -> Result<Income> {
    let found = sqlx::query_scalar(
        "with held as materialized (
           select e.id, e.title from app.events e
           where e.host_organization_id = $1 or e.host_community_id = $1 or e.host_business_id = $1 or e.host_institution_id = $1
         ), sold as materialized (
           select o.* from app.orders o where o.event_id in (select h.id from held h) and o.ticket_count > 0
         ), moved as (
           select s.event_id, s.currency, s.paid_at as at, 1 as orders, s.ticket_count as tickets, s.subtotal_cents as gross_cents,
             s.discount_cents, s.fee_cents, s.amount_cents, s.organizer_cents, s.platform_fee_cents, s.city_share_cents,
             0 as refunded_cents, 0 as organizer_refunded_cents, 0 as organizer_disputed_cents
           from sold s
           union all
           select s.event_id, r.currency, r.settled_at, 0, 0, 0, 0, 0, 0, 0, 0, 0, r.amount_cents, r.organizer_cents, 0
           from sold s join app.refunds r on r.order_id = s.id where r.state = 'succeeded'
           union all
           select s.event_id, t.currency, t.settled_at, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
             case t.kind when 'dispute_reversal' then t.amount_cents else -t.amount_cents end
           from sold s join app.transfers t on t.order_id = s.id
           where t.kind in ('dispute_reversal', 'dispute_return') and t.state = 'succeeded'
         ), sums as materialized (
           select grouping(m.event_id) = 1 as of_month, date_trunc('month', m.at at time zone $4)::date as month, m.event_id, m.currency,
             sum(m.orders) as orders, sum(m.tickets) as tickets, sum(m.gross_cents) as gross_cents, sum(m.discount_cents) as discount_cents,
             sum(m.fee_cents) as fee_cents, sum(m.amount_cents) as amount_cents, sum(m.organizer_cents) as organizer_cents,
             sum(m.platform_fee_cents) as platform_fee_cents, sum(m.city_share_cents) as city_share_cents,
             sum(m.refunded_cents) as refunded_cents, sum(m.organizer_refunded_cents) as organizer_refunded_cents,
             sum(m.organizer_disputed_cents) as organizer_disputed_cents,
             sum(m.organizer_cents) - sum(m.organizer_refunded_cents) - sum(m.organizer_disputed_cents) as net_cents
           from moved m
           where m.at >= $2::date::timestamp at time zone $4 and m.at < ($3::date + 1)::timestamp at time zone $4
           group by grouping sets ((date_trunc('month', m.at at time zone $4)::date, m.currency), (m.event_id, m.currency))
         )
         select jsonb_build_object(
           'months', (select coalesce(jsonb_agg(to_jsonb(x) - 'of_month' - 'event_id' order by x.month, x.currency), '[]') from sums x where x.of_month),
           'events', (select coalesce(jsonb_agg(to_jsonb(x) order by x.orders desc, x.event_id, x.currency), '[]') from (
             select s.event_id, h.title, s.currency, s.orders, s.tickets, s.gross_cents, s.discount_cents, s.fee_cents, s.amount_cents,
               s.organizer_cents, s.platform_fee_cents, s.city_share_cents, s.refunded_cents, s.organizer_refunded_cents,
               s.organizer_disputed_cents, s.net_cents
             from sums s join held h on h.id = s.event_id where not s.of_month
             order by s.orders desc, s.event_id, s.currency limit 100) x))",
    );
    let found = found.bind(host).bind(between.from).bind(between.to);
    part(cx, found.bind(zone)).await
}
