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
        let detail = "can't be changed once tickets have been ordered; create another ticket type for another currency";
        wrong.push(Item::body("/currency", "promised", detail));
    }
    if keeps_return {
        let detail = "can only be moved to a later time, because buyers rely on it";
        wrong.push(Item::body("/refundable_until", "promised", detail));
    }
    refuse(
        "Buyers of this ticket type rely on conditions that can't be changed.",
        wrong,
    )
}

/// Says why a ticket type with tickets can't be archived, and what its host can do instead. The rule refuses it as well.
pub async fn refuse_withdrawal(cx: &mut Cx, id: Uuid) -> Result<()> {
    let found: Option<(i32, i32)> =
        sqlx::query_as("select t.held, t.sold from app.ticket_types t where t.id = $1")
            .bind(id)
            .fetch_optional(cx.conn())
            .await?;
    let (held, sold) = found.unwrap_or_default();
    if held == 0 && sold == 0 {
        return Ok(());
    }
    Err(Error::new(&problems::STATE).detail(format!(
        "Tickets of this type are out: {sold} sold, and {held} reserved by unpaid orders or offers to the waiting list. To sell \
         no more, set `sales_end` to now. It can be archived once they are refunded (`POST /orders/{{id}}/refunds`)."
    )))
}

/// The same for an event.
pub async fn refuse_removal(cx: &mut Cx, id: Uuid) -> Result<()> {
    let found: Option<i64> =
        sqlx::query_scalar("select t.ticket_count::int8 from app.events t where t.id = $1")
            .bind(id)
            .fetch_optional(cx.conn())
            .await?;
    match found {
        None | Some(0) => Ok(()),
        Some(count) => Err(Error::new(&problems::STATE).detail(format!(
            "The event has {count} valid tickets. Cancel it (`POST /events/{{id}}/cancel`), which refunds them and tells the \
             guests, or refund them one by one (`POST /orders/{{id}}/refunds`); then it can be archived."
        ))),
    }
}

/// Refuses a change of an event that its tickets rule out: a capacity below those that are held and sold, a move into the
/// past, and an earlier begin that guests would hear of too late.
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
           t.ticket_count > 0 and coalesce($3::timestamptz > t.starts_at and $3::timestamptz < now()
             or $3::timestamptz < t.starts_at and $3::timestamptz < now() + interval '1 day', false),
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
        "The capacity must not be less than the number of tickets that are held or sold.",
        less.into_iter().collect(),
    )?;
    let moved = [("/starts_at", starts_before), ("/ends_at", ends_before)];
    let wrong = moved.into_iter().filter(|(_, is_before)| *is_before);
    let wrong = wrong.map(|(pointer, _)| {
        let detail = match pointer {
            "/starts_at" => {
                "must be at least a day ahead if it is earlier than before, or stay as it is"
            }
            _ => "must be in the future, or stay as it is",
        };
        Item::body(pointer, "promised", detail)
    });
    refuse(
        "An event with guests can't be moved into the past, or to begin earlier at less than a day's notice: they could not \
         come. Cancel it if it does not take place.",
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
