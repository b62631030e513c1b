//! Cancelled events: every order is refunded or cancelled, each in a transaction of its own, so that the work survives
//! any number of restarts.
//!
//! The remaining work follows from the states of the orders; only the position of a run is stored. A job handles some
//! orders and enqueues the next job with the last id, in the transaction that completes it. An order that can't be
//! refunded stores the reason (`refund_failure`), does not delay the others, and is retried by a later run.
//! [`Tickets::wind_up_all`] runs every ten minutes and finds what earlier runs could not: an order that was being
//! placed while the event was cancelled, one whose dispute was won since, one that failed.
//!
//! Applies to cancelled events only: an event whose orders hold or have tickets can't be archived.

mod figures;
pub mod routes;

use super::{Tickets, refund, settle};
use crate::{clock, module::Module};
use chrono::{DateTime, TimeDelta, Utc};
use generated::order::OrderState;
use kernel::{
    Cx, Error, Result,
    jobs::{Event, NewJob, Outcome, Run},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// How many orders one job handles: few enough for its timeout, enough for thousands of orders a minute.
const AT_ONCE: i32 = 50;

/// How many events one run of the periodic job finds.
const EVENTS_AT_ONCE: i32 = 500;

/// The delay before the next run if orders are left that have not failed.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// The maximum length of the failure that an order stores, in characters.
const FAILURE_CHARS: usize = 500;

/// The payload of the job: the orders of an event whose ids follow `after`; all orders if it is None.
#[derive(Serialize, Deserialize)]
struct Rest {
    event: Uuid,
    after: Option<Uuid>,
}

impl Tickets {
    /// Job: an event was cancelled.
    pub(super) async fn called_off(&self, run: Arc<Run>) -> Outcome {
        let event: Event = run.payload()?;
        let mut cx = run.begin().await?;
        begin(&mut cx, event.entity_id, None).await?;
        Ok(run.commit(cx).await?)
    }

    /// Job: handles some orders and enqueues the next job for those that follow.
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
            // Another transaction had locked an order.
            let at = clock::of_database(&mut cx).await? + LOOK_AGAIN;
            begin(&mut cx, event, Some(at)).await?;
        }
        Ok(run.commit(cx).await?)
    }

    /// Starts a new run for every event that has orders left. Returns the number of events.
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

    /// Handles orders whose ids follow `after`. Returns the last one if more may follow.
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

    /// Handles one order. A failure is stored with the order; only if that fails as well, the run ends and is retried.
    async fn wind_up_order(&self, order: Uuid, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { undo(cx, order).await })
        });
        let Err(error) = run.await else {
            return Ok(());
        };
        tracing::error!(%order, %error, "an order of a cancelled event could not be undone; it is tried again");
        let why = &reason(&error);
        let run = self.db.run(Self::NAME, None, request, move |cx| {
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

    /// Ends the event's waiting lists: offered places are released and entries expire.
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
        // In separate transactions, because buyers lock the ticket type before the entries.
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

/// Enqueues the first job of a run, unless one is waiting for this event already. `at` is the earliest time; None
/// means now.
async fn begin(cx: &mut Cx, event: Uuid, at: Option<DateTime<Utc>>) -> Result<()> {
    let job = next(event, None)?.unless_waiting(event.to_string());
    let job = match at {
        Some(at) => job.at(at),
        None => job,
    };
    job.put(cx).await?;
    Ok(())
}

/// Jobs of the same event run one after the other.
fn next(event: Uuid, after: Option<Uuid>) -> Result<NewJob> {
    let job = NewJob::new("tickets.wind_up", Rest { event, after })?;
    Ok(job.in_order(format!("wind_up:{event}")))
}

/// The text that an administrator reads: the error's cause if it has one.
fn reason(error: &Error) -> String {
    let told = || format!("{}: {}", error.kind().slug, error.problem().detail);
    let text = error.cause().unwrap_or_else(told);
    text.chars().take(FAILURE_CHARS).collect()
}

/// Cancelled events with orders that can be handled now.
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

/// Orders to handle. Those with an open dispute are left out until the bank decides, since it may be giving the buyer
/// the same money.
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

/// Whether there are orders to handle that have not failed.
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

/// Cancels or refunds an order, depending on its state once its row is locked. An order that another transaction has
/// locked is skipped, and left to the next run.
async fn undo(cx: &mut Cx, order: Uuid) -> Result<()> {
    let state: Option<OrderState> =
        sqlx::query_scalar("select state from app.orders where id = $1 for update skip locked")
            .bind(order)
            .fetch_optional(cx.conn())
            .await?;
    match state {
        Some(OrderState::Pending) => settle::cancel(cx, order).await.map(drop),
        Some(OrderState::Paid | OrderState::PartRefunded) => refund::called_off(cx, order).await,
        _ => Ok(()),
    }
}
