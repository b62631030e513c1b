//! Before a quote or a proposal is accepted: what else its transaction has to wait for, and what is in its way.
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
