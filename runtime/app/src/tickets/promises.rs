//! What a host may no longer change once buyers rely on it, explained by pointers. Triggers refuse the same for every
//! writer (`spec/sql/tickets.guards.sql`).
//!
//! Runs in the caller's transaction, under the caller's rules. For a row that the caller may not see nothing is refused
//! here: the statement of the request itself decides on the answer.

use generated::ticket_type::UpdateTicketType;
use kernel::{Cx, Error, Result, problem::Item, problems};
use uuid::Uuid;

/// Refuses a change of a ticket type that its buyers did not agree to.
pub async fn refuse_type(cx: &mut Cx, id: Uuid, change: &UpdateTicketType) -> Result<()> {
    let Some(currency) = change.currency.value() else {
        return Ok(());
    };
    let is_kept: Option<bool> = sqlx::query_scalar(
        "select t.currency <> $2 and (t.held + t.sold > 0 or app.was_ordered(t.id)) from app.ticket_types t where t.id = $1",
    )
    .bind(id)
    .bind(currency)
    .fetch_optional(cx.conn())
    .await?;
    match is_kept {
        Some(true) => Err(Error::new(&problems::STATE)
            .detail("Tickets of this type were ordered in its currency. Make another ticket type for the other currency.")
            .item(Item::body("/currency", "promised", "stays what it is once tickets were ordered"))),
        _ => Ok(()),
    }
}
