//! What a host may no longer change once buyers rely on it, explained by pointers. Triggers refuse the same for every
//! writer (`spec/sql/tickets.guards.sql`).
//!
//! Runs in the caller's transaction, under the caller's rules. For a row that the caller may not see nothing is refused
//! here: the statement of the request itself decides on the answer.

use generated::{event::UpdateEvent, ticket_type::UpdateTicketType};
use kernel::{Cx, Error, Result, problem::Item, problems};
use uuid::Uuid;

/// Refuses a change of a ticket type that its buyers did not agree to: of its currency once it was ordered, and an
/// earlier end of the right of return while tickets are held or sold.
pub async fn refuse_type(cx: &mut Cx, id: Uuid, change: &UpdateTicketType) -> Result<()> {
    let (currency, until) = (&change.currency, &change.refundable_until);
    if currency.is_absent() && until.is_absent() {
        return Ok(());
    }
    let found: Option<(bool, bool)> = sqlx::query_as(
        "select coalesce(t.currency <> $2::text, false) and (t.held + t.sold > 0 or app.was_ordered(t.id)),
           $3::boolean and t.held + t.sold > 0 and coalesce(t.refundable_until > now(), false)
             and coalesce($4::timestamptz < t.refundable_until, true)
         from app.ticket_types t where t.id = $1",
    )
    .bind(id)
    .bind(currency.value())
    .bind(!until.is_absent())
    .bind(until.value())
    .fetch_optional(cx.conn())
    .await?;
    let (keeps_currency, keeps_return) = found.unwrap_or_default();
    let mut wrong = Vec::new();
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

/// Refuses a change of an event that its tickets rule out: a capacity below those that are held and sold.
pub async fn refuse_event(cx: &mut Cx, id: Uuid, change: &UpdateEvent) -> Result<()> {
    let Some(capacity) = change.capacity.value() else {
        return Ok(());
    };
    let taken: Option<i64> = sqlx::query_scalar(
        "select app.taken_of_event(t.id) from app.events t where t.id = $1 and $2::int < coalesce(t.capacity, $2::int + 1)",
    )
    .bind(id)
    .bind(capacity)
    .fetch_optional(cx.conn())
    .await?;
    match taken {
        Some(taken) if i64::from(*capacity) < taken => {
            let detail = format!("must be {taken} or more: so many tickets are held or sold");
            Err(Error::field("/capacity", "range", detail))
        }
        _ => Ok(()),
    }
}

fn refuse(detail: &'static str, wrong: Vec<Item>) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    let error = Error::new(&problems::STATE).detail(detail);
    Err(wrong.into_iter().fold(error, Error::item))
}
