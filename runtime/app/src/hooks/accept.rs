//! Before a quote, a proposal or an invitation is accepted: what else its transaction has to wait for, and what is in its
//! way.
//!
//! Nothing is locked for what the caller may not see; the request's own statement decides on that answer.

use kernel::{Cx, Error, Result, problems};
use uuid::Uuid;

/// Locks the quote's request: of two quotes accepted at the same time, the second waits and sees the result of the
/// first.
pub async fn quote(cx: &mut Cx, id: Uuid) -> Result<()> {
    sqlx::query("select app.wait_for_request(t.id) from app.quotes t where t.id = $1")
        .bind(id)
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// Names the commission rule that conflicts with the proposal; the database refuses overlapping rules as well.
pub async fn proposal(cx: &mut Cx, id: Uuid) -> Result<()> {
    let found = sqlx::query_scalar(
        "select app.rule_in_the_way(t.id) from app.commission_proposals t where t.id = $1",
    );
    let found = found.bind(id).fetch_optional(cx.conn()).await?;
    let rule: Option<Uuid> = found.flatten();
    rule.map_or(Ok(()), |rule| {
        Err(Error::new(&problems::CONFLICT).detail(format!(
            "The commission rule {rule} of the city begins later and would hold at the same time. Archive it or change \
             when it holds, or decline this."
        )))
    })
}

/// Refuses an invitation of a member who can't invite any more; the database refuses it as well. Where anybody may join,
/// it is joined without the role of the invitation.
pub async fn invitation(cx: &mut Cx, id: Uuid) -> Result<()> {
    let stands: Option<bool> = sqlx::query_scalar(
        "select app.invitation_stands(t.id) or c.join_policy = 'open'
         from app.community_members t join app.communities c on c.id = t.community_id where t.id = $1",
    )
    .bind(id)
    .fetch_optional(cx.conn())
    .await?;
    if stands != Some(false) {
        return Ok(());
    }
    let detail =
        "The member who invited you may no longer invite others. Ask for another invitation.";
    Err(Error::new(&problems::CONFLICT).detail(detail))
}
