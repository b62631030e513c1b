//! Views and shares of an event, reported by front ends so that they count for what trends. Each counts once for each
//! member and event, however often it is reported; members see their own in their export, and other members never see
//! them.

use super::Trending;
use crate::module::{Module, id};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::put,
};
use generated::event::EVENT;
use kernel::{Db, Member, Result, quota};
use serde_json::Value;
use utoipa::{OpenApi, openapi};

/// The maximum number of events that a member may report in a day.
const A_DAY: u32 = 2_000;

pub fn router() -> Router<Trending> {
    Router::new()
        .route("/events/{id}/view", put(view))
        .route("/events/{id}/share", put(share))
}

#[derive(OpenApi)]
#[openapi(paths(view, share))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

impl Trending {
    async fn visit(&self, caller: Member, path: &str, kind: &'static str) -> Result<StatusCode> {
        let (event, member) = (id(path)?, caller.id());
        let run = self
            .db
            .run(Self::NAME, Some(&caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    cx.require(&EVENT, "read", event).await?;
                    let told = sqlx::query(
                        "insert into app.visits (user_id, event_id, kind) values ($1, $2, $3) on conflict do nothing",
                    )
                    .bind(member)
                    .bind(event)
                    .bind(kind)
                    .execute(cx.conn())
                    .await?;
                    match told.rows_affected() {
                        0 => Ok(()),
                        _ => quota::take(cx, "visit", A_DAY).await,
                    }
                })
            });
        run.await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

/// The part of a member's export about the events that the member viewed or shared.
pub(crate) async fn export(db: &Db, caller: &Member) -> Result<Value> {
    let me = caller.id();
    let run = db.run(Trending::NAME, Some(caller), caller.request_id, move |cx| {
        Box::pin(async move {
            let list = sqlx::query_scalar(
                "select coalesce(jsonb_agg(jsonb_build_object('event_id', v.event_id, 'kind', v.kind, 'created_at', v.created_at)
                   order by v.id), '[]')
                 from app.visits v where v.user_id = $1",
            );
            Ok(list.bind(me).fetch_one(cx.conn()).await?)
        })
    });
    run.await
}

/// Record a view of an event
///
/// Used to rank trending events. Counts once per member and event; repeating it has no effect.
#[utoipa::path(put, path = "/events/{id}/view", operation_id = "viewEvent", tag = "Events", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "Id of the event")),
    responses(
        (status = 204, description = "Recorded, or recorded before"),
        (status = 404, description = "The event does not exist, or the caller may not see it"),
        (status = 429, description = "Too many different events in a day")))]
async fn view(
    State(trending): State<Trending>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    trending.visit(caller, &path, "view").await
}

/// Record that an event was shared
///
/// Used to rank trending events. Counts once per member and event; repeating it has no effect.
#[utoipa::path(put, path = "/events/{id}/share", operation_id = "shareEvent", tag = "Events", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "Id of the event")),
    responses(
        (status = 204, description = "Recorded, or recorded before"),
        (status = 404, description = "The event does not exist, or the caller may not see it"),
        (status = 429, description = "Too many different events in a day")))]
async fn share(
    State(trending): State<Trending>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    trending.visit(caller, &path, "share").await
}
