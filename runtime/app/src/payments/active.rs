//! Whether something new may begin for a city or host ([ADR 78](../../../../docs/adr/0078-what-ended-things-allow.md)).

use kernel::{Cx, Error, Result, problems, resource::Resource};
use uuid::Uuid;

/// Refuses (409) to begin something new for a city or host that is suspended or rejected: those who run it still see
/// it, and would use it as before. For callers who may update it while it is active.
pub async fn active(cx: &mut Cx, entity: &Resource, id: Uuid) -> Result<()> {
    let refuse = |detail: &'static str| Err(Error::new(&problems::STATE).detail(detail));
    if !cx.may(entity, "update", id).await? {
        return refuse("It is suspended. Nothing new can begin for it until the suspension ends.");
    }
    if entity.name == "city" {
        return Ok(());
    }
    let is_live: bool = sqlx::query_scalar("select app.host_is_live($1)")
        .bind(id)
        .fetch_one(cx.conn())
        .await?;
    match is_live {
        true => Ok(()),
        false => refuse(
            "It was rejected. Nothing new can begin for it until it has been submitted again.",
        ),
    }
}
