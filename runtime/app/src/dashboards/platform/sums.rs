//! What happened on the platform in a period, by country, city and day or month. Each table is read once, by the index
//! on its time; the same rows are summed in four ways.

use super::{super::part, Scope};
use chrono::NaiveDate;
use kernel::{Cx, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Sign-ups, events and ticket sales of the period.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Activity {
    pub total: ActivityFigures,
    /// By day or month; empty ones are left out.
    pub buckets: Vec<ActivityOfBucket>,
    /// Figures without a city are left out.
    pub countries: Vec<ActivityOfPlace>,
    /// At most 100, those with the most tickets.
    pub cities: Vec<ActivityOfPlace>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ActivityFigures {
    /// New members, without closed accounts.
    pub members: i64,
    /// Published or completed events that begin in the period.
    pub events: i64,
    /// Paid orders.
    pub orders: i64,
    /// Tickets of these orders.
    pub tickets: i64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ActivityOfBucket {
    /// First day of the bucket.
    pub starts_on: NaiveDate,
    #[serde(flatten)]
    pub figures: ActivityFigures,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ActivityOfPlace {
    /// Id of the country or city.
    pub place_id: Uuid,
    pub name: String,
    #[serde(flatten)]
    pub figures: ActivityFigures,
}

/// Ticket revenue; one entry per currency.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct RevenueSums {
    pub total: Vec<RevenueFigures>,
    /// By day or month; those without payments and refunds are left out.
    pub buckets: Vec<RevenueOfBucket>,
    pub countries: Vec<RevenueOfPlace>,
    /// At most 100 entries, those with the most orders.
    pub cities: Vec<RevenueOfPlace>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct RevenueFigures {
    pub currency: String,
    pub orders: i64,
    /// Total paid by buyers.
    pub amount_cents: i64,
    /// The hosts' share of `amount_cents`.
    pub organizer_cents: i64,
    /// The platform's part of the commission, without that on cash.
    pub platform_fee_cents: i64,
    /// The cities' part of the commission, without that on cash.
    pub city_share_cents: i64,
    /// Commission recorded for cash that hosts took at the door. The platform has not received it.
    pub uncollected_fee_cents: i64,
    /// Total refunded to buyers.
    pub refunded_cents: i64,
    pub platform_fee_refunded_cents: i64,
    pub city_share_refunded_cents: i64,
    /// The commission recorded for cash that hosts paid back.
    pub uncollected_fee_refunded_cents: i64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct RevenueOfBucket {
    /// First day of the bucket.
    pub starts_on: NaiveDate,
    #[serde(flatten)]
    pub figures: RevenueFigures,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct RevenueOfPlace {
    /// Id of the country or city.
    pub place_id: Uuid,
    pub name: String,
    #[serde(flatten)]
    pub figures: RevenueFigures,
}

/// Card payments of one type in one currency.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Charge {
    /// `ticket`, `subscription`, `featured` or `service_fee`
    #[serde(rename = "type")]
    pub kind: String,
    pub currency: String,
    pub charges: i64,
    pub amount_cents: i64,
    /// Refunds of these payments, at any time.
    pub refunded_cents: i64,
}

pub async fn activity(cx: &mut Cx, scope: Scope) -> Result<Activity> {
    let found = sqlx::query_scalar(
        "with done as (
           select date_trunc($3, u.created_at at time zone 'UTC')::date as starts_on, u.home_city_id as city_id, count(*) as members,
             0 as events, 0 as orders, 0 as tickets
           from app.users u
           where u.created_at >= $1::date::timestamp at time zone 'UTC' and u.created_at < ($2::date + 1)::timestamp at time zone 'UTC'
             and u.status <> 'archived'
           group by 1, 2
           union all
           select date_trunc($3, e.starts_at at time zone 'UTC')::date, e.city_id, 0, count(*), 0, 0
           from app.events e
           where e.starts_at >= $1::date::timestamp at time zone 'UTC' and e.starts_at < ($2::date + 1)::timestamp at time zone 'UTC'
             and e.state in ('published', 'completed') and e.status <> 'archived'
           group by 1, 2
           union all
           select date_trunc($3, o.paid_at at time zone 'UTC')::date, e.city_id, 0, 0, count(*), sum(o.ticket_count)
           from app.orders o join app.events e on e.id = o.event_id
           where o.paid_at >= $1::date::timestamp at time zone 'UTC' and o.paid_at < ($2::date + 1)::timestamp at time zone 'UTC'
             and o.ticket_count > 0
           group by 1, 2
         ), sums as (
           select grouping(d.starts_on, c.country_id, d.city_id) as level, d.starts_on, c.country_id, d.city_id,
             coalesce(sum(d.members), 0) as members, coalesce(sum(d.events), 0) as events, coalesce(sum(d.orders), 0) as orders,
             coalesce(sum(d.tickets), 0) as tickets
           from done d left join app.cities c on c.id = d.city_id
           where ($4::uuid is null or c.country_id = $4) and ($5::uuid is null or c.id = $5)
           group by grouping sets ((), (d.starts_on), (c.country_id), (d.city_id))
         )
         select jsonb_build_object(
           'total', (select to_jsonb(s) from sums s where s.level = 7),
           'buckets', (select coalesce(jsonb_agg(s order by s.starts_on), '[]') from sums s where s.level = 3),
           'countries', (select coalesce(jsonb_agg(x), '[]') from (
             select p.id as place_id, p.name, s.members, s.events, s.orders, s.tickets from sums s join app.countries p on p.id = s.country_id
             where s.level = 5 order by s.tickets desc, s.members desc, p.id) x),
           'cities', (select coalesce(jsonb_agg(x), '[]') from (
             select p.id as place_id, p.name, s.members, s.events, s.orders, s.tickets from sums s join app.cities p on p.id = s.city_id
             where s.level = 6 order by s.tickets desc, s.members desc, p.id limit 100) x))",
    );
    let found = found.bind(scope.from).bind(scope.to).bind(scope.bucket);
    part(cx, found.bind(scope.country).bind(scope.city)).await
}

pub async fn revenue(cx: &mut Cx, scope: Scope) -> Result<RevenueSums> {
    let found = sqlx::query_scalar(
        "with money as (
           select date_trunc($3, o.paid_at at time zone 'UTC')::date as starts_on, e.city_id, o.currency, count(*) as orders,
             sum(o.amount_cents) as amount_cents, sum(o.organizer_cents) as organizer_cents,
             sum(case when o.sold_at_door then 0 else o.platform_fee_cents end) as platform_fee_cents,
             sum(case when o.sold_at_door then 0 else o.city_share_cents end) as city_share_cents,
             sum(case when o.sold_at_door then o.platform_fee_cents + o.city_share_cents else 0 end) as uncollected_fee_cents,
             0 as refunded_cents, 0 as platform_fee_refunded_cents, 0 as city_share_refunded_cents, 0 as uncollected_fee_refunded_cents
           from app.orders o join app.events e on e.id = o.event_id
           where o.paid_at >= $1::date::timestamp at time zone 'UTC' and o.paid_at < ($2::date + 1)::timestamp at time zone 'UTC'
             and o.ticket_count > 0
           group by 1, 2, 3
           union all
           select date_trunc($3, r.settled_at at time zone 'UTC')::date, e.city_id, r.currency, 0, 0, 0, 0, 0, 0,
             sum(r.amount_cents), sum(case when o.sold_at_door then 0 else r.platform_fee_cents end),
             sum(case when o.sold_at_door then 0 else r.city_share_cents end),
             sum(case when o.sold_at_door then r.platform_fee_cents + r.city_share_cents else 0 end)
           from app.refunds r join app.orders o on o.id = r.order_id join app.events e on e.id = o.event_id
           where r.settled_at >= $1::date::timestamp at time zone 'UTC' and r.settled_at < ($2::date + 1)::timestamp at time zone 'UTC'
             and r.state = 'succeeded' and o.ticket_count > 0
           group by 1, 2, 3
         ), sums as (
           select grouping(m.starts_on, c.country_id, m.city_id) as level, m.starts_on, c.country_id, m.city_id, m.currency,
             sum(m.orders) as orders, sum(m.amount_cents) as amount_cents, sum(m.organizer_cents) as organizer_cents,
             sum(m.platform_fee_cents) as platform_fee_cents, sum(m.city_share_cents) as city_share_cents,
             sum(m.uncollected_fee_cents) as uncollected_fee_cents,
             sum(m.refunded_cents) as refunded_cents, sum(m.platform_fee_refunded_cents) as platform_fee_refunded_cents,
             sum(m.city_share_refunded_cents) as city_share_refunded_cents,
             sum(m.uncollected_fee_refunded_cents) as uncollected_fee_refunded_cents
           from money m join app.cities c on c.id = m.city_id
           where ($4::uuid is null or c.country_id = $4) and ($5::uuid is null or c.id = $5)
           group by grouping sets ((m.currency), (m.currency, m.starts_on), (m.currency, c.country_id), (m.currency, m.city_id))
         )
         select jsonb_build_object(
           'total', (select coalesce(jsonb_agg(s order by s.currency), '[]') from sums s where s.level = 7),
           'buckets', (select coalesce(jsonb_agg(s order by s.starts_on, s.currency), '[]') from sums s where s.level = 3),
           'countries', (select coalesce(jsonb_agg(x), '[]') from (
             select p.id as place_id, p.name, s.* from sums s join app.countries p on p.id = s.country_id
             where s.level = 5 order by s.orders desc, p.id, s.currency) x),
           'cities', (select coalesce(jsonb_agg(x), '[]') from (
             select p.id as place_id, p.name, s.* from sums s join app.cities p on p.id = s.city_id
             where s.level = 6 order by s.orders desc, p.id, s.currency limit 100) x))",
    );
    let found = found.bind(scope.from).bind(scope.to).bind(scope.bucket);
    part(cx, found.bind(scope.country).bind(scope.city)).await
}

pub async fn charges(cx: &mut Cx, scope: Scope) -> Result<Vec<Charge>> {
    let found = sqlx::query_scalar(
        "select coalesce(jsonb_agg(x), '[]') from (
           select t.type, t.currency, count(*) as charges, sum(t.amount_cents) as amount_cents, sum(t.refunded_cents) as refunded_cents
           from app.transactions t left join app.cities c on c.id = t.city_id
           where t.status in ('succeeded', 'part_refunded', 'refunded')
             and t.created_at >= $1::date::timestamp at time zone 'UTC' and t.created_at < ($2::date + 1)::timestamp at time zone 'UTC'
             and ($3::uuid is null or c.country_id = $3) and ($4::uuid is null or c.id = $4)
           group by 1, 2 order by 1, 2) x",
    );
    let found = found.bind(scope.from).bind(scope.to);
    part(cx, found.bind(scope.country).bind(scope.city)).await
}
