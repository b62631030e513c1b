//! Before something new begins in the name of a host: the host has not ended
//! ([ADR 78](../../../../docs/adr/0078-what-ended-things-allow.md)). Triggers refuse the same for every request
//! (`spec/sql/marketplace.hosts.sql`, and `sessions.offers.sql` for members and roles).
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
    refuse(cx, text, "quotes", lead).await?;
    let text = "select app.lead_is_open(t.id) from app.leads t where t.id = $1";
    refuse_decided(cx, text, lead).await
}

/// Quotes are neither changed nor sent nor accepted once the request is closed, settled or over.
pub async fn asked(cx: &mut Cx, quote: Uuid) -> Result<()> {
    let text = "select app.lead_is_open(t.lead_id) from app.quotes t where t.id = $1";
    refuse_decided(cx, text, quote).await
}

pub async fn quote(cx: &mut Cx, quote: Uuid) -> Result<()> {
    let text = "select app.host_has_ended($2, t.lead_id) from app.quotes t where t.id = $1";
    refuse(cx, text, "quotes", quote).await
}

/// A quote is sent in a currency in which the platform charges its fee, if it charges any there.
pub async fn quote_currency(cx: &mut Cx, quote: Uuid) -> Result<()> {
    let text =
        "select t.currency, app.currencies_of_fee(t.lead_id) from app.quotes t where t.id = $1";
    let found: Option<(String, Vec<String>)> = sqlx::query_as(text)
        .bind(quote)
        .fetch_optional(cx.conn())
        .await?;
    match found {
        Some((currency, charged)) if !charged.is_empty() && !charged.contains(&currency) => {
            Err(Error::new(&problems::STATE).detail(format!(
                "Quotes here are in {}, not in {currency}: change `currency` and `amount_cents`, and send it then.",
                charged.join(" or ")
            )))
        }
        _ => Ok(()),
    }
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

/// A member is taken in by a community.
pub async fn membership(cx: &mut Cx, id: Uuid) -> Result<()> {
    let text =
        "select app.is_withheld(t.community_id) from app.community_members t where t.id = $1";
    refuse_withheld(cx, text, id).await
}

/// A role is accepted.
pub async fn role(cx: &mut Cx, id: Uuid) -> Result<()> {
    let text = "select app.is_withheld(t.scope_id) from app.role_assignments t where t.id = $1";
    refuse_withheld(cx, text, id).await
}

async fn refuse_decided(cx: &mut Cx, text: &'static str, of: Uuid) -> Result<()> {
    let found = sqlx::query_scalar(text).bind(of);
    let is_open: Option<bool> = found.fetch_optional(cx.conn()).await?.flatten();
    match is_open {
        Some(false) => Err(Error::new(&problems::STATE).detail(
            "The request for the service is closed, settled or over, or the business has declined it: quotes for it are not made, \
             changed, sent or accepted any more. Its organiser can reopen it (`POST /service-requests/{id}/reopen`).",
        )),
        _ => Ok(()),
    }
}

async fn refuse(cx: &mut Cx, text: &'static str, table: &str, of: Uuid) -> Result<()> {
    let found = sqlx::query_scalar(text).bind(of).bind(table);
    let has_ended: Option<bool> = found.fetch_optional(cx.conn()).await?.flatten();
    match has_ended {
        Some(true) => Err(Error::new(&problems::STATE).detail(
            "The host or business is suspended or was rejected. Nothing new can begin for it until that has changed.",
        )),
        _ => Ok(()),
    }
}

async fn refuse_withheld(cx: &mut Cx, text: &'static str, id: Uuid) -> Result<()> {
    let found = sqlx::query_scalar(text).bind(id);
    let is_withheld: Option<bool> = found.fetch_optional(cx.conn()).await?.flatten();
    match is_withheld {
        Some(true) => Err(Error::new(&problems::STATE).detail(
            "What this is about is suspended. Nobody can join it or accept a role of it until the suspension ends.",
        )),
        _ => Ok(()),
    }
}
