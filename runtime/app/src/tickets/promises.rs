//! What a host may no longer change once buyers rely on it, explained by pointers. Triggers refuse the same for every
//! writer (`spec/sql/tickets.guards.sql`).
//!
//! Runs in the caller's transaction, under the caller's rules. For a row that the caller may not see nothing is refused
//! here: the statement of the request itself decides on the answer.

use generated::{event::UpdateEvent, ticket_type::UpdateTicketType};
use kernel::{Cx, Error, Result, problem::Item, problems};
use uuid::Uuid;

/// Refuses a change of a ticket type that its buyers did not agree to: of its currency once it was ordered, and an
/// earlier end of the right of return or a smaller capacity while tickets are held or sold.
pub async fn refuse_type(cx: &mut Cx, id: Uuid, change: &UpdateTicketType) -> Result<()> {
    let (currency, until, capacity) =
        (&change.currency, &change.refundable_until, &change.capacity);
    if currency.is_absent() && until.is_absent() && capacity.is_absent() {
        return Ok(());
    }
    let found: Option<(bool, bool, i64)> = sqlx::query_as(
        "select coalesce(t.currency <> $2::text, false) and (t.held + t.sold > 0 or app.was_ordered(t.id)),
           $3::boolean and t.held + t.sold > 0 and coalesce(t.refundable_until > now(), false)
             and coalesce($4::timestamptz < t.refundable_until, true),
           (t.held + t.sold)::int8
         from app.ticket_types t where t.id = $1",
    )
    .bind(id)
    .bind(currency.value())
    .bind(!until.is_absent())
    .bind(until.value())
    .fetch_optional(cx.conn())
    .await?;
    let (keeps_currency, keeps_return, taken) = found.unwrap_or_default();
    let mut wrong = Vec::new();
    wrong.extend(less_than_taken(capacity.value().copied(), taken));
    if keeps_currency {
        let detail = "stays what it is once tickets were ordered: make another ticket type for another currency";
        wrong.push(Item::body("/currency", "promised", detail));
    }
    if keeps_return {
        let detail = "was promised to buyers: give the same time, or a later one";
        wrong.push(Item::body("/refundable_until", "promised", detail));
    }
    refuse(
        "Tickets of this type were bought on conditions that stay.",
        wrong,
    )
}

/// Refuses a change of an event that its tickets rule out: a capacity below those that are held and sold, and a move
/// into the past.
pub async fn refuse_event(cx: &mut Cx, id: Uuid, change: &UpdateEvent) -> Result<()> {
    let (capacity, starts, ends) = (
        change.capacity.value(),
        change.starts_at.value(),
        change.ends_at.value(),
    );
    if capacity.is_none() && starts.is_none() && ends.is_none() {
        return Ok(());
    }
    let found: Option<(i64, bool, bool)> = sqlx::query_as(
        "select case when $2::int < coalesce(t.capacity, $2::int + 1) then app.taken_of_event(t.id) else 0 end,
           t.ticket_count > 0 and coalesce($3::timestamptz <> t.starts_at and $3::timestamptz < now(), false),
           t.ticket_count > 0 and coalesce($4::timestamptz <> t.ends_at and $4::timestamptz < now(), false)
         from app.events t where t.id = $1",
    )
    .bind(id)
    .bind(capacity)
    .bind(starts)
    .bind(ends)
    .fetch_optional(cx.conn())
    .await?;
    let (taken, starts_before, ends_before) = found.unwrap_or_default();
    let less = less_than_taken(capacity.copied(), taken);
    refuse(
        "The event has no room for its tickets then.",
        less.into_iter().collect(),
    )?;
    let moved = [("/starts_at", starts_before), ("/ends_at", ends_before)];
    let wrong = moved.into_iter().filter(|(_, is_before)| *is_before);
    let wrong = wrong.map(|(pointer, _)| {
        let detail = "is over: give a time that is ahead, or leave it as it is";
        Item::body(pointer, "promised", detail)
    });
    refuse(
        "The event has guests, whom nobody could tell that it was moved into the past. Cancel it if it does not take place.",
        wrong.collect(),
    )
}

fn less_than_taken(capacity: Option<i32>, taken: i64) -> Option<Item> {
    let is_less = capacity.is_some_and(|capacity| i64::from(capacity) < taken);
    is_less.then(|| {
        let detail = format!("must be {taken} or more: so many tickets are held or sold");
        Item::body("/capacity", "promised", detail)
    })
}

fn refuse(detail: &'static str, wrong: Vec<Item>) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    let error = Error::new(&problems::STATE).detail(detail);
    Err(wrong.into_iter().fold(error, Error::item))
}
