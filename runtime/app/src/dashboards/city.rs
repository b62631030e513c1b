//! `GET /cities/{id}/dashboard`: what is waiting for a decision of the city's administrators, and what happens in the
//! city.

use super::{
    Dashboards, part,
    period::{Between, Days, Period, Takes},
    shared::ShownPeriod,
};
use crate::module::{Module, id, uncached};
use axum::{
    Router,
    extract::{Path, State},
    http::Uri,
    response::Response,
    routing::get,
};
use chrono::{DateTime, NaiveDate, Utc};
use generated::city::CITY;
use kernel::{Cx, Error, Member, Result, openapi::Objects};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

const PERIOD: Days = Days {
    most: 366,
    usual: 365,
    ahead: false,
};
const TAKES: Takes = Takes {
    parameters: &["from", "to"],
    buckets: &[("day", PERIOD)],
};

/// Key figures of a city.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "city_dashboard")]
struct CityDashboard {
    city_id: Uuid,
    period: ShownPeriod,
    approvals: Approvals,
    /// Shares of the months that begin in the period.
    revenue_shares: Vec<ShareOfMonth>,
    featured: Featured,
    suspended: Suspended,
    /// Events that begin in the period, by month; empty months are left out.
    months: Vec<CityMonth>,
}

/// Pending approvals: counts, and the oldest 20 of each kind.
#[derive(Serialize, Deserialize, ToSchema)]
struct Approvals {
    organization_count: i64,
    organizations: Vec<WaitingProfile>,
    business_count: i64,
    businesses: Vec<WaitingProfile>,
    promotion_count: i64,
    promotions: Vec<WaitingPromotion>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct WaitingProfile {
    profile_id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
}

/// A requested booking of a featured place that has not ended.
#[derive(Serialize, Deserialize, ToSchema)]
struct WaitingPromotion {
    promotion_id: Uuid,
    target_type: String,
    target_id: Uuid,
    target_name: String,
    slot: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    amount_cents: i64,
    currency: String,
    /// True also if nothing is to be paid.
    is_paid: bool,
    created_at: DateTime<Utc>,
}

/// The city's share of the platform's commission in one month.
#[derive(Serialize, Deserialize, ToSchema)]
struct ShareOfMonth {
    /// First day of the month.
    month: NaiveDate,
    currency: String,
    amount_cents: i64,
    /// `open`, `closed` or `paid`
    state: String,
}

/// Featured places and their bookings.
#[derive(Serialize, Deserialize, ToSchema)]
struct Featured {
    places: Vec<PlaceInUse>,
    /// Active bookings by end time; at most 50.
    now: Vec<FeaturedBooking>,
    /// Approved bookings that are not active yet, by start time; at most 50.
    coming: Vec<FeaturedBooking>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct PlaceInUse {
    slot: String,
    is_offered: bool,
    day_price_cents: i64,
    currency: String,
    capacity: i32,
    in_use: i64,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct FeaturedBooking {
    promotion_id: Uuid,
    target_type: String,
    target_id: Uuid,
    target_name: String,
    slot: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
}

/// Suspended objects of the city.
#[derive(Serialize, Deserialize, ToSchema)]
struct Suspended {
    /// By type; types without any are left out.
    counts: Vec<SuspendedOfKind>,
    /// The 20 changed last.
    latest: Vec<SuspendedThing>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct SuspendedOfKind {
    entity_type: String,
    count: i64,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct SuspendedThing {
    entity_type: String,
    entity_id: Uuid,
    name: String,
    updated_at: DateTime<Utc>,
}

/// Events that begin in one month, and their tickets.
#[derive(Serialize, Deserialize, ToSchema)]
struct CityMonth {
    /// First day of the month.
    month: NaiveDate,
    published: i64,
    completed: i64,
    cancelled: i64,
    /// Valid tickets, including used ones.
    tickets: i64,
    /// Used tickets.
    checked_in: i64,
}

pub fn router() -> Router<Dashboards> {
    Router::new().route("/cities/{id}/dashboard", get(dashboard))
}

static OBJECTS: Objects = Objects(&[("CityDashboard", "city_dashboard")]);

#[derive(OpenApi)]
#[openapi(paths(dashboard), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get a city's dashboard
///
/// For administrators of the city and the platform. Days are in the city's time zone.
#[utoipa::path(get, path = "/cities/{id}/dashboard", operation_id = "getCityDashboard", tag = "Cities", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Id of the city"),
        ("from" = Option<NaiveDate>, Query, description = "First day (default: 365 days up to the last)"),
        ("to" = Option<NaiveDate>, Query, description = "Last day; at most 366 days")),
    responses(
        (status = 200, description = "The dashboard", body = CityDashboard),
        (status = 403, description = "The caller does not administer the city"),
        (status = 404, description = "The city does not exist, or the caller may not see it"),
        (status = 422, description = "The period is invalid")))]
async fn dashboard(
    State(dashboards): State<Dashboards>,
    caller: Member,
    Path(path): Path<String>,
    uri: Uri,
) -> Result<Response> {
    let city = id(&path)?;
    let period = Period::read(&uri, &TAKES)?;
    let look = dashboards
        .db
        .snapshot(Dashboards::NAME, &caller, move |cx| {
            Box::pin(async move {
                cx.require(&CITY, "read", city).await?;
                if !cx.holds(&CITY, "city_admin", city).await? {
                    return Err(Error::forbidden());
                }
                figures(cx, city, &period).await
            })
        });
    look.await.map(uncached)
}

async fn figures(cx: &mut Cx, city: Uuid, period: &Period) -> Result<CityDashboard> {
    let (timezone, today): (String, NaiveDate) = sqlx::query_as(
        "select c.timezone, (now() at time zone c.timezone)::date from app.cities c where c.id = $1",
    )
    .bind(city)
    .fetch_one(cx.conn())
    .await?;
    let between = period.between(today)?;
    Ok(CityDashboard {
        city_id: city,
        approvals: approvals(cx, city).await?,
        revenue_shares: revenue_shares(cx, city, between).await?,
        featured: featured(cx, city).await?,
        suspended: suspended(cx, city).await?,
        months: months(cx, city, between, &timezone).await?,
        period: ShownPeriod {
            from: between.from,
            to: between.to,
            timezone,
        },
    })
}

async fn approvals(cx: &mut Cx, city: Uuid) -> Result<Approvals> {
    let found = sqlx::query_scalar(
        "with asked as (
           select p.* from app.promotions p where p.city_id = $1 and p.state = 'requested' and p.status = 'active' and p.ends_at > now()
         )
         select jsonb_build_object(
           'organization_count', (select count(*) from app.organizations o
             where o.city_id = $1 and o.state = 'pending' and o.status = 'active'),
           'organizations', (select coalesce(jsonb_agg(x), '[]') from (
             select o.id as profile_id, o.name, o.created_at from app.organizations o
             where o.city_id = $1 and o.state = 'pending' and o.status = 'active' order by o.created_at, o.id limit 20) x),
           'business_count', (select count(*) from app.businesses b
             where b.city_id = $1 and b.state = 'pending' and b.status = 'active'),
           'businesses', (select coalesce(jsonb_agg(x), '[]') from (
             select b.id as profile_id, b.name, b.created_at from app.businesses b
             where b.city_id = $1 and b.state = 'pending' and b.status = 'active' order by b.created_at, b.id limit 20) x),
           'promotion_count', (select count(*) from asked),
           'promotions', (select coalesce(jsonb_agg(x), '[]') from (
             select p.id as promotion_id, p.target_type, p.target_id, app.name_of(p.target_id) as target_name, p.slot,
               p.starts_at, p.ends_at, p.amount_cents, p.currency, p.amount_cents = 0 or p.paid_at is not null as is_paid, p.created_at
             from asked p order by p.created_at, p.id limit 20) x))",
    );
    part(cx, found.bind(city)).await
}

async fn revenue_shares(cx: &mut Cx, city: Uuid, between: Between) -> Result<Vec<ShareOfMonth>> {
    let found = sqlx::query_scalar(
        "select coalesce(jsonb_agg(x), '[]') from (
           select s.period_start as month, s.currency, s.amount_cents, s.state from app.revenue_shares s
           where s.city_id = $1 and s.period_start between $2 and $3 order by 1, 2) x",
    );
    part(cx, found.bind(city).bind(between.from).bind(between.to)).await
}

async fn featured(cx: &mut Cx, city: Uuid) -> Result<Featured> {
    let found = sqlx::query_scalar(
        "with booked as (
           select p.id as promotion_id, p.target_type, p.target_id, p.slot, p.starts_at, p.ends_at, p.starts_at <= now() as has_begun,
             p.state
           from app.promotions p
           where p.city_id = $1 and p.state in ('approved', 'active') and p.status = 'active' and p.ends_at > now()
         )
         select jsonb_build_object(
           'places', (select coalesce(jsonb_agg(x), '[]') from (
             select f.slot, f.is_offered, f.day_price_cents, f.currency, f.capacity,
               (select count(*) from booked b where b.slot = f.slot and b.has_begun and b.state = 'active') as in_use
             from app.featured_places f where f.city_id = $1 and f.status = 'active' order by f.slot) x),
           'now', (select coalesce(jsonb_agg(x), '[]') from (
             select b.*, app.name_of(b.target_id) as target_name from booked b where b.has_begun and b.state = 'active' order by b.ends_at, b.promotion_id limit 50) x),
           'coming', (select coalesce(jsonb_agg(x), '[]') from (
             select b.*, app.name_of(b.target_id) as target_name from booked b where not (b.has_begun and b.state = 'active') order by b.starts_at, b.promotion_id limit 50) x))",
    );
    part(cx, found.bind(city)).await
}

async fn suspended(cx: &mut Cx, city: Uuid) -> Result<Suspended> {
    let found = sqlx::query_scalar(
        "with away as materialized (
           select 'event' as entity_type, e.id as entity_id, e.title as name, e.updated_at from app.events e
           where e.city_id = $1 and e.status = 'suspended'
           union all select 'organization', o.id, o.name, o.updated_at from app.organizations o
           where o.city_id = $1 and o.status = 'suspended'
           union all select 'community', c.id, c.name, c.updated_at from app.communities c
           where c.city_id = $1 and c.status = 'suspended'
           union all select 'business', b.id, b.name, b.updated_at from app.businesses b
           where b.city_id = $1 and b.status = 'suspended'
           union all select 'institution', i.id, i.name, i.updated_at from app.institutions i
           where i.city_id = $1 and i.status = 'suspended'
           union all select 'venue', v.id, v.name, v.updated_at from app.venues v
           where v.city_id = $1 and v.status = 'suspended'
           union all select 'user', u.id, u.display_name, u.updated_at from app.users u
           where u.home_city_id = $1 and u.status = 'suspended'
         )
         select jsonb_build_object(
           'counts', (select coalesce(jsonb_agg(x), '[]') from (
             select a.entity_type, count(*) as count from away a group by 1 order by 1) x),
           'latest', (select coalesce(jsonb_agg(x), '[]') from (
             select a.* from away a order by a.updated_at desc, a.entity_id limit 20) x))",
    );
    part(cx, found.bind(city)).await
}

async fn months(cx: &mut Cx, city: Uuid, between: Between, zone: &str) -> Result<Vec<CityMonth>> {
    let found = sqlx::query_scalar(
        "select coalesce(jsonb_agg(x), '[]') from (
           select date_trunc('month', e.starts_at at time zone $4)::date as month,
             count(*) filter (where e.state = 'published') as published, count(*) filter (where e.state = 'completed') as completed,
             count(*) filter (where e.state = 'cancelled') as cancelled, sum(k.tickets) as tickets, sum(k.checked_in) as checked_in
           from app.events e
           cross join lateral (
             select count(*) as tickets, count(*) filter (where k.state = 'checked_in') as checked_in
             from app.tickets k where k.event_id = e.id and k.state in ('valid', 'checked_in')) k
           where e.city_id = $1 and e.status <> 'archived' and e.state <> 'draft'
             and e.starts_at >= $2::date::timestamp at time zone $4 and e.starts_at < ($3::date + 1)::timestamp at time zone $4
           group by 1 order by 1) x",
    );
    let found = found.bind(city).bind(between.from).bind(between.to);
    part(cx, found.bind(zone)).await
}
