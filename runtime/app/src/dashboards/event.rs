//! `GET /events/{id}/dashboard`: sales and check-ins of an event, for its host and the platform.

use super::{
    Dashboards, part,
    period::{Between, Days, Period, Takes},
    shared::{self, Reviews, ShownPeriod},
};
use crate::{
    module::{Module, admin_or_platform, id, uncached},
    tickets::sales::{self, Sales},
};
use axum::{
    Router,
    extract::{Path, State},
    http::Uri,
    response::Response,
    routing::get,
};
use chrono::{DateTime, NaiveDate, Utc};
use generated::event::EVENT;
use kernel::{Cx, Member, Result, openapi::Objects};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

const BY_DAY: Days = Days {
    most: 366,
    usual: 30,
    ahead: false,
};
const BY_HOUR: Days = Days {
    most: 14,
    usual: 2,
    ahead: false,
};
const TAKES: Takes = Takes {
    parameters: &["bucket", "from", "to"],
    buckets: &[("day", BY_DAY), ("hour", BY_HOUR)],
};

/// Sales and attendance of an event.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "event_dashboard")]
struct EventDashboard {
    event_id: Uuid,
    period: ShownPeriod,
    /// Sales of the period by day or hour in the event's time zone; empty ones are left out.
    sold: Vec<SoldInBucket>,
    /// The same orders by `referrer`, if they have one: the 20 with the most tickets.
    referrers: Vec<SoldByReferrer>,
    capacity: PlacesOfEvent,
    /// All sales, regardless of the period: by ticket type, and amounts by currency.
    sales: Sales,
    waiting_list: WaitingList,
    /// Scans at the entrance by hour; the last 744 hours with a scan.
    check_ins: Vec<CheckInsInHour>,
    likes: i64,
    attendances: i64,
    /// Reviews of the host; null for institutions.
    reviews: Option<Reviews>,
    /// Newest first; at most 100.
    promo_codes: Vec<PromoCodeUse>,
}

/// Orders paid in one day or hour, in one currency.
#[derive(Serialize, Deserialize, ToSchema)]
struct SoldInBucket {
    starts_at: DateTime<Utc>,
    currency: String,
    orders: i64,
    /// Including tickets refunded since.
    tickets: i64,
    amount_cents: i64,
    organizer_cents: i64,
}

/// Orders with the same referrer, in one currency.
#[derive(Serialize, Deserialize, ToSchema)]
struct SoldByReferrer {
    referrer: String,
    currency: String,
    orders: i64,
    tickets: i64,
    amount_cents: i64,
}

/// Capacity of an event.
#[derive(Serialize, Deserialize, ToSchema)]
struct PlacesOfEvent {
    /// Limit of the whole event; null: only its ticket types have limits.
    capacity: Option<i32>,
    /// Total capacity of its ticket types.
    places: i64,
    held: i64,
    sold: i64,
    checked_in: i64,
    /// Tickets that can still be sold.
    left: i64,
}

/// Waiting list entries by state.
#[derive(Serialize, Deserialize, ToSchema)]
struct WaitingList {
    waiting: i64,
    offered: i64,
    taken: i64,
    expired: i64,
}

/// Scans in one hour.
#[derive(Serialize, Deserialize, ToSchema)]
struct CheckInsInHour {
    starts_at: DateTime<Utc>,
    admitted: i64,
    refused: i64,
}

/// How often a promo code was used.
#[derive(Serialize, Deserialize, ToSchema)]
struct PromoCodeUse {
    promo_code_id: Uuid,
    code: String,
    max_redemptions: Option<i32>,
    /// Orders whose tickets were issued.
    orders: i64,
    currency: Option<String>,
    discount_cents: i64,
}

pub fn router() -> Router<Dashboards> {
    Router::new().route("/events/{id}/dashboard", get(dashboard))
}

static OBJECTS: Objects = Objects(&[("EventDashboard", "event_dashboard"), ("Sales", "sales")]);

#[derive(OpenApi)]
#[openapi(paths(dashboard), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get an event's dashboard
///
/// For administrators of the host and the platform. Days and hours are in the event's time zone.
#[utoipa::path(get, path = "/events/{id}/dashboard", operation_id = "getEventDashboard", tag = "Events", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Id of the event"),
        ("bucket" = Option<String>, Query, description = "`day` (default) or `hour`"),
        ("from" = Option<NaiveDate>, Query, description = "First day (default: 30 days up to the last, by hour 2)"),
        ("to" = Option<NaiveDate>, Query, description = "Last day; at most 366 days, by hour 14")),
    responses(
        (status = 200, description = "The dashboard", body = EventDashboard),
        (status = 403, description = "The caller does not administer the event's host"),
        (status = 404, description = "The event does not exist, or the caller may not see it"),
        (status = 422, description = "The period is invalid")))]
async fn dashboard(
    State(dashboards): State<Dashboards>,
    caller: Member,
    Path(path): Path<String>,
    uri: Uri,
) -> Result<Response> {
    let event = id(&path)?;
    let period = Period::read(&uri, &TAKES)?;
    let (caller, period) = (&caller, &period);
    let look = dashboards.db.snapshot(Dashboards::NAME, caller, move |cx| {
        Box::pin(async move {
            admin_or_platform(cx, caller, &EVENT, event).await?;
            figures(cx, event, period).await
        })
    });
    look.await.map(uncached)
}

async fn figures(cx: &mut Cx, event: Uuid, period: &Period) -> Result<EventDashboard> {
    let (timezone, today, host, host_type): (String, NaiveDate, Uuid, String) = sqlx::query_as(
        "select e.timezone, (now() at time zone e.timezone)::date, e.host_id, e.host_type from app.events e where e.id = $1",
    )
    .bind(event)
    .fetch_one(cx.conn())
    .await?;
    let bucket = period.bucket();
    let between = period.between(today)?;
    let reviews = match host_type == "institution" {
        true => None,
        false => Some(shared::reviews(cx, host).await?),
    };
    let sales = sales::figures(cx, event).await?;
    let Counts {
        capacity,
        waiting_list,
        likes,
        attendances,
    } = counts(cx, event, sales.checked_in()).await?;
    let Sold { sold, referrers } = sold(cx, event, between, &timezone, bucket).await?;
    Ok(EventDashboard {
        event_id: event,
        sold,
        referrers,
        capacity,
        sales,
        waiting_list,
        check_ins: check_ins(cx, event, &timezone).await?,
        likes,
        attendances,
        reviews,
        promo_codes: promo_codes(cx, event).await?,
        period: ShownPeriod {
            from: between.from,
            to: between.to,
            timezone,
        },
    })
}

#[derive(Deserialize)]
struct Sold {
    sold: Vec<SoldInBucket>,
    referrers: Vec<SoldByReferrer>,
}

async fn sold(
    cx: &mut Cx,
    event: Uuid,
    between: Between,
    zone: &str,
    bucket: &str,
) -> Result<Sold> {
    // Time zones are computed for quarters of an hour, of which there are few, and not for each order: all zones
    // differ from UTC by multiples of a quarter of an hour. The bounds are sub-queries, which are computed once.
    // The start of an hour is computed by subtracting from the instant itself, so that an hour that occurs twice in
    // local time stays two buckets.
    let found = sqlx::query_scalar(
        "with paid as materialized (
           select o.paid_at, o.currency, o.referrer, o.ticket_count as tickets, o.amount_cents, o.organizer_cents
           from app.orders o
           where o.event_id = $1 and o.ticket_count > 0
             and o.paid_at >= (select $2::date::timestamp at time zone $4) and o.paid_at < (select ($3::date + 1)::timestamp at time zone $4)
         ),
         quarters as (
           select date_bin('15 minutes', p.paid_at, '2000-01-01 00:00Z') as at, p.currency, count(*) as orders,
             sum(p.tickets) as tickets, sum(p.amount_cents) as amount_cents, sum(p.organizer_cents) as organizer_cents
           from paid p group by 1, 2
         ),
         buckets as (
           select case when $5 = 'day' then date_trunc('day', q.at, $4)
               else q.at - ((q.at at time zone $4) - date_trunc('hour', q.at at time zone $4)) end as starts_at,
             q.currency, sum(q.orders)::int8 as orders, sum(q.tickets)::int8 as tickets, sum(q.amount_cents) as amount_cents,
             sum(q.organizer_cents) as organizer_cents
           from quarters q group by 1, 2
         ),
         referrers as (
           select p.referrer, p.currency, count(*) as orders, sum(p.tickets) as tickets, sum(p.amount_cents) as amount_cents
           from paid p where p.referrer is not null group by 1, 2 order by 4 desc, 1, 2 limit 20
         )
         select jsonb_build_object(
           'sold', (select coalesce(jsonb_agg(b order by b.starts_at, b.currency), '[]') from buckets b),
           'referrers', (select coalesce(jsonb_agg(r order by r.tickets desc, r.referrer, r.currency), '[]') from referrers r))",
    );
    let found = found.bind(event).bind(between.from).bind(between.to);
    part(cx, found.bind(zone).bind(bucket)).await
}

#[derive(Deserialize)]
struct Counts {
    capacity: PlacesOfEvent,
    waiting_list: WaitingList,
    likes: i64,
    attendances: i64,
}

async fn counts(cx: &mut Cx, event: Uuid, checked_in: i64) -> Result<Counts> {
    let found = sqlx::query_scalar(
        "select jsonb_build_object(
           'capacity', (select jsonb_build_object('capacity', e.capacity, 'places', t.places, 'held', t.held, 'sold', t.sold,
               'checked_in', $2::int8,
               'left', greatest(least(t.places, coalesce(e.capacity, t.places)) - t.held - t.sold, 0))
             from app.events e cross join (
               select coalesce(sum(t.capacity), 0) as places, coalesce(sum(t.held), 0) as held, coalesce(sum(t.sold), 0) as sold
               from app.ticket_types t where t.event_id = $1 and t.status <> 'archived') t
             where e.id = $1),
           'waiting_list', (select jsonb_build_object('waiting', count(*) filter (where w.state = 'waiting'),
               'offered', count(*) filter (where w.state = 'offered'), 'taken', count(*) filter (where w.state = 'taken'),
               'expired', count(*) filter (where w.state = 'expired'))
             from app.waitlist_entries w where w.event_id = $1 and w.status = 'active'),
           'likes', (select count(*) from app.likes l where l.event_id = $1 and l.status = 'active'),
           'attendances', (select count(*) from app.attendances a where a.event_id = $1))",
    );
    part(cx, found.bind(event).bind(checked_in)).await
}

async fn check_ins(cx: &mut Cx, event: Uuid, zone: &str) -> Result<Vec<CheckInsInHour>> {
    let found = sqlx::query_scalar(
        "select coalesce(jsonb_agg(x order by x.starts_at), '[]') from (
           select q.at - ((q.at at time zone $2) - date_trunc('hour', q.at at time zone $2)) as starts_at,
             sum(q.admitted)::int8 as admitted, sum(q.refused)::int8 as refused
           from (
             select date_bin('15 minutes', c.at, '2000-01-01 00:00Z') as at, count(*) filter (where c.result = 'ok') as admitted,
               count(*) filter (where c.result <> 'ok') as refused
             from app.check_ins c where c.event_id = $1 and c.checkpoint_id is null group by 1
           ) q group by 1 order by 1 desc limit 744) x",
    );
    part(cx, found.bind(event).bind(zone)).await
}

async fn promo_codes(cx: &mut Cx, event: Uuid) -> Result<Vec<PromoCodeUse>> {
    let found = sqlx::query_scalar(
        "with used as (
           select o.promo_code_id, o.currency, count(*) as orders, sum(o.discount_cents) as discount_cents
           from app.orders o
           where o.event_id = $1 and o.promo_code_id is not null and o.ticket_count > 0
           group by 1, 2
         )
         select coalesce(jsonb_agg(x), '[]') from (
           select p.id as promo_code_id, p.code, p.max_redemptions, coalesce(u.orders, 0) as orders, u.currency,
             coalesce(u.discount_cents, 0) as discount_cents
           from (select p.* from app.promo_codes p where p.event_id = $1 and p.status <> 'archived' order by p.id desc limit 100) p
           left join used u on u.promo_code_id = p.id
           order by p.id desc, u.currency) x",
    );
    part(cx, found.bind(event)).await
}
