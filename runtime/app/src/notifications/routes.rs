//! Routes by which members count their notifications and mark them as read or unread.

use super::{Notifications, chosen, chosen::OBJECTS, feedback, stream, unsubscribe};
use crate::module::{Module, id};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use generated::notification::NOTIFICATION;
use kernel::{Member, Result};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

pub(super) fn router(notifications: Notifications) -> Router {
    Router::new()
        .route("/notifications/settings", get(chosen::settings))
        .route("/notifications/unread", get(unread))
        .route("/notifications/read-all", post(read_all))
        .route("/notifications/{id}/read", post(read))
        .route("/notifications/{id}/unread", post(unread_again))
        .route(
            "/notifications/unsubscribe",
            get(unsubscribe::show).post(unsubscribe::stop),
        )
        .route("/webhooks/resend", post(feedback::resend))
        .route("/webhooks/sendgrid", post(feedback::sendgrid))
        .with_state(notifications)
}

pub(super) fn document() -> openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(modifiers(&OBJECTS), paths(
    chosen::settings,
    unread,
    read_all,
    read,
    unread_again,
    unsubscribe::show,
    unsubscribe::stop,
    feedback::resend,
    feedback::sendgrid,
    stream::listen
))]
struct Document;

/// Number of unread notifications.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"unread": 3}))]
struct UnreadNotifications {
    unread: i64,
}

/// Number of notifications that were marked as read.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"read": 3}))]
struct ReadNotifications {
    read: u64,
}

pub(super) async fn count_unread(notifications: &Notifications, caller: &Member) -> Result<i64> {
    let (me, request) = (caller.id(), caller.request_id);
    let count = notifications.db.run(Notifications::NAME, Some(caller), request, move |cx| {
        Box::pin(async move {
            let count = sqlx::query_scalar("select count(*) from app.notifications where user_id = $1 and not is_read and in_app");
            Ok(count.bind(me).fetch_one(cx.conn()).await?)
        })
    });
    count.await
}

/// Count unread notifications
///
/// Counts the caller's notifications that are shown in the app.
#[utoipa::path(get, path = "/notifications/unread", operation_id = "countUnreadNotifications", tag = "Notifications",
    security(("bearer" = [])),
    responses((status = 200, description = "The number of unread notifications", body = UnreadNotifications)))]
async fn unread(
    State(notifications): State<Notifications>,
    caller: Member,
) -> Result<Json<UnreadNotifications>> {
    let unread = count_unread(&notifications, &caller).await?;
    Ok(Json(UnreadNotifications { unread }))
}

/// Mark all notifications as read
///
/// Notifications that arrive during the request stay unread.
#[utoipa::path(post, path = "/notifications/read-all", operation_id = "readAllNotifications", tag = "Notifications",
    security(("bearer" = [])),
    responses((status = 200, description = "The number of notifications that were unread", body = ReadNotifications)))]
async fn read_all(
    State(notifications): State<Notifications>,
    caller: Member,
) -> Result<Json<ReadNotifications>> {
    let (me, request) = (caller.id(), caller.request_id);
    let read = notifications.db.run(Notifications::NAME, Some(&caller), request, move |cx| {
        Box::pin(async move {
            let read = sqlx::query("update app.notifications set is_read = true, read_at = now(), changed_in = pg_current_xact_id()::text::bigint
                 where user_id = $1 and not is_read and in_app");
            Ok(read.bind(me).execute(cx.conn()).await?.rows_affected())
        })
    });
    Ok(Json(ReadNotifications { read: read.await? }))
}

/// Mark a notification as read
///
/// Has no effect on a notification that is read already.
#[utoipa::path(post, path = "/notifications/{id}/read", operation_id = "readNotification", tag = "Notifications",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Id of the notification")),
    responses(
        (status = 204, description = "The notification is read"),
        (status = 404, description = "The caller has no such notification")))]
async fn read(
    State(notifications): State<Notifications>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    notifications.mark(&caller, id(&path)?, true).await
}

/// Mark a notification as unread
///
/// Has no effect on an unread notification.
#[utoipa::path(post, path = "/notifications/{id}/unread", operation_id = "unreadNotification", tag = "Notifications",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Id of the notification")),
    responses(
        (status = 204, description = "The notification is unread"),
        (status = 404, description = "The caller has no such notification")))]
async fn unread_again(
    State(notifications): State<Notifications>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<StatusCode> {
    notifications.mark(&caller, id(&path)?, false).await
}

impl Notifications {
    async fn mark(&self, caller: &Member, notification: Uuid, is_read: bool) -> Result<StatusCode> {
        let request = caller.request_id;
        let marked = self.db.run(Self::NAME, Some(caller), request, move |cx| {
            Box::pin(async move {
                cx.require(&NOTIFICATION, "read", notification).await?;
                // The time of the first reading is kept.
                sqlx::query(
                    "update app.notifications set is_read = $2, read_at = case when $2 then now() end
                     where id = $1 and is_read is distinct from $2",
                )
                .bind(notification)
                .bind(is_read)
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        marked.await.map(|()| StatusCode::NO_CONTENT)
    }
}
