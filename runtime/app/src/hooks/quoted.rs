//! Before a lead or a request for a service is changed or decided while there are quotes for it. Triggers refuse the same
//! (`spec/sql/marketplace.quoted.sql`).
//!
//! Runs under the caller's rules. Of a row that the caller may not see nothing is told here: the statement of the
//! request itself decides on the answer.

use chrono::{DateTime, Utc};
use generated::{lead::UpdateLead, service_request::UpdateServiceRequest};
use kernel::{
    Cx, Error, Result,
    input::{Choice, Patch},
    problems,
};
use uuid::Uuid;

const CHANGED: &str = "A quote was sent for this: what it is about stays as it is. Decline the quote first, or make another \
     request.";

/// What both say of the service. None and absent: not to be changed.
struct Asked<'a> {
    title: Option<&'a String>,
    text: Option<&'a String>,
    category: Option<&'static str>,
    budget_cents: &'a Patch<i64>,
    currency: &'a Patch<String>,
    needed_at: &'a Patch<DateTime<Utc>>,
}

pub async fn lead(cx: &mut Cx, id: Uuid, change: &UpdateLead) -> Result<()> {
    let asked = Asked {
        title: change.title.value(),
        text: change.details.value(),
        category: None,
        budget_cents: &change.budget_cents,
        currency: &change.currency,
        needed_at: &change.needed_at,
    };
    let text = "select app.is_quoted(t.id, null)
           and ($2::text <> t.title or $3::text <> t.details or $4::text <> '' or $5 and $6::int8 is distinct from t.budget_cents
             or $7 and $8::text is distinct from t.currency or $9 and $10::timestamptz is distinct from t.needed_at)
         from app.leads t where t.id = $1";
    asked.refuse_change(cx, text, id).await
}

pub async fn request(cx: &mut Cx, id: Uuid, change: &UpdateServiceRequest) -> Result<()> {
    let asked = Asked {
        title: change.title.value(),
        text: change.description.value(),
        category: change.category.value().map(|category| category.as_str()),
        budget_cents: &change.budget_cents,
        currency: &change.currency,
        needed_at: &change.needed_at,
    };
    let text = "select app.is_quoted(null, t.id)
           and ($2::text <> t.title or $3::text <> t.description or $4::text <> t.category
             or $5 and $6::int8 is distinct from t.budget_cents or $7 and $8::text is distinct from t.currency
             or $9 and $10::timestamptz is distinct from t.needed_at)
         from app.service_requests t where t.id = $1";
    asked.refuse_change(cx, text, id).await
}

impl Asked<'_> {
    /// Values that are sent as they are change nothing.
    async fn refuse_change(&self, cx: &mut Cx, text: &'static str, id: Uuid) -> Result<()> {
        let found = sqlx::query_scalar(text)
            .bind(id)
            .bind(self.title)
            .bind(self.text)
            .bind(self.category)
            .bind(!self.budget_cents.is_absent())
            .bind(self.budget_cents.value())
            .bind(!self.currency.is_absent())
            .bind(self.currency.value())
            .bind(!self.needed_at.is_absent())
            .bind(self.needed_at.value());
        let is_refused: Option<Option<bool>> = found.fetch_optional(cx.conn()).await?;
        match is_refused.flatten() {
            Some(true) => Err(Error::new(&problems::STATE).detail(CHANGED)),
            _ => Ok(()),
        }
    }
}

/// A lead is won by accepting its quote, which fixes the platform's fee. By hand it is won only if the business has made
/// its offer elsewhere.
pub async fn winning(cx: &mut Cx, id: Uuid) -> Result<()> {
    let text = "select app.was_quoted(t.id) from app.leads t where t.id = $1";
    let detail = "The business has sent a quote. Accept it (`POST /quotes/{id}/accept`), which wins the lead.";
    refuse(cx, text, id, detail).await
}

pub async fn settling(cx: &mut Cx, id: Uuid) -> Result<()> {
    let text = "select app.is_quoted(null, t.id) from app.service_requests t where t.id = $1";
    let detail = "There is a quote for it. Accept it (`POST /quotes/{id}/accept`), which settles the request, or decline it \
         first.";
    refuse(cx, text, id, detail).await
}

async fn refuse(cx: &mut Cx, text: &'static str, id: Uuid, detail: &'static str) -> Result<()> {
    let found = sqlx::query_scalar(text).bind(id);
    let is_quoted: Option<bool> = found.fetch_optional(cx.conn()).await?;
    match is_quoted {
        Some(true) => Err(Error::new(&problems::STATE).detail(detail)),
        _ => Ok(()),
    }
}
