//! Broadcasts, which hosts write to the guests of an event: the preview of the number of recipients, the report, and
//! handing them over for sending when they are due.
//!
//! Broadcasts are written, scheduled and cancelled through generated routes; the database enforces who may do so, and
//! how often (`spec/sql/broadcasts.sql`, [ADR 73](../../../docs/adr/0073-broadcasts.md)). The module `notifications`,
//! which knows members' preferences, tells the members. The sender learns how many members got a broadcast, but never
//! who or through which device.

pub mod written;

use crate::access::{Access, Table};
use crate::module::{Module, NoSettings, Parts, id, uncached};
use crate::offers::{self, offer};
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use generated::broadcast::BROADCAST;
use kernel::{
    Cx, Db, Member, Result,
    http::ConfigError,
    jobs::{self, Job, Periodic},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::types::Json as Jsonb;
use std::time::Duration;
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

/// The maximum number of broadcasts handed over in a transaction.
const AT_ONCE: i32 = 50;

/// The event that is emitted when a broadcast is due.
pub const DUE: &str = "broadcasts.due";

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Broadcasts {
    db: Db,
}

impl Module for Broadcasts {
    const NAME: &'static str = "broadcasts";
    type Settings = NoSettings;

    fn new(parts: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
        })
    }

    fn routes(&self, _: &Router) -> Router {
        Router::new()
            .route("/broadcasts/{id}/preview", get(preview))
            .route("/broadcasts/{id}/report", get(report))
            .with_state(self.clone())
    }

    fn access() -> Table {
        &[
            ("previewBroadcast", Access::HostAdminOrPlatform),
            ("getBroadcastReport", Access::HostAdminOrPlatform),
        ]
    }

    fn offers() -> offers::Table {
        const { &[offer("createBroadcast", "event", "broadcast")] }
    }

    fn document() -> openapi::OpenApi {
        Document::openapi()
    }

    fn jobs(&self) -> Vec<Job> {
        let hand_over =
            |broadcasts: Self, _| async move { Ok(broadcasts.hand_over().await.map(drop)?) };
        vec![Job::of(self, "broadcasts.hand_over", hand_over)]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![Periodic::every(
            "broadcasts.hand_over",
            Duration::from_secs(15),
        )]
    }
}

#[derive(OpenApi)]
#[openapi(paths(preview, report))]
struct Document;

/// Number of members that a broadcast would reach now.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"recipients": 120}))]
struct BroadcastPreview {
    recipients: i64,
}

/// Delivery figures of a broadcast.
#[derive(Serialize, Deserialize, ToSchema)]
struct BroadcastReport {
    /// Members who were notified.
    recipients: i64,
    /// Recipients who have it in the app; the others turned that off.
    in_app: i64,
    /// Recipients who have read it in the app.
    read: i64,
    /// One entry for each channel that was used.
    channels: Vec<BroadcastChannel>,
}

/// Messages by push or mail. A member may get several (one per device), or none if turned off.
#[derive(Serialize, Deserialize, ToSchema)]
struct BroadcastChannel {
    /// `push` or `email`
    channel: String,
    /// Not sent yet, for example because of quiet hours.
    pending: i64,
    sent: i64,
    failed: i64,
    /// Cancelled before being sent.
    dropped: i64,
}

/// Count the recipients of a broadcast
///
/// Counts the current members of its audience, each once, regardless of the channels that they have turned on.
#[utoipa::path(get, path = "/broadcasts/{id}/preview", operation_id = "previewBroadcast", tag = "Broadcasts", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Id of the broadcast")),
    responses(
        (status = 200, description = "The number of recipients", body = BroadcastPreview),
        (status = 404, description = "The broadcast does not exist, or the caller may not see it")))]
async fn preview(
    State(broadcasts): State<Broadcasts>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let broadcast = id(&path)?;
    let look = broadcasts
        .db
        .snapshot(Broadcasts::NAME, &caller, move |cx| {
            Box::pin(async move {
                cx.require(&BROADCAST, "read", broadcast).await?;
                let found = sqlx::query_scalar("select count(*) from app.broadcast_audience($1)");
                Ok(found.bind(broadcast).fetch_one(cx.conn()).await?)
            })
        });
    Ok(uncached(BroadcastPreview {
        recipients: look.await?,
    }))
}

/// Get the report of a broadcast
///
/// Contains totals only, and neither recipients nor devices.
#[utoipa::path(get, path = "/broadcasts/{id}/report", operation_id = "getBroadcastReport", tag = "Broadcasts", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Id of the broadcast")),
    responses(
        (status = 200, description = "The report", body = BroadcastReport),
        (status = 404, description = "The broadcast does not exist, or the caller may not see it")))]
async fn report(
    State(broadcasts): State<Broadcasts>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let broadcast = id(&path)?;
    let look = broadcasts
        .db
        .snapshot(Broadcasts::NAME, &caller, move |cx| {
            Box::pin(async move {
                cx.require(&BROADCAST, "read", broadcast).await?;
                figures(cx, broadcast).await
            })
        });
    Ok(uncached(look.await?))
}

async fn figures(cx: &mut Cx, broadcast: Uuid) -> Result<BroadcastReport> {
    let found = sqlx::query_scalar(
        "with told as materialized (
           select n.id, n.in_app, n.is_read from app.broadcasts b
           join app.notifications n on n.event_id = b.event_id and n.type = 'broadcast' and n.dedupe_key = 'broadcast:' || b.id
           where b.id = $1
         )
         select jsonb_build_object('recipients', count(*), 'in_app', count(*) filter (where t.in_app),
           'read', count(*) filter (where t.in_app and t.is_read),
           'channels', (select coalesce(jsonb_agg(x), '[]') from (
             select d.channel, count(*) filter (where d.state in ('pending', 'sending')) as pending,
               count(*) filter (where d.state = 'sent') as sent, count(*) filter (where d.state = 'failed') as failed,
               count(*) filter (where d.state = 'dropped') as dropped
             from told n join app.notification_deliveries d on d.notification_id = n.id group by 1 order by 1) x))
         from told t",
    );
    let Jsonb(figures) = found.bind(broadcast).fetch_one(cx.conn()).await?;
    Ok(figures)
}

impl Broadcasts {
    /// Hands over broadcasts that are due: sets their state to `sending` and emits [`DUE`] in the same transaction.
    /// Those that can't be sent any more, because of the state of the event, the host or the author, are cancelled. Returns how many
    /// were handed over.
    pub async fn hand_over(&self) -> Result<usize> {
        let mut all = 0;
        loop {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), |cx| {
                Box::pin(async move {
                    let due: Vec<(Uuid, bool)> = sqlx::query_as(
                        "update app.broadcasts b set state = case when x.may_go then 'sending' else 'cancelled' end
                         from (
                           select d.id, e.state in ('published', 'completed') and e.status = 'active' and app.may_broadcast(e.host_id)
                             and (d.created_by_id is null or app.author_may(d.created_by_id, e.host_id)) as may_go
                           from app.broadcasts d join app.events e on e.id = d.event_id
                           where d.state = 'scheduled' and d.status = 'active' and (d.send_at is null or d.send_at <= now())
                           order by d.send_at nulls first limit $1 for update of d skip locked) x
                         where b.id = x.id returning b.id, x.may_go",
                    )
                    .bind(AT_ONCE)
                    .fetch_all(cx.conn())
                    .await?;
                    for (id, _) in due.iter().filter(|(_, may_go)| *may_go) {
                        jobs::tell(cx, DUE, ("broadcast", *id), json!({})).await?;
                    }
                    Ok(due)
                })
            });
            let due = run.await?;
            all += due.iter().filter(|(_, may_go)| *may_go).count();
            if due.len() < AT_ONCE as usize {
                return Ok(all);
            }
        }
    }
}
