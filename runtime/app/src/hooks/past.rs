//! Times in bodies that make no sense in the past. `tests/src/http/past.rs` lists all times that do, and why.

use crate::clock::{InPast, refuse_past};
use chrono::{DateTime, Utc};
use generated::{
    commission_proposal::CreateCommissionProposal,
    lead::CreateLead,
    promo_code::CreatePromoCode,
    quote::{CreateQuote, UpdateQuote},
    service_request::{CreateServiceRequest, UpdateServiceRequest},
};
use kernel::{Cx, Result};
use uuid::Uuid;

const VALID_UNTIL: InPast = InPast {
    pointer: "/valid_until",
    detail: "is in the past; a quote can be accepted until then",
};
const CODE_VALID_TO: InPast = InPast {
    pointer: "/valid_to",
    detail: "is in the past; nobody could use the code",
};
const PROPOSAL_VALID_TO: InPast = InPast {
    pointer: "/valid_to",
    detail: "is in the past; the proposal could not be accepted",
};
const NEEDED_AT: InPast = InPast {
    pointer: "/needed_at",
    detail: "is in the past; say when the service is needed, or leave it out",
};

/// Only for new codes: a later change may set `valid_to` to any time, which ends the code.
pub async fn promo_code(cx: &mut Cx, input: &CreatePromoCode) -> Result<()> {
    refuse_past(cx, CODE_VALID_TO, input.valid_to, None).await
}

pub async fn proposal(cx: &mut Cx, input: &CreateCommissionProposal) -> Result<()> {
    refuse_past(cx, PROPOSAL_VALID_TO, input.valid_to, None).await
}

pub async fn lead(cx: &mut Cx, input: &CreateLead) -> Result<()> {
    refuse_past(cx, NEEDED_AT, input.needed_at, None).await
}

pub async fn request(cx: &mut Cx, input: &CreateServiceRequest) -> Result<()> {
    refuse_past(cx, NEEDED_AT, input.needed_at, None).await
}

pub async fn changed_request(cx: &mut Cx, id: Uuid, input: &UpdateServiceRequest) -> Result<()> {
    let before: Option<Option<DateTime<Utc>>> =
        sqlx::query_scalar("select t.needed_at from app.service_requests t where t.id = $1")
            .bind(id)
            .fetch_optional(cx.conn())
            .await?;
    let needed_at = input.needed_at.value().copied();
    refuse_past(cx, NEEDED_AT, needed_at, before.flatten()).await
}

pub async fn quote(cx: &mut Cx, input: &CreateQuote) -> Result<()> {
    refuse_past(cx, VALID_UNTIL, Some(input.valid_until), None).await
}

pub async fn changed_quote(cx: &mut Cx, id: Uuid, input: &UpdateQuote) -> Result<()> {
    let before = sqlx::query_scalar("select t.valid_until from app.quotes t where t.id = $1")
        .bind(id)
        .fetch_optional(cx.conn())
        .await?;
    let valid_until = input.valid_until.value().copied();
    refuse_past(cx, VALID_UNTIL, valid_until, before).await
}
