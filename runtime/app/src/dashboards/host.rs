//! `GET /organizations/{id}/dashboard`, and the same of communities, businesses and institutions: their events, the
//! income from these, the services they are looking for, and their reviews.

use super::{
    Dashboards,
    money::{self, EventRevenue, MonthRevenue},
    part,
    period::{Days, Period, Takes},
    services::{self, Services},
    shared::{self, Pictures, Reviews, ShownPeriod},
    trade::{self, Trade},
};
use crate::module::{Module, admin_or_platform, id, uncached};
use axum::{
    Router,
    extract::{Path, State},
    http::Uri,
    response::Response,
    routing::get,
};
use chrono::{DateTime, NaiveDate, Utc};
use generated::{
    business::BUSINESS, community::COMMUNITY, institution::INSTITUTION, organization::ORGANIZATION,
};
use kernel::{Cx, Member, Result, openapi::Objects, resource::Resource};
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

/// Key figures of a host.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "host_dashboard")]
struct HostDashboard {
    /// `organization`, `community`, `business` or `institution`
    host_type: &'static str,
    host_id: Uuid,
    period: ShownPeriod,
    events: HostEvents,
    /// Payments and refunds of the period by month.
    revenue_by_month: Vec<MonthRevenue>,
    /// Payments and refunds by event, most orders first; at most 100.
    revenue_by_event: Vec<EventRevenue>,
    services: Services,
    /// Null for institutions, which have no reviews.
    reviews: Option<Reviews>,
    followers: Followers,
    pictures: Pictures,
    /// Null unless the host is a business.
    trade: Option<Trade>,
}

/// Events of the host, without archived ones.
#[derive(Serialize, Deserialize, ToSchema)]
struct HostEvents {
    /// Number of events that have not ended.
    upcoming_count: i64,
    past_count: i64,
    /// The next 20.
    upcoming: Vec<HostEvent>,
    /// The last 20.
    past: Vec<HostEvent>,
}

/// An event and its numbers of tickets.
#[derive(Serialize, Deserialize, ToSchema)]
struct HostEvent {
    event_id: Uuid,
    title: String,
    /// `draft`, `published`, `cancelled` or `completed`
    state: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    timezone: String,
    places: i64,
    held: i64,
    sold: i64,
    left: i64,
}

/// Current followers of the host.
#[derive(Serialize, Deserialize, ToSchema)]
struct Followers {
    count: i64,
    /// By the month in which they began to follow, within the period; empty months are left out.
    months: Vec<FollowersOfMonth>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct FollowersOfMonth {
    /// First day of the month.
    month: NaiveDate,
    followers: i64,
}

pub fn router() -> Router<Dashboards> {
    Router::new()
        .route("/organizations/{id}/dashboard", get(organization))
        .route("/communities/{id}/dashboard", get(community))
        .route("/businesses/{id}/dashboard", get(business))
        .route("/institutions/{id}/dashboard", get(institution))
}

static OBJECTS: Objects = Objects(&[("HostDashboard", "host_dashboard")]);

#[derive(OpenApi)]
#[openapi(
    paths(organization, community, business, institution),
    modifiers(&OBJECTS)
)]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Defines a handler for each kind of host: the same function under different paths.
macro_rules! routes {
    ($($name:ident, $path:literal, $operation:literal, $tag:literal, $entity:expr;)+) => {$(
        /// Get a host's dashboard
        ///
        /// For the host's administrators and platform administrators. Days are in the city's time zone.
        #[utoipa::path(get, path = $path, operation_id = $operation, tag = $tag, security(("bearer" = [])),
            params(("id" = Uuid, Path, description = "Id of the host"),
                ("from" = Option<NaiveDate>, Query, description = "First day (default: 365 days up to the last)"),
                ("to" = Option<NaiveDate>, Query, description = "Last day; at most 366 days")),
            responses(
                (status = 200, description = "The dashboard", body = HostDashboard),
                (status = 403, description = "The caller does not administer the host"),
                (status = 404, description = "The host does not exist, or the caller may not see it"),
                (status = 422, description = "The period is invalid")))]
        async fn $name(
            State(dashboards): State<Dashboards>,
            caller: Member,
            Path(path): Path<String>,
            uri: Uri,
        ) -> Result<Response> {
            dashboard(&dashboards, &caller, $entity, &path, &uri).await
        }
    )+};
}
routes! {
    organization, "/organizations/{id}/dashboard", "getOrganizationDashboard", "Organizations", &ORGANIZATION;
    community, "/communities/{id}/dashboard", "getCommunityDashboard", "Communities", &COMMUNITY;
    business, "/businesses/{id}/dashboard", "getBusinessDashboard", "Businesses", &BUSINESS;
    institution, "/institutions/{id}/dashboard", "getInstitutionDashboard", "Institutions", &INSTITUTION;
}

async fn dashboard(
    dashboards: &Dashboards,
    caller: &Member,
    entity: &'static Resource,
    path: &str,
    uri: &Uri,
) -> Result<Response> {
    let host = id(path)?;
    let period = &Period::read(uri, &TAKES)?;
    let look = dashboards.db.snapshot(Dashboards::NAME, caller, move |cx| {
        Box::pin(async move {
            admin_or_platform(cx, caller, entity, host).await?;
            figures(cx, entity.name, host, period).await
        })
    });
    look.await.map(uncached)
}

async fn figures(
    cx: &mut Cx,
    host_type: &'static str,
    host: Uuid,
    period: &Period,
) -> Result<HostDashboard> {
    let (timezone, today): (String, NaiveDate) = sqlx::query_as(
        "select c.timezone, (now() at time zone c.timezone)::date from app.cities c
         where c.id = (select x.city_id from app.organizations x where x.id = $1
           union all select x.city_id from app.communities x where x.id = $1
           union all select x.city_id from app.businesses x where x.id = $1
           union all select x.city_id from app.institutions x where x.id = $1)",
    )
    .bind(host)
    .fetch_one(cx.conn())
    .await?;
    let between = period.between(today)?;
    let reviews = match host_type {
        "institution" => None,
        _ => Some(shared::reviews(cx, host).await?),
    };
    let trade = match host_type {
        "business" => Some(trade::of(cx, host).await?),
        _ => None,
    };
    let income = money::of(cx, host, between, &timezone).await?;
    Ok(HostDashboard {
        host_type,
        host_id: host,
        events: events(cx, host).await?,
        revenue_by_month: income.months,
        revenue_by_event: income.events,
        services: services::of(cx, host).await?,
        reviews,
        followers: followers(cx, host, between, &timezone).await?,
        pictures: shared::pictures(cx, host_type, host).await?,
        trade,
        period: ShownPeriod {
            from: between.from,
            to: between.to,
            timezone,
        },
    })
}

async fn events(cx: &mut Cx, host: Uuid) -> Result<HostEvents> {
    let found = sqlx::query_scalar(
        "with held as (
           select e.id, e.title, e.state, e.starts_at, e.ends_at, e.timezone, e.capacity, e.ends_at > now() as is_upcoming
           from app.events e
           where e.status <> 'archived' and (e.host_organization_id = $1 or e.host_community_id = $1 or e.host_business_id = $1
             or e.host_institution_id = $1)
         ), few as (
           (select h.* from held h where h.is_upcoming order by h.starts_at, h.id limit 20)
           union all
           (select h.* from held h where not h.is_upcoming order by h.starts_at desc, h.id desc limit 20)
         ), shown as (
           select s.id as event_id, s.title, s.state, s.starts_at, s.ends_at, s.timezone, s.is_upcoming, t.places, t.held, t.sold,
             greatest(least(t.places, coalesce(s.capacity, t.places)) - t.held - t.sold, 0) as left
           from few s cross join lateral (
             select coalesce(sum(t.capacity), 0) as places, coalesce(sum(t.held), 0) as held, coalesce(sum(t.sold), 0) as sold
             from app.ticket_types t where t.event_id = s.id and t.status <> 'archived') t
         )
         select jsonb_build_object('upcoming_count', count(*) filter (where h.is_upcoming),
           'past_count', count(*) filter (where not h.is_upcoming),
           'upcoming', (select coalesce(jsonb_agg(x order by x.starts_at, x.event_id), '[]') from shown x where x.is_upcoming),
           'past', (select coalesce(jsonb_agg(x order by x.starts_at desc, x.event_id desc), '[]') from shown x where not x.is_upcoming))
         from held h",
    );
    part(cx, found.bind(host)).await
}

async fn followers(
    cx: &mut Cx,
    host: Uuid,
    between: super::period::Between,
    zone: &str,
) -> Result<Followers> {
    let found = sqlx::query_scalar(
        "with following as (
           select f.created_at from app.follows f
           where f.status = 'active' and (f.entity_organization_id = $1 or f.entity_community_id = $1 or f.entity_business_id = $1
             or f.entity_institution_id = $1)
         )
         select jsonb_build_object('count', (select count(*) from following),
           'months', (select coalesce(jsonb_agg(x), '[]') from (
             select date_trunc('month', f.created_at at time zone $4)::date as month, count(*) as followers from following f
             where f.created_at >= $2::date::timestamp at time zone $4 and f.created_at < ($3::date + 1)::timestamp at time zone $4
             group by 1 order by 1) x))",
    );
    let found = found.bind(host).bind(between.from).bind(between.to);
    part(cx, found.bind(zone)).await
}
