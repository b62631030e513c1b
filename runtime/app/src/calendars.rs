//! Calendars that other programs subscribe to (RFC 5545): of an event, a host, a venue or a city, and a member's own
//! at a secret URL.
//!
//! The database is asked for the events with the reader's permissions (`spec/sql/calendars.sql`, [ADR
//! 70](../../../docs/adr/0070-calendars.md)); this module formats them. A job moves events in time zones whose rules
//! have changed, so that their local time stays the same. The module does not know what else changes events.

mod document;
mod feed;
mod ics;
mod settings;

use crate::access::{Access, Table};
use crate::module::{Module, Parts, id};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use feed::Guessing;
use ics::{Entry, Writing};
use kernel::{
    Cx, Db, Error, Member, Result, Visitor, etag,
    http::ConfigError,
    jobs::{Job, Periodic},
};
use serde_json::Value;
use settings::Settings;
use sqlx::{Row, postgres::PgRow};
use std::{sync::Arc, time::Duration};
use url::Url;
use uuid::Uuid;

/// The maximum number of events in a calendar.
const EVENTS_MAX: i32 = 500;
/// The number of characters after which a description is cut in a calendar of several events.
const DESCRIPTION_AMONG_OTHERS: i32 = 1_000;
/// The length of the longest possible description, used in the calendar of a single event.
const DESCRIPTION_WHOLE: i32 = 20_000;

const KEEP_LOCAL_TIMES: &str = "calendars.keep_local_times";

/// The entities with a calendar: path, and name.
const OWNERS: [(&str, &str); 6] = [
    ("organizations", "organization"),
    ("communities", "community"),
    ("businesses", "business"),
    ("institutions", "institution"),
    ("venues", "venue"),
    ("cities", "city"),
];

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Calendars {
    db: Db,
    /// The base URL of the pages that show events.
    pages: Url,
    /// The base URL of this server.
    public_url: Url,
    guessing: Arc<Guessing>,
}

impl Module for Calendars {
    const NAME: &'static str = "calendars";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        let pages = parts.app_url.as_ref().unwrap_or(&parts.public_url);
        Ok(Self {
            db: parts.db.clone(),
            pages: pages.clone(),
            public_url: parts.public_url.clone(),
            guessing: Arc::new(Guessing::new(settings.calendar_wrong_secrets_per_minute)?),
        })
    }

    fn routes(&self, _: &Router) -> Router {
        let owners = OWNERS
            .into_iter()
            .fold(Router::new(), |router, (path, kind)| {
                let of = move |State(calendars): State<Calendars>,
                               caller: Option<Member>,
                               visitor: Visitor,
                               Path(id): Path<String>,
                               headers: HeaderMap| async move {
                    calendars.of(caller, visitor, kind, &id, &headers).await
                };
                router.route(&format!("/{path}/{{id}}/calendar.ics"), get(of))
            });
        owners
            .route("/events/{id}/calendar.ics", get(event))
            .route(
                "/me/calendar-feed",
                get(feed::show).post(feed::renew).delete(feed::revoke),
            )
            .route(feed::PATH, get(feed::read))
            .with_state(self.clone())
    }

    fn secret_paths(&self) -> Vec<&'static str> {
        vec![feed::PATH]
    }

    fn access() -> Table {
        &[
            ("getEventCalendar", Access::Reader),
            ("getOrganizationCalendar", Access::Reader),
            ("getCommunityCalendar", Access::Reader),
            ("getBusinessCalendar", Access::Reader),
            ("getInstitutionCalendar", Access::Reader),
            ("getVenueCalendar", Access::Reader),
            ("getCityCalendar", Access::Reader),
            ("getCalendarFeed", Access::Member),
            ("renewCalendarFeed", Access::Member),
            ("revokeCalendarFeed", Access::Member),
        ]
    }

    fn amend(document: &mut Value) {
        document::add(document);
    }

    fn jobs(&self) -> Vec<Job> {
        let keep =
            |calendars: Self, _| async move { Ok(calendars.keep_local_times().await.map(drop)?) };
        vec![Job::of(self, KEEP_LOCAL_TIMES, keep)]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![Periodic::every(KEEP_LOCAL_TIMES, Duration::from_hours(6))]
    }
}

/// `GET /events/{id}/calendar.ics`
async fn event(
    State(calendars): State<Calendars>,
    caller: Option<Member>,
    visitor: Visitor,
    Path(of): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let event = id(&of)?;
    let mut cx = calendars.begin(caller, visitor).await?;
    let found = entries(&mut cx, &[event], DESCRIPTION_WHOLE).await?;
    drop(cx);
    let Some(first) = found.first() else {
        return Err(Error::not_found());
    };
    let name = first.title.clone();
    calendars.answer(&name, found, Kept::ByAll, &headers)
}

/// Which caches may store an answer.
#[derive(Clone, Copy)]
enum Kept {
    /// The answer contains nothing private and may be stored by shared caches. Answers to requests with a token are
    /// never stored, in spite of this.
    ByAll,
    ByReader,
}

impl Calendars {
    /// `GET /organizations/{id}/calendar.ics` and the same of the other entities.
    async fn of(
        &self,
        caller: Option<Member>,
        visitor: Visitor,
        kind: &'static str,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let of = id(path)?;
        let mut cx = self.begin(caller, visitor).await?;
        let name: Option<String> = sqlx::query_scalar("select app.calendar_name($1, $2)")
            .bind(kind)
            .bind(of)
            .fetch_one(cx.conn())
            .await?;
        let name = name.ok_or_else(Error::not_found)?;
        let ids: Vec<Uuid> = sqlx::query_scalar("select app.calendar_of($1, $2, $3)")
            .bind(kind)
            .bind(of)
            .bind(EVENTS_MAX)
            .fetch_all(cx.conn())
            .await?;
        let found = entries(&mut cx, &ids, DESCRIPTION_AMONG_OTHERS).await?;
        drop(cx);
        self.answer(&name, found, Kept::ByAll, headers)
    }

    /// Recomputes the times of future events in zones whose rules have changed since, which happens when PostgreSQL is
    /// updated. Returns how many events were changed.
    pub async fn keep_local_times(&self) -> Result<i64> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), |cx| {
            Box::pin(async move {
                let set = sqlx::query_scalar("select app.keep_local_times()");
                Ok(set.fetch_one(cx.conn()).await?)
            })
        });
        run.await
    }

    /// Begins a read transaction with the caller's permissions.
    async fn begin(&self, caller: Option<Member>, visitor: Visitor) -> Result<Cx> {
        match caller {
            Some(member) => self.db.begin_read(member.caller()).await,
            None => self.db.begin_read(&visitor.caller()).await,
        }
    }

    /// The calendar, or 304 if the client has it already.
    fn answer(
        &self,
        name: &str,
        entries: Vec<Entry>,
        kept: Kept,
        asked: &HeaderMap,
    ) -> Result<Response> {
        let text = ics::write(name, &entries, &Writing { pages: &self.pages });
        let tag = etag::tag(0, text.as_bytes());
        let cache = match kept {
            Kept::ByAll => "public, max-age=300",
            Kept::ByReader => "private, no-cache",
        };
        let headers: [(HeaderName, HeaderValue); 2] = [
            (header::ETAG, tag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        ];
        if etag::not_modified(asked, &tag)? {
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
        let form = [
            (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
            (
                header::CONTENT_DISPOSITION,
                "inline; filename=\"calendar.ics\"",
            ),
        ];
        Ok((headers, form, text).into_response())
    }
}

/// The events among these that the transaction's caller may read.
async fn entries(cx: &mut Cx, ids: &[Uuid], characters: i32) -> Result<Vec<Entry>> {
    let rows = sqlx::query("select * from app.calendar_entries($1, $2)")
        .bind(ids)
        .bind(characters)
        .fetch_all(cx.conn())
        .await?;
    rows.iter().map(|row| Ok(entry(row)?)).collect()
}

fn entry(row: &PgRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        description: row.try_get("description")?,
        category: row.try_get("category")?,
        state: row.try_get("state")?,
        starts_at: row.try_get("starts_at")?,
        ends_at: row.try_get("ends_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        revision: row.try_get("revision")?,
        venue: row.try_get("venue")?,
        address: row.try_get("address")?,
        city: row.try_get("city")?,
        latitude: row.try_get("latitude")?,
        longitude: row.try_get("longitude")?,
        host_type: row.try_get("host_type")?,
        host_id: row.try_get("host_id")?,
        host: row.try_get("host")?,
    })
}
