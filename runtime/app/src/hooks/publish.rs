//! Before an event is published: guests have to know where to go.

use kernel::{Cx, Error, Result, problem::Item, problems};
use uuid::Uuid;

/// Refuses an event without any place. Refuses nothing of an event that the caller may not see: the request's own
/// statement decides on that answer.
pub async fn refuse_nowhere(cx: &mut Cx, id: Uuid) -> Result<()> {
    let nowhere: Option<bool> = sqlx::query_scalar(
        "select t.venue_id is null and t.location is null and p.online_url is null
         from app.events t left join lateral app.event_private(t.id) p on true where t.id = $1",
    )
    .bind(id)
    .fetch_optional(cx.conn())
    .await?;
    if nowhere != Some(true) {
        return Ok(());
    }
    let detail = "Give the event a venue, a location or an online address before publishing it.";
    let item = Item::body("/venue_id", "required", "or `location`, or `online_url`");
    Err(Error::new(&problems::STATE).detail(detail).item(item))
}
