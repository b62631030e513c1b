//! Waiting lists: tickets that become free are held for members who wait, by priority, and first come, first served
//! within a priority.
//!
//! `app.offer_places` (`spec/sql/tickets.sql`) does that, in the transaction that frees stock and in each transaction
//! that is about to take stock, so that no buyer gets ahead of the list. The job handles what happens without either:
//! an offered place that was not taken in time, a higher capacity, an event that has begun.

pub mod leave;
pub mod routes;

use super::Tickets;
use crate::module::{Module, each};
use chrono::{DateTime, Utc};
use generated::waitlist_entry::WAITLIST_ENTRY;
use kernel::{Cx, Error, Member, Result};
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;
use uuid::Uuid;

/// How many entries expire in one transaction.
const AT_ONCE: i32 = 500;

/// Position on a waiting list.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "place_in_line")]
#[schema(example = json!({"object": "place_in_line", "entry_id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "state": "waiting",
    "ahead": 12, "offered_type_id": null, "offer_expires_at": null}))]
pub struct PlaceInLine {
    pub entry_id: Uuid,
    /// `waiting`, `offered`, `taken` or `expired`
    pub state: String,
    /// Number of entries served first, those of higher priority included; 0 unless `waiting`.
    pub ahead: i64,
    /// Type of the ticket held for the member, who gets it by ordering in time.
    pub offered_type_id: Option<Uuid>,
    pub offer_expires_at: Option<DateTime<Utc>>,
}

impl Tickets {
    pub async fn place_in_line(&self, caller: &Member, entry: Uuid) -> Result<PlaceInLine> {
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    cx.require(&WAITLIST_ENTRY, "read", entry).await?;
                    place(cx, entry).await
                })
            });
        run.await
    }

    /// Offers places that are free or were not taken in time. Returns how many were offered.
    pub async fn serve_waitlist(&self) -> Result<i64> {
        self.dismiss().await?;
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), |cx| {
            Box::pin(async move { unserved(cx).await })
        });
        each(run.await?, |kind| self.offer_places(kind)).await
    }

    /// Offers the free places of one ticket type. Returns how many.
    async fn offer_places(&self, kind: Uuid) -> Result<i64> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                // The event is locked before any row of a ticket type, as buyers do.
                sqlx::query(
                    "select app.wait_for_event(event_id) from app.ticket_types where id = $1",
                )
                .bind(kind)
                .execute(cx.conn())
                .await?;
                let offered: i32 = sqlx::query_scalar("select app.offer_places($1)")
                    .bind(kind)
                    .fetch_one(cx.conn())
                    .await?;
                Ok(i64::from(offered))
            })
        });
        run.await
    }

    /// Ends entries that wait for an event that is over or cancelled.
    async fn dismiss(&self) -> Result<()> {
        loop {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), |cx| {
                Box::pin(async move {
                    let done = sqlx::query(
                        "update app.waitlist_entries w set state = 'expired' from (
                           select d.id from app.waitlist_entries d join app.events e on e.id = d.event_id
                           where d.state = 'waiting' and (e.ends_at <= now() or e.state = 'cancelled') limit $1 for update of d skip locked
                         ) due where w.id = due.id",
                    )
                    .bind(AT_ONCE)
                    .execute(cx.conn())
                    .await?;
                    Ok(done.rows_affected())
                })
            });
            if run.await? < AT_ONCE.unsigned_abs().into() {
                return Ok(());
            }
        }
    }
}

/// Ticket types with offered places that are over, or with free places that members wait for.
async fn unserved(cx: &mut Cx) -> Result<Vec<Uuid>> {
    let found = sqlx::query_scalar(
        "select w.offered_type_id from app.waitlist_entries w
         where w.state = 'offered' and w.offered_type_id is not null and (w.offer_expires_at <= now() or w.status <> 'active')
         union
         select t.id from app.ticket_types t
         join (
           select distinct w.event_id, w.ticket_type_id from app.waitlist_entries w
           where w.state = 'waiting' and w.status = 'active'
         ) w on w.event_id = t.event_id and (w.ticket_type_id is null or w.ticket_type_id = t.id)
         join app.events e on e.id = t.event_id and e.state = 'published' and e.status = 'active' and e.starts_at > now()
         where t.status = 'active' and t.held + t.sold < t.capacity
         order by 1",
    );
    Ok(found.fetch_all(cx.conn()).await?)
}

async fn place(cx: &mut Cx, entry: Uuid) -> Result<PlaceInLine> {
    // Earlier entries count if they compete with this one: both are for the same type, or one of them is for any type.
    let row = sqlx::query(
        "select m.state, m.offered_type_id, m.offer_expires_at,
           case when m.state = 'waiting' then (
             select count(*) from app.waitlist_entries w
             where w.event_id = m.event_id and w.state = 'waiting' and w.status = 'active'
               and (w.turn, w.id) < (m.turn, m.id)
               and (w.ticket_type_id is null or m.ticket_type_id is null or w.ticket_type_id = m.ticket_type_id)
           ) else 0 end as ahead
         from app.waitlist_entries m where m.id = $1",
    )
    .bind(entry)
    .fetch_optional(cx.conn())
    .await?
    .ok_or_else(Error::not_found)?;
    Ok(PlaceInLine {
        entry_id: entry,
        state: row.try_get("state")?,
        ahead: row.try_get("ahead")?,
        offered_type_id: row.try_get("offered_type_id")?,
        offer_expires_at: row.try_get("offer_expires_at")?,
    })
}
