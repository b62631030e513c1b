//! `GET /me/calendar`: events that the member has tickets for, has attended, or may be interested in because of
//! following the host or venue, day by day.

use super::{
    Dashboards, EXPANDS, Lists,
    period::{Days, Period},
};
use crate::{
    generated_routes,
    module::{Module, uncached},
};
use axum::{
    Router,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, NaiveDate, Utc};
use generated::event::EVENT;
use kernel::{
    Cx, Member, Result,
    openapi::Objects,
    own::{List, parameter},
    resource::Kind,
};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use std::collections::HashMap;
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

const PERIOD: Days = Days {
    most: 92,
    usual: 31,
    ahead: true,
};

static LIST: List = List::new(
    "calendar",
    50,
    &[parameter("from", Kind::Date), parameter("to", Kind::Date)],
)
.expanding(&EVENT);

#[derive(Serialize, ToSchema)]
struct Calendar {
    /// By start time. A page may have fewer entries than `limit` without being the last.
    data: Vec<CalendarEntry>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// An event, and why it is in the calendar.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "calendar_entry")]
struct CalendarEntry {
    has_ticket: bool,
    was_there: bool,
    follows: bool,
    #[schema(schema_with = super::an_event)]
    event: Value,
}

struct Found {
    id: Uuid,
    starts_at: DateTime<Utc>,
    has_ticket: bool,
    was_there: bool,
    follows: bool,
}

pub fn router() -> Router<Lists> {
    Router::new().route("/me/calendar", get(calendar))
}

static OBJECTS: Objects = Objects(&[("CalendarEntry", "calendar_entry")]);

#[derive(OpenApi)]
#[openapi(paths(calendar), modifiers(&OBJECTS, &EXPANDS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get the caller's calendar
///
/// Events for which the caller has a ticket, which the caller attended, or whose host or venue the caller follows. Days
/// are in the caller's time zone.
#[utoipa::path(get, path = "/me/calendar", operation_id = "getMyCalendar", tag = "Me", security(("bearer" = [])),
    params(("from" = Option<NaiveDate>, Query, description = "First day (default: today)"),
        ("to" = Option<NaiveDate>, Query, description = "Last day (default: 31 days); at most 92 days"),
        ("limit" = Option<i32>, Query, description = "Entries per page (default 50)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page")),
    responses(
        (status = 200, description = "A page of the calendar", body = Calendar),
        (status = 422, description = "The period is invalid")))]
async fn calendar(State(lists): State<Lists>, caller: Member, uri: Uri) -> Result<Response> {
    let mut asked = LIST.look(uri.query(), &lists.module.cursors, caller.caller());
    let period = Period::of(&mut asked, PERIOD);
    let asked = asked.sound()?;
    let after: Option<(i64, Uuid)> = asked.after()?;
    let (me, rows) = (caller.id(), asked.rows());
    let look = lists
        .module
        .db
        .snapshot(Dashboards::NAME, &caller, move |cx| {
            Box::pin(async move { find(cx, me, &period, after, rows).await })
        });
    let expand = asked.expand().to_vec();
    let page = asked.page(look.await?, |one| {
        (one.starts_at.timestamp_micros().to_string(), one.id)
    });
    let ids: Vec<Uuid> = page.data.iter().map(|one| one.id).collect();
    let (generated, caller) = (&lists.generated, caller.caller());
    let events = generated_routes::shown(generated, caller, "events", &ids, &expand).await?;
    let events = match events {
        Ok(events) => events,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let mut why: HashMap<String, Found> = (page.data.into_iter())
        .map(|one| (one.id.to_string(), one))
        .collect();
    let data = events.into_iter().filter_map(|event| {
        let why = why.remove(event["id"].as_str()?)?;
        Some(CalendarEntry {
            has_ticket: why.has_ticket,
            was_there: why.was_there,
            follows: why.follows,
            event,
        })
    });
    Ok(uncached(Calendar {
        data: data.collect(),
        next_cursor: page.next_cursor,
    }))
}

/// Events that the member may not see are left out here: otherwise pages that are too short would reveal how many a
/// followed host has in a period.
async fn find(
    cx: &mut Cx,
    me: Uuid,
    period: &Period,
    after: Option<(i64, Uuid)>,
    rows: i64,
) -> Result<Vec<Found>> {
    let (zone, today): (String, NaiveDate) = sqlx::query_as(
        "select u.timezone, (now() at time zone u.timezone)::date from app.users u where u.id = $1",
    )
    .bind(me)
    .fetch_one(cx.conn())
    .await?;
    let between = period.between(today)?;
    let found = sqlx::query(
        "with mine as (
           select k.event_id as id, true as has_ticket, false as was_there, false as follows from app.tickets k
           where k.holder_id = $1 and k.state in ('valid', 'checked_in')
           union all
           select a.event_id, false, true, false from app.attendances a where a.user_id = $1
           union all
           select e.id, false, false, true from app.follows f
           join app.events e on e.host_organization_id = f.entity_id or e.host_community_id = f.entity_id
             or e.host_business_id = f.entity_id or e.host_institution_id = f.entity_id or e.venue_id = f.entity_id
           where f.follower_id = $1 and f.status = 'active' and e.state in ('published', 'completed') and e.visibility <> 'unlisted'
         )
         select e.id, e.starts_at, bool_or(m.has_ticket) as has_ticket, bool_or(m.was_there) as was_there, bool_or(m.follows) as follows
         from mine m join app.events e on e.id = m.id
         where e.status = 'active' and e.starts_at < ($3::date + 1)::timestamp at time zone $4
           and e.ends_at > $2::date::timestamp at time zone $4
           and ($5::timestamptz is null or (e.starts_at, e.id) > ($5, $6)) and app.sees_event(e.id)
         group by e.id order by e.starts_at, e.id limit $7",
    )
    .bind(me)
    .bind(between.from)
    .bind(between.to)
    .bind(zone)
    .bind(after.and_then(|(micros, _)| DateTime::from_timestamp_micros(micros)))
    .bind(after.map(|(_, id)| id))
    .bind(rows)
    .fetch_all(cx.conn())
    .await?;
    found.iter().map(Found::read).collect()
}

impl Found {
    fn read(row: &PgRow) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            starts_at: row.try_get("starts_at")?,
            has_ticket: row.try_get("has_ticket")?,
            was_there: row.try_get("was_there")?,
            follows: row.try_get("follows")?,
        })
    }
}
