//! What a host writes into a broadcast, checked before it is stored: whom it names.
//!
//! Called by the hooks of `POST /broadcasts` and of its changes, with the caller's permissions. The database refuses to
//! schedule a broadcast that names anything but ticket types of its event, too (`app.broadcast_obstacle`).

use crate::problems as own;
use generated::broadcast::{BroadcastAudience, CreateBroadcast, UpdateBroadcast};
use kernel::{Cx, Error, Result, input::Patch, problem::Item, problems, value::parse_id};
use uuid::Uuid;

pub async fn check_new(cx: &mut Cx, input: &mut CreateBroadcast) -> Result<()> {
    let names_none = input.ticket_type_ids.as_ref().is_none_or(Vec::is_empty);
    if input.audience == BroadcastAudience::TicketTypes && names_none {
        let detail = "must name one ticket type or more for this audience";
        return Err(Error::field("/ticket_type_ids", "length", detail));
    }
    match &mut input.ticket_type_ids {
        Some(ids) => check_types(cx, input.event_id, ids).await,
        None => Ok(()),
    }
}

pub async fn check_change(cx: &mut Cx, id: Uuid, input: &mut UpdateBroadcast) -> Result<()> {
    let Patch::Value(ids) = &mut input.ticket_type_ids else {
        return Ok(());
    };
    let event: Option<Uuid> =
        sqlx::query_scalar("select t.event_id from app.broadcasts t where t.id = $1")
            .bind(id)
            .fetch_optional(cx.conn())
            .await?;
    match event {
        Some(event) => check_types(cx, event, ids).await,
        // The caller may not see the broadcast; the update statement itself decides on the answer.
        None => Ok(()),
    }
}

/// Explains why a broadcast can't be sent; the database refuses it as well. For a broadcast that the caller may not see,
/// the function is not called, so nothing is revealed and no lock is taken.
pub async fn check_schedule(cx: &mut Cx, id: Uuid) -> Result<()> {
    let found = sqlx::query_scalar(
        "select app.broadcast_obstacle(t.id) from app.broadcasts t where t.id = $1 and t.state = 'draft'",
    );
    let found = found.bind(id).fetch_optional(cx.conn()).await?;
    let obstacle: Option<String> = found.flatten();
    match obstacle.as_deref() {
        Some("host") => Err(Error::new(&own::HOST_UNKNOWN)),
        Some("author") => Err(Error::new(&problems::STATE).detail(
            "The author of this broadcast no longer administers the host. Write a new one to send it in your name.",
        )),
        Some("types") => {
            let detail = "A broadcast to ticket types names one or more of its event. Change `ticket_type_ids` first.";
            let item = Item::body(
                "/ticket_type_ids",
                "reference",
                "are not all ticket types of the event",
            );
            Err(Error::new(&problems::STATE).detail(detail).item(item))
        }
        Some(_) => Err(Error::new(&own::BROADCAST_LIMIT)),
        None => Ok(()),
    }
}

/// Writes the ids in lower case, as the database does, and refuses what is no ticket type of the event.
async fn check_types(cx: &mut Cx, event: Uuid, ids: &mut [String]) -> Result<()> {
    let mut wrong = Vec::new();
    for (at, text) in ids.iter_mut().enumerate() {
        match parse_id(text) {
            Some(id) => *text = id.to_string(),
            None => wrong.push((at, "format", "must be the id of a ticket type")),
        }
    }
    if wrong.is_empty() {
        // No row: the caller may not see the event, which is refused by itself.
        let unknown: Option<Vec<i32>> = sqlx::query_scalar(
            "select array(select (x.n - 1)::int4 from unnest($2::text[]) with ordinality x(id, n)
               where not exists (select from app.ticket_types t where t.event_id = e.id and t.id::text = x.id))
             from app.events e where e.id = $1",
        )
        .bind(event)
        .bind(&*ids)
        .fetch_optional(cx.conn())
        .await?;
        let unknown = unknown.into_iter().flatten();
        wrong
            .extend(unknown.map(|at| (at as usize, "reference", "is no ticket type of the event")));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let refusal = Error::new(&problems::INVALID);
    Err(wrong
        .into_iter()
        .fold(refusal, |refusal, (at, code, detail)| {
            refusal.item(Item::body(format!("/ticket_type_ids/{at}"), code, detail))
        }))
}
