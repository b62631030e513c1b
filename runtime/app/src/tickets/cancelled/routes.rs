//! HTTP routes for cancelled events. The route that cancels an event is generated.

use super::{
    super::{Tickets, staff::staff},
    figures::{self, Cancellation},
};
use crate::module::{Module, id, uncached};
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use kernel::{Error, Member, Result, openapi::Objects, problems};
use utoipa::{OpenApi, openapi};

pub fn router(tickets: Tickets) -> Router {
    Router::new()
        .route("/events/{id}/cancellation", get(cancellation))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[("Cancellation", "cancellation")]);

#[derive(OpenApi)]
#[openapi(paths(cancellation), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get the refunds of a cancelled event
///
/// Progress of the refunds, for staff of the event. Cancelling an event refunds every order automatically, to the card
/// and wallet it was paid from; the host pays back cash by hand.
#[utoipa::path(get, path = "/events/{id}/cancellation", operation_id = "getCancellation", tag = "Orders",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Of the event")),
    responses(
        (status = 200, description = "The progress of the refunds", body = Cancellation),
        (status = 403, description = "The caller does not run the event"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 409, description = "The event is not cancelled")))]
async fn cancellation(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let event = id(&path)?;
    let run = tickets
        .db
        .run(Tickets::NAME, Some(&caller), caller.request_id, move |cx| {
            Box::pin(async move {
                staff(cx, event).await?;
                let state: String =
                    sqlx::query_scalar("select state from app.events where id = $1")
                        .bind(event)
                        .fetch_one(cx.conn())
                        .await?;
                if state != "cancelled" {
                    let detail =
                        format!("It is {state}. Only a cancelled event has refunds to show here.");
                    return Err(Error::new(&problems::STATE).detail(detail));
                }
                figures::add_up(cx, event).await
            })
        });
    run.await.map(uncached)
}
