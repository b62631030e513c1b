//! Notices published events with tickets that nobody can order online any more, for example because a commission rule has
//! ended, and tells their hosts once. A host that has lost its account is told of the account, and not of each event; it
//! was told at once ([`super::connect`]), unless it was archived then.

use super::{Payments, connect::ACCOUNT_LOST, publishing::unpayable};
use crate::{module::Module, tickets::sellable};
use kernel::{
    Cx, Result,
    jobs::{self, Outcome, Run},
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// The event that tells of such an event.
pub const SALES_STOPPED: &str = "payments.sales_stopped";

/// How many events are looked at in a transaction.
const AT_ONCE: i64 = 50;

impl Payments {
    pub(super) async fn watch_sales(&self, run: Arc<Run>) -> Outcome {
        Ok(self.watch_sales_now(run.request_id).await.map(drop)?)
    }

    /// The work of the job, without waiting for it. Returns how many events were found that were not known. Without a
    /// payment provider nothing is ordered online at a price.
    pub async fn watch_sales_now(&self, request: Uuid) -> Result<usize> {
        let (mut after, mut found) = (Uuid::nil(), 0);
        if self.provider.is_none() {
            return Ok(0);
        }
        loop {
            let looked = self.db.run(Self::NAME, None, request, move |cx| {
                Box::pin(async move { look(cx, after).await })
            });
            let (last, new) = looked.await?;
            found += new;
            match last {
                Some(last) => after = last,
                None => return Ok(found),
            }
        }
    }
}

/// Looks at some events after this one. Returns the last of them, and how many hosts are told.
async fn look(cx: &mut Cx, after: Uuid) -> Result<(Option<Uuid>, usize)> {
    let events: Vec<Uuid> = sqlx::query_scalar(
        "select e.id from app.events e
         where e.id > $1 and ((select true from app.sales_stops s where s.event_id = e.id limit 1)
           or (e.state = 'published' and e.status = 'active' and e.ends_at > now() and (
             select true from app.ticket_types t where t.event_id = e.id and t.status = 'active' and t.price_cents > 0 and not t.door_only limit 1)))
         order by e.id limit $2",
    )
    .bind(after)
    .bind(AT_ONCE)
    .fetch_all(cx.conn())
    .await?;
    let mut found = 0;
    for event in &events {
        found += usize::from(note(cx, *event).await?);
    }
    Ok((events.last().copied(), found))
}

/// Why nobody can order tickets of an event.
enum Stopped {
    /// The host has lost its account, the row with this id.
    Account(Uuid),
    Other,
}

/// Records whether the event's tickets can be ordered. Returns whether its host is told that they can't. Members are told of
/// an account once.
async fn note(cx: &mut Cx, event: Uuid) -> Result<bool> {
    let Some(stopped) = stopped(cx, event).await? else {
        sqlx::query("delete from app.sales_stops where event_id = $1")
            .bind(event)
            .execute(cx.conn())
            .await?;
        return Ok(false);
    };
    let (reason, told, about) = match stopped {
        Stopped::Account(account) => ("account", ACCOUNT_LOST, ("connected_account", account)),
        Stopped::Other => ("other", SALES_STOPPED, ("event", event)),
    };
    let new = sqlx::query(
        "insert into app.sales_stops as s (event_id, reason) values ($1, $2)
         on conflict (event_id) do update set reason = excluded.reason, since = now() where s.reason <> excluded.reason",
    )
    .bind(event)
    .bind(reason)
    .execute(cx.conn())
    .await?;
    let is_new = new.rows_affected() > 0;
    if is_new {
        jobs::tell(cx, told, about, json!({})).await?;
    }
    Ok(is_new)
}

/// None: the event is over or hidden, or its tickets on sale online can be ordered.
async fn stopped(cx: &mut Cx, event: Uuid) -> Result<Option<Stopped>> {
    let open: Vec<Uuid> = sqlx::query_scalar(
        "select t.id from app.ticket_types t join app.events e on e.id = t.event_id
         where e.id = $1 and e.state = 'published' and e.status = 'active' and e.ends_at > now()
           and t.status = 'active' and t.price_cents > 0 and not t.door_only and (t.sales_end is null or t.sales_end > now())",
    )
    .bind(event)
    .fetch_all(cx.conn())
    .await?;
    if open.is_empty() {
        return Ok(None);
    }
    if unpayable(cx, event).await?.is_some() {
        let lost = lost_account(cx, event).await?;
        return Ok(Some(lost.map_or(Stopped::Other, Stopped::Account)));
    }
    let kinds = sellable::kinds(cx, event).await?;
    let obstacles = sellable::obstacles(cx, event, &kinds).await?;
    let mut all = kinds.iter().zip(obstacles);
    let is_stopped = all.any(|(kind, obstacle)| obstacle.is_some() && open.contains(&kind.id));
    Ok(is_stopped.then_some(Stopped::Other))
}

/// The host's account, if it could take payments before.
async fn lost_account(cx: &mut Cx, event: Uuid) -> Result<Option<Uuid>> {
    let found = sqlx::query_scalar(
        "select a.id from app.events e join app.connected_accounts a on a.owner_type = e.host_type and a.owner_id = e.host_id
         where e.id = $1 and a.lost_at is not null",
    );
    Ok(found.bind(event).fetch_optional(cx.conn()).await?)
}
