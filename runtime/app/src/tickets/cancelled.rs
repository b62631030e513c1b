//! Cancelled events: every order is undone, each in a transaction of its own, however often whoever does it is ended.
//!
//! What is left to do is what the orders say, so nothing is remembered beside them but how far a run has come: its job
//! does some orders and leaves the next job behind with the last id, in the transaction that ends it. An order that
//! can't be undone says why (`refund_failure`), stands in nobody's way, and is tried again by a later run. A second look
//! every ten minutes ([`Tickets::wind_up_all`]) finds what the first run could not see: an order that was being placed
//! while the event was cancelled, one whose dispute was won since, one that failed.
//!
//! An event with orders that hold or have tickets can't be archived, so this is about cancelled ones alone.

mod figures;
pub mod routes;

use super::{Tickets, refund, settle};
use crate::{clock, module::Module};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{
    Cx, Error, Result,
    jobs::{Event, NewJob, Outcome, Run},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Orders of one job. Few enough for its time, many enough to be done with thousands in a minute.
const AT_ONCE: i32 = 50;

/// Events that one look finds.
const EVENTS_AT_ONCE: i32 = 500;

/// When a run that has left something undone without a failure looks again.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// Of a failure, what its order keeps.
const FAILURE_CHARS: usize = 500;

/// Some orders of an event: those after this one.
#[derive(Serialize, Deserialize)]
struct Rest {
    event: Uuid,
    after: Option<Uuid>,
}

impl Tickets {
    /// An event was cancelled.
    pub(super) async fn called_off(&self, run: Arc<Run>) -> Outcome {
        let event: Event = run.payload()?;
        let mut cx = run.begin().await?;
        begin(&mut cx, event.entity_id, None).await?;
        Ok(run.commit(cx).await?)
    }

    /// Some orders, and the next job for those after them.
    pub(super) async fn wind_up(&self, run: Arc<Run>) -> Outcome {
        let Rest { event, after } = run.payload()?;
        if after.is_none() {
            self.end_waiting(event, run.request_id).await?;
        }
        let reached = self.wind_up_some(event, after, run.request_id).await?;
        let mut cx = run.begin().await?;
        if reached.is_some() {
            next(event, reached)?.put(&mut cx).await?;
        } else if is_left(&mut cx, event).await? {
            // Somebody was just doing something with an order.
            let at = clock::of_database(&mut cx).await? + LOOK_AGAIN;
            begin(&mut cx, event, Some(at)).await?;
        }
        Ok(run.commit(cx).await?)
    }

    /// Begins anew with every event of which something is left to do. How many.
    pub async fn wind_up_all(&self) -> Result<usize> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), |cx| {
            Box::pin(async move {
                let events = unfinished(cx).await?;
                for event in &events {
                    begin(cx, *event, None).await?;
                }
                Ok(events.len())
            })
        });
        run.await
    }

    /// Undoes orders after this one. The last of them, if there may be more.
    pub async fn wind_up_some(
        &self,
        event: Uuid,
        after: Option<Uuid>,
        request: Uuid,
    ) -> Result<Option<Uuid>> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { orders(cx, event, after).await })
        });
        let orders = run.await?;
        for order in &orders {
            self.wind_up_order(*order, request).await?;
        }
        let is_full = orders.len() == AT_ONCE.unsigned_abs() as usize;
        Ok(orders.last().copied().filter(|_| is_full))
    }

    /// One order. What goes wrong is written down; only where not even that can be done the run ends, to be tried again.
    async fn wind_up_order(&self, order: Uuid, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { undo(cx, order).await })
        });
        let Err(error) = run.await else {
            return Ok(());
        };
        tracing::error!(%order, %error, "an order of a cancelled event could not be undone; it is tried again");
        let why = reason(&error);
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            let why = why.clone();
            Box::pin(async move {
                sqlx::query("update app.orders set refund_failure = $2 where id = $1 and refund_failure is distinct from $2")
                    .bind(order)
                    .bind(why)
                    .execute(cx.conn())
                    .await?;
                Ok(())
            })
        });
        run.await
    }

    /// Nobody waits for the event any more: places that were kept are let go of, and entries end.
    async fn end_waiting(&self, event: Uuid, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let kinds = sqlx::query_scalar(
                    "with over as (
                       update app.waitlist_entries w set offer_expires_at = now() from app.events e
                       where e.id = $1 and e.state = 'cancelled' and w.event_id = e.id and w.state = 'offered'
                         and w.offer_expires_at > now()
                     ), ended as (
                       update app.waitlist_entries w set state = 'expired' from app.events e
                       where e.id = $1 and e.state = 'cancelled' and w.event_id = e.id and w.state = 'waiting'
                     )
                     select t.id from app.ticket_types t where t.event_id = $1 order by t.id",
                );
                let kinds: Vec<Uuid> = kinds.bind(event).fetch_all(cx.conn()).await?;
                Ok(kinds)
            })
        });
        // In transactions of their own, since buyers lock the type before the entries.
        for kind in run.await? {
            let run = self.db.run(Self::NAME, None, request, move |cx| {
                Box::pin(async move {
                    sqlx::query("select app.offer_places($1)")
                        .bind(kind)
                        .execute(cx.conn())
                        .await?;
                    Ok(())
                })
            });
            run.await?;
        }
        Ok(())
    }
}

/// The first job for an event; there may be one already.
async fn begin(cx: &mut Cx, event: Uuid, at: Option<DateTime<Utc>>) -> Result<()> {
    let job = next(event, None)?.unless_waiting(event.to_string());
    let job = match at {
        Some(at) => job.at(at),
        None => job,
    };
    job.put(cx).await?;
    Ok(())
}

/// One after the other for the same event.
fn next(event: Uuid, after: Option<Uuid>) -> Result<NewJob> {
    let job = NewJob::new("tickets.wind_up", Rest { event, after })?;
    Ok(job.in_order(format!("wind_up:{event}")))
}

/// What an administrator reads: the cause, where there is one.
fn reason(error: &Error) -> String {
    let text = match std::error::Error::source(error) {
        Some(cause) => cause.to_string(),
        None => format!("{}: {}", error.kind().slug, error.problem().detail),
    };
    text.chars().take(FAILURE_CHARS).collect()
}

/// Events of which orders are left that this can do something about.
async fn unfinished(cx: &mut Cx) -> Result<Vec<Uuid>> {
    let found = sqlx::query_scalar(
        "select e.id from app.events e
         where e.state = 'cancelled'
           and exists (
             select from app.orders o
             where o.event_id = e.id and o.state in ('pending', 'paid', 'part_refunded')
               and not exists (select from app.disputes d where d.order_id = o.id and d.state in ('needs_response', 'under_review'))
           )
         order by e.id limit $1",
    );
    Ok(found.bind(EVENTS_AT_ONCE).fetch_all(cx.conn()).await?)
}

/// Those whose payment is disputed wait for the bank: money that it may take back is not sent a second time.
async fn orders(cx: &mut Cx, event: Uuid, after: Option<Uuid>) -> Result<Vec<Uuid>> {
    let found = sqlx::query_scalar(
        "select o.id from app.orders o join app.events e on e.id = o.event_id
         where o.event_id = $1 and e.state = 'cancelled' and o.state in ('pending', 'paid', 'part_refunded')
           and ($2::uuid is null or o.id > $2)
           and not exists (select from app.disputes d where d.order_id = o.id and d.state in ('needs_response', 'under_review'))
         order by o.id limit $3",
    );
    let found = found.bind(event).bind(after).bind(AT_ONCE);
    Ok(found.fetch_all(cx.conn()).await?)
}

/// Whether there are orders that nothing has gone wrong with.
async fn is_left(cx: &mut Cx, event: Uuid) -> Result<bool> {
    let found = sqlx::query_scalar(
        "select exists (
           select from app.orders o join app.events e on e.id = o.event_id
           where o.event_id = $1 and o.refund_failure is null and e.state = 'cancelled'
             and o.state in ('pending', 'paid', 'part_refunded')
             and not exists (select from app.disputes d where d.order_id = o.id and d.state in ('needs_response', 'under_review'))
         )",
    );
    Ok(found.bind(event).fetch_one(cx.conn()).await?)
}

/// Whatever has become of it meanwhile: its row says so once it is locked. Nobody is waited for: one that somebody else has
/// is left to the next look.
async fn undo(cx: &mut Cx, order: Uuid) -> Result<()> {
    let state: Option<String> =
        sqlx::query_scalar("select state from app.orders where id = $1 for update skip locked")
            .bind(order)
            .fetch_optional(cx.conn())
            .await?;
    match state.as_deref() {
        Some("pending") => settle::cancel(cx, order).await.map(drop),
        Some("paid" | "part_refunded") => refund::called_off(cx, order).await,
        _ => Ok(()),
    }
}
