//! Before a member orders tickets or joins a waiting list: a ticket that they have lets them see an event of a community
//! that has excluded them, but nothing more of it is sold to them. Triggers refuse the same for waiting lists
//! (`spec/sql/tickets.guards.sql`).

use crate::problems as own;
use generated::waitlist_entry::CreateWaitlistEntry;
use kernel::{Cx, Error, Member, Result, problems};
use uuid::Uuid;

const MEMBERS: &str = "Only members of the event's community can order its tickets.";

/// Refuses to order tickets of a community's event by a ticket alone.
pub(super) async fn order(cx: &mut Cx, buyer: &Member, event: Uuid) -> Result<()> {
    let may: bool = sqlx::query_scalar("select app.may_order_tickets($1, $2)")
        .bind(event)
        .bind(buyer.id())
        .fetch_one(cx.conn())
        .await?;
    match may {
        true => Ok(()),
        false => Err(Error::new(&own::NOT_ON_SALE).detail(MEMBERS)),
    }
}

/// Refuses to join a waiting list for nothing. Called by the hook, under the caller's rules: for an event that the caller
/// may not see the statement of the request decides on the answer.
pub async fn waiting_list(cx: &mut Cx, input: &CreateWaitlistEntry) -> Result<()> {
    let found = sqlx::query_scalar(
        "select app.waiting_obstacle(t.id, sec.uid()) from app.events t where t.id = $1",
    );
    let found = found.bind(input.event_id).fetch_optional(cx.conn()).await?;
    let obstacle: Option<String> = found.flatten();
    let detail = match obstacle.as_deref() {
        None => return Ok(()),
        Some("over") => {
            "The event has begun or was cancelled, so nobody can join its waiting list."
        }
        Some(_) => MEMBERS,
    };
    Err(Error::new(&problems::STATE).detail(detail))
}
