//! Before something new begins in the name of a host: the host has not ended
//! ([ADR 78](../../../../docs/adr/0078-what-ended-things-allow.md)). Triggers refuse the same for every request
//! (`spec/sql/marketplace.hosts.sql`).
//!
//! Runs under the caller's rules. Of a row that the caller may not see nothing is told here: the statement of the
//! request itself decides on the answer.

use generated::{lead::CreateLead, promotion::CreatePromotion};
use kernel::{Cx, Error, Result, problems};
use uuid::Uuid;

/// A ticket type or a promo code of an event.
pub async fn of_event(cx: &mut Cx, table: &str, event: Uuid) -> Result<()> {
    // The rules have just let the host create the event.
    if cx.has_made(event) {
        return Ok(());
    }
    let text = "select app.host_has_ended($2, t.id) from app.events t where t.id = $1";
    refuse(cx, text, table, event).await
}

pub async fn publishing(cx: &mut Cx, event: Uuid) -> Result<()> {
    of_event(cx, "events", event).await
}

pub async fn lead(cx: &mut Cx, input: &CreateLead) -> Result<()> {
    let text = "select app.host_has_ended($2, t.id) from app.service_requests t where t.id = $1";
    refuse(cx, text, "leads", input.service_request_id).await?;
    let text = "select app.host_has_ended($2, t.id) from app.businesses t where t.id = $1";
    refuse(cx, text, "businesses", input.business_id).await
}

pub async fn quote_for(cx: &mut Cx, lead: Uuid) -> Result<()> {
    let text = "select app.host_has_ended($2, t.id) from app.leads t where t.id = $1";
    refuse(cx, text, "quotes", lead).await
}

pub async fn quote(cx: &mut Cx, quote: Uuid) -> Result<()> {
    let text = "select app.host_has_ended($2, t.lead_id) from app.quotes t where t.id = $1";
    refuse(cx, text, "quotes", quote).await
}

pub async fn reopening(cx: &mut Cx, request: Uuid) -> Result<()> {
    let text = "select app.host_has_ended($2, t.id) from app.service_requests t where t.id = $1";
    refuse(cx, text, "service_requests", request).await
}

pub async fn promotion(cx: &mut Cx, input: &CreatePromotion) -> Result<()> {
    let text = "select app.host_has_ended($2, x.id) from (
           select t.id from app.events t union all select t.id from app.venues t union all select t.id from app.businesses t
         ) x where x.id = $1";
    refuse(cx, text, "promotions", input.target_id).await
}

async fn refuse(cx: &mut Cx, text: &'static str, table: &str, of: Uuid) -> Result<()> {
    let found = sqlx::query_scalar(text).bind(of).bind(table);
    let has_ended: Option<bool> = found.fetch_optional(cx.conn()).await?.flatten();
    match has_ended {
        Some(true) => Err(Error::new(&problems::STATE).detail(
            "The host, or the business that it is about, is suspended or was rejected: nothing new is begun for it until it \
             is back.",
        )),
        _ => Ok(()),
    }
}
