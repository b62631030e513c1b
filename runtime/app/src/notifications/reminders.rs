//! Reminds the guests of an event a day before it, each guest once for every time that the event was set to.
//!
//! Reminders are not scheduled in advance: a job runs every minute and finds the events that are due and whose guests
//! have not been reminded, which `event_schedules` records by revision. So nothing has to be undone when an event is
//! moved, missed runs are made up for, and of several concurrent runs only one reminds ([`tell`] also tells no member
//! twice under the same key).

use super::{
    Notifications,
    settings::Reminder,
    tell::{self, Told},
};
use crate::module::Module;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use kernel::{Cx, Result};
use serde_json::Value;
use sqlx::{Row, types::Json};
use std::collections::HashSet;
use uuid::Uuid;

/// The maximum number of events in a run, each in a transaction of its own. The next run follows within a minute.
const EVENTS_PER_LOOK: i32 = 200;

/// The columns that say where an event is.
pub(super) const PLACE: [&str; 3] = ["venue_id", "location", "online_url"];

/// How many events are processed concurrently, each on its own connection.
const EVENTS_AT_ONCE: usize = 2;

impl Notifications {
    /// Reminds the guests of every event that is due. Returns how many members were told.
    pub async fn remind(&self) -> Result<i64> {
        let least = self.least();
        let wall = self.settings.notifications_reminder == Reminder::WallClock;
        let due = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let due: Vec<Uuid> = sqlx::query_scalar(
                    "select e.id from app.events e left join app.event_schedules s on s.event_id = e.id
                     where e.starts_at > now() + make_interval(mins => $1) and e.starts_at < now() + interval '26 hours'
                       and e.state = 'published' and e.status = 'active'
                       and coalesce(s.reminded_revision, 0) < coalesce(s.revision, 1)
                       and app.reminder_due(e.starts_at, e.timezone, $2) <= now()
                     order by e.starts_at, e.id limit $3",
                )
                .bind(least)
                .bind(wall)
                .bind(EVENTS_PER_LOOK)
                .fetch_all(cx.conn())
                .await?;
                Ok(due)
            })
        });
        let looks = stream::iter(due.await?).map(|event| self.remind_of(event));
        let looks: Vec<Result<i64>> = looks.buffer_unordered(EVENTS_AT_ONCE).collect().await;
        // An event that fails would come first in every run, so the other events are processed nevertheless.
        let (mut told, mut failed) = (0, None);
        for look in looks {
            match look {
                Ok(some) => told += some,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(told), Err)
    }

    async fn remind_of(&self, event: Uuid) -> Result<i64> {
        let (least, window) = (self.least(), self.settings.notifications_digest_minutes);
        let wall = self.settings.notifications_reminder == Reminder::WallClock;
        self.db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    // This locks the row: concurrent runs for the event, and transactions that move it, wait here.
                    let revision: Option<i32> = sqlx::query_scalar(
                        "insert into app.event_schedules as s (event_id, reminded_revision) values ($1, 1)
                         on conflict (event_id) do update set reminded_revision = s.revision where s.reminded_revision < s.revision
                         returning s.revision",
                    )
                    .bind(event)
                    .fetch_optional(cx.conn())
                    .await?;
                    let Some(revision) = revision else {
                        return Ok(0);
                    };
                    // The event may have been moved since it was found; from here on, transactions that move it wait.
                    if !is_due(cx, event, wall).await? {
                        forget(cx, event).await?;
                        return Ok(0);
                    }
                    match reminder(cx, event, revision, least, None).await? {
                        Some(told) => tell::tell(cx, window, told).await,
                        None => Ok(0),
                    }
                })
            })
            .await
    }

    /// The reminder of a member who gets a ticket after the other guests were reminded, if the settings say so.
    pub(super) async fn late_buyers(
        &self,
        cx: &mut Cx,
        tickets: LateTickets,
    ) -> Result<Option<Told>> {
        if !self.settings.notifications_remind_late_buyers {
            return Ok(None);
        }
        let row = sqlx::query(
            "select t.event_id, t.holder_id, s.revision from app.tickets t join app.event_schedules s on s.event_id = t.event_id
             where (t.order_id = $1 or t.id = $1) and t.state = 'valid' and t.holder_id is not null and s.reminded_revision = s.revision limit 1",
        )
        .bind(tickets.0)
        .fetch_optional(cx.conn())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let holder = row.try_get("holder_id")?;
        reminder(
            cx,
            row.try_get("event_id")?,
            row.try_get("revision")?,
            self.least(),
            Some(holder),
        )
        .await
    }

    /// Guests whose reminder waits, for example for the end of quiet hours, are reminded anew, since it tells the place
    /// that the event had; and so are those whose reminder was dropped when the event was suspended.
    pub(super) async fn remind_anew(&self, cx: &mut Cx, event: Uuid) -> Result<Option<Told>> {
        let row: Option<(i32, Vec<Uuid>)> = sqlx::query_as(
            "select s.revision, app.take_back_reminders(s.event_id) from app.event_schedules s
             where s.event_id = $1 and s.reminded_revision = s.revision",
        )
        .bind(event)
        .fetch_optional(cx.conn())
        .await?;
        let Some((revision, waiting)) = row else {
            return Ok(None);
        };
        let waiting: HashSet<Uuid> = waiting.into_iter().collect();
        // However close the event is by now: the reminder was made in time.
        let told = reminder(cx, event, revision, 0, None).await?;
        Ok(told.and_then(|mut told| {
            told.members.retain(|member| waiting.contains(member));
            (!told.members.is_empty()).then_some(told)
        }))
    }

    /// The number of minutes before an event from which on no reminder is sent any more.
    pub(super) fn least(&self) -> i32 {
        i32::try_from(self.settings.notifications_reminder_least_minutes).unwrap_or(i32::MAX)
    }
}

async fn is_due(cx: &mut Cx, event: Uuid, wall: bool) -> Result<bool> {
    let due = sqlx::query_scalar(
        "select exists (select from app.events where id = $1 and app.reminder_due(starts_at, timezone, $2) <= now())",
    );
    Ok(due.bind(event).bind(wall).fetch_one(cx.conn()).await?)
}

/// Marks the guests as not yet reminded of this revision; they will be once the event is due.
async fn forget(cx: &mut Cx, event: Uuid) -> Result<()> {
    sqlx::query("update app.event_schedules set reminded_revision = 0 where event_id = $1")
        .bind(event)
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// The id of an order, or of a ticket that was handed on.
pub(super) struct LateTickets(pub Uuid);

/// The reminder of an event. Of one that is only streamed it gives the address, which ticket holders may see; the word
/// `online` is the same in all languages of the messages. With the revision that `app.reminder_holds` compares when the message is sent.
async fn reminder(
    cx: &mut Cx,
    event: Uuid,
    revision: i32,
    least: i32,
    only: Option<Uuid>,
) -> Result<Option<Told>> {
    let row = sqlx::query(
        "select jsonb_build_object('event', e.title, 'starts', jsonb_build_object('at', e.starts_at, 'zone', e.timezone),
             'place', case when e.venue_id is null and e.location is null then coalesce('online, ' || e.online_url, c.name)
               else coalesce(app.place_to_name(e.id), c.name) end) as values,
           jsonb_build_object('event', e.id) as data, e.starts_at,
           array(select distinct t.holder_id from app.tickets t
             where t.event_id = e.id and t.holder_id is not null and t.state in ('valid', 'checked_in') and ($3::uuid is null or t.holder_id = $3)) as members
         from app.events e join app.cities c on c.id = e.city_id
         where e.id = $1 and e.state = 'published' and e.status = 'active' and e.starts_at > now() + make_interval(mins => $2)",
    )
    .bind(event)
    .bind(least)
    .bind(only)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Json(values): Json<Value> = row.try_get("values")?;
    let Json(data): Json<Value> = row.try_get("data")?;
    let starts_at: DateTime<Utc> = row.try_get("starts_at")?;
    Ok(Some(Told {
        message: "event_soon".into(),
        key: format!("event_soon:{event}:{revision}"),
        values,
        data,
        event: Some(event),
        revision: Some(revision),
        expires_at: Some(starts_at),
        members: row.try_get("members")?,
    }))
}
