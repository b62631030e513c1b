//! The income from a host's events in a period: payments by the day of payment, refunds by the day of refund.
//!
//! Only orders that have got their tickets count, as in [`crate::tickets::sales`]; refunds count once they have
//! succeeded.

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
    /// `organizer_cents` less `organizer_refunded_cents`.
    pub net_cents: i64,
}

pub async fn by_month(
    cx: &mut Cx,
    host: Uuid,
    between: Between,
    zone: &str,
) -> Result<Vec<MonthRevenue>> {
    let found = sqlx::query_scalar(
        "with held as (
           select e.id from app.events e
           where e.host_organization_id = $1 or e.host_community_id = $1 or e.host_business_id = $1 or e.host_institution_id = $1
         ), paid as (
           select date_trunc('month', o.paid_at at time zone $4)::date as month, o.currency, count(*) as orders,
             sum(o.ticket_count) as tickets, sum(o.subtotal_cents) as gross_cents, sum(o.discount_cents) as discount_cents,
             sum(o.fee_cents) as fee_cents, sum(o.amount_cents) as amount_cents, sum(o.organizer_cents) as organizer_cents,
             sum(o.platform_fee_cents) as platform_fee_cents, sum(o.city_share_cents) as city_share_cents
           from app.orders o
           where o.event_id in (select h.id from held h) and o.ticket_count > 0
             and o.paid_at >= $2::date::timestamp at time zone $4 and o.paid_at < ($3::date + 1)::timestamp at time zone $4
           group by 1, 2
         ), back as (
           select date_trunc('month', r.settled_at at time zone $4)::date as month, r.currency,
             sum(r.amount_cents) as refunded_cents, sum(r.organizer_cents) as organizer_refunded_cents
           from app.orders o join app.refunds r on r.order_id = o.id
           where o.event_id in (select h.id from held h) and r.state = 'succeeded'
             and o.ticket_count > 0
             and r.settled_at >= $2::date::timestamp at time zone $4 and r.settled_at < ($3::date + 1)::timestamp at time zone $4
           group by 1, 2
         )
         select coalesce(jsonb_agg(x), '[]') from (
           select month, currency, coalesce(p.orders, 0) as orders, coalesce(p.tickets, 0) as tickets,
             coalesce(p.gross_cents, 0) as gross_cents, coalesce(p.discount_cents, 0) as discount_cents,
             coalesce(p.fee_cents, 0) as fee_cents, coalesce(p.amount_cents, 0) as amount_cents,
             coalesce(p.organizer_cents, 0) as organizer_cents, coalesce(p.platform_fee_cents, 0) as platform_fee_cents,
             coalesce(p.city_share_cents, 0) as city_share_cents, coalesce(b.refunded_cents, 0) as refunded_cents,
             coalesce(b.organizer_refunded_cents, 0) as organizer_refunded_cents,
             coalesce(p.organizer_cents, 0) - coalesce(b.organizer_refunded_cents, 0) as net_cents
           from paid p full join back b using (month, currency) order by month, currency) x",
    );
    let found = found.bind(host).bind(between.from).bind(between.to);
    part(cx, found.bind(zone)).await
}

pub async fn by_event(
    cx: &mut Cx,
    host: Uuid,
    between: Between,
    zone: &str,
) -> Result<Vec<EventRevenue>> {
    let found = sqlx::query_scalar(
        "with held as (
           select e.id, e.title from app.events e
           where e.host_organization_id = $1 or e.host_community_id = $1 or e.host_business_id = $1 or e.host_institution_id = $1
         ), paid as (
           select o.event_id, o.currency, count(*) as orders, sum(o.ticket_count) as tickets, sum(o.subtotal_cents) as gross_cents,
             sum(o.discount_cents) as discount_cents, sum(o.fee_cents) as fee_cents, sum(o.amount_cents) as amount_cents,
             sum(o.organizer_cents) as organizer_cents, sum(o.platform_fee_cents) as platform_fee_cents,
             sum(o.city_share_cents) as city_share_cents
           from app.orders o
           where o.event_id in (select h.id from held h) and o.ticket_count > 0
             and o.paid_at >= $2::date::timestamp at time zone $4 and o.paid_at < ($3::date + 1)::timestamp at time zone $4
           group by 1, 2
         ), back as (
           select o.event_id, r.currency, sum(r.amount_cents) as refunded_cents, sum(r.organizer_cents) as organizer_refunded_cents
           from app.orders o join app.refunds r on r.order_id = o.id
           where o.event_id in (select h.id from held h) and r.state = 'succeeded'
             and o.ticket_count > 0
             and r.settled_at >= $2::date::timestamp at time zone $4 and r.settled_at < ($3::date + 1)::timestamp at time zone $4
           group by 1, 2
         )
         select coalesce(jsonb_agg(x), '[]') from (
           select event_id, h.title, currency, coalesce(p.orders, 0) as orders, coalesce(p.tickets, 0) as tickets,
             coalesce(p.gross_cents, 0) as gross_cents, coalesce(p.discount_cents, 0) as discount_cents,
             coalesce(p.fee_cents, 0) as fee_cents, coalesce(p.amount_cents, 0) as amount_cents,
             coalesce(p.organizer_cents, 0) as organizer_cents, coalesce(p.platform_fee_cents, 0) as platform_fee_cents,
             coalesce(p.city_share_cents, 0) as city_share_cents, coalesce(b.refunded_cents, 0) as refunded_cents,
             coalesce(b.organizer_refunded_cents, 0) as organizer_refunded_cents,
             coalesce(p.organizer_cents, 0) - coalesce(b.organizer_refunded_cents, 0) as net_cents
           from paid p full join back b using (event_id, currency) join held h on h.id = event_id
           order by orders desc, event_id, currency limit 100) x",
    );
    let found = found.bind(host).bind(between.from).bind(between.to);
    part(cx, found.bind(zone)).await
}
