//! What a commission rule that a city proposes would mean for an order, compared with the current rule. Both prices
//! are computed by the function that prices orders.

use super::{Tickets, commission};
use crate::module::{Module, id};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::post,
};
use chrono::{DateTime, Utc};
use generated::commission_proposal::COMMISSION_PROPOSAL;
use kernel::{Cx, Error, Member, Result, http::Sent, openapi::Objects, problems};
use macros::Input;
use money::{
    Chain, Charge, Currency, Line, Money, PaidBy, Purchase, Rule, Scope,
    rule::{Unresolved, resolve},
};
use serde::Serialize;
use sqlx::Row;
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

/// A sample order for a proposal.
#[derive(Input, Clone, Debug)]
#[input(body, example = r#"{"price_cents": 4500, "quantity": 2}"#)]
pub struct TriedOrder {
    /// Price of one ticket.
    #[input(range(0, 999_999_999_999))]
    pub price_cents: i64,
    #[input(range(1, 100))]
    pub quantity: i32,
}

/// The same order by the current and by the proposed commission rule.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "tried_proposal")]
#[schema(example = json!({"object": "tried_proposal", "commission_proposal_id": "0199e009-9c38-7e6f-b0a1-3b2b3f1c9a10",
    "currency": "AUD", "at": "2040-06-01T00:00:00Z",
    "now": {"amount_cents": 9000, "fee_cents": 510, "fee_paid_by": "organizer", "organizer_cents": 8490, "platform_cents": 408,
        "city_share_cents": 102},
    "proposed": {"amount_cents": 9000, "fee_cents": 465, "fee_paid_by": "organizer", "organizer_cents": 8535,
        "platform_cents": 349, "city_share_cents": 116}}))]
pub struct TriedProposal {
    pub commission_proposal_id: Uuid,
    pub currency: String,
    /// When the proposal would begin, for which both are calculated.
    pub at: DateTime<Utc>,
    /// By the existing rule of the city, its country or the platform at that time. Null if there is none: paid tickets
    /// could not be sold.
    pub now: Option<TriedShares>,
    pub proposed: TriedShares,
}

/// Shares of an order. Rules of an event or its host take precedence over those of the city.
#[derive(Serialize, ToSchema)]
pub struct TriedShares {
    /// Total that the buyer pays.
    pub amount_cents: i64,
    /// Commission, the city's share included.
    pub fee_cents: i64,
    /// `buyer`: on top of the price; `organizer`: out of the price.
    pub fee_paid_by: String,
    pub organizer_cents: i64,
    pub platform_cents: i64,
    pub city_share_cents: i64,
}

pub fn router(tickets: Tickets) -> Router {
    Router::new()
        .route("/commission-proposals/{id}/price", post(price))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[("TriedProposal", "tried_proposal")]);

#[derive(OpenApi)]
#[openapi(paths(price), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Price an order by a proposed rule
///
/// What an order would cost, and how it would be shared, by the proposed and by the current rule. Nothing is changed.
/// For administrators of the city and the platform; only for proposals for tickets.
#[utoipa::path(post, path = "/commission-proposals/{id}/price", operation_id = "priceCommissionProposal",
    tag = "Commission proposals", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the proposal")),
    request_body = TriedOrder,
    responses(
        (status = 200, description = "The order priced by both rules", body = TriedProposal),
        (status = 404, description = "There is no such proposal, or the caller may not see it"),
        (status = 409, description = "The proposal is not for tickets"),
        (status = 422, description = "A value is wrong, or a card can't be charged this amount")))]
async fn price(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
    Sent(order): Sent<TriedOrder>,
) -> Result<Json<TriedProposal>> {
    let (proposal, order) = (id(&path)?, &order);
    let run = tickets
        .db
        .run(Tickets::NAME, Some(&caller), caller.request_id, move |cx| {
            Box::pin(async move {
                cx.require(&COMMISSION_PROPOSAL, "read", proposal).await?;
                tried(cx, proposal, order).await
            })
        });
    run.await.map(Json)
}

async fn tried(cx: &mut Cx, proposal: Uuid, order: &TriedOrder) -> Result<TriedProposal> {
    let row = sqlx::query(
        "select p.type, p.basis_points, p.fixed_cents, p.min_cents, p.max_cents, p.currency, p.paid_by, p.city_share_basis_points,
           greatest(p.valid_from, now()) as at, p.city_id, c.country_id
         from app.commission_proposals p join app.cities c on c.id = p.city_id where p.id = $1",
    )
    .bind(proposal)
    .fetch_one(cx.conn())
    .await?;
    if row.try_get::<&str, _>("type")? != "ticket" {
        return Err(Error::new(&problems::STATE)
            .detail("Only a proposal for tickets says what an order would cost."));
    }
    let currency = Currency::parse(row.try_get("currency")?);
    let currency =
        currency.map_err(|error| Error::new(&problems::STATE).detail(error.to_string()))?;
    let at: DateTime<Utc> = row.try_get("at")?;
    let city: Uuid = row.try_get("city_id")?;
    let chain = Chain {
        event: None,
        host: None,
        city: Some(city),
        country: Some(row.try_get("country_id")?),
    };
    let proposed = Rule {
        id: proposal,
        scope: Scope::City(city),
        charge: Charge::Ticket,
        terms: commission::terms(&row, currency)?,
        valid_from: at,
        valid_to: None,
    };
    let rules = commission::rules(cx, &chain, Charge::Ticket, currency, at).await?;
    let now = match resolve(&rules, &chain, Charge::Ticket, currency, at) {
        Ok(rule) => Some(shares(rule, city, order)?),
        Err(Unresolved::NoRule(_)) => None,
        Err(error) => return Err(Error::internal(error)),
    };
    Ok(TriedProposal {
        commission_proposal_id: proposal,
        currency: currency.code().to_owned(),
        at,
        now,
        proposed: shares(&proposed, city, order)?,
    })
}

/// Divides the order by a rule, with the function that prices orders.
fn shares(rule: &Rule, city: Uuid, order: &TriedOrder) -> Result<TriedShares> {
    let currency = rule.terms.currency;
    let line = Line {
        ticket_type: Uuid::nil(),
        quantity: order.quantity.unsigned_abs(),
        unit_price: Money::new(order.price_cents, currency),
    };
    let quote = money::price(&Purchase {
        currency,
        lines: &[line],
        promo: None,
        rule: Ok(Some(rule)),
        city: Some(city),
        credits: Money::zero(currency),
    });
    let quote = quote.map_err(|error| {
        let detail = format!("can't be charged: {error}");
        Error::field("/price_cents", "range", detail)
    })?;
    Ok(TriedShares {
        amount_cents: quote.total.amount(),
        fee_cents: quote.fee.amount(),
        fee_paid_by: match quote.fee_paid_by {
            PaidBy::Buyer => "buyer",
            PaidBy::Organizer => "organizer",
        }
        .to_owned(),
        organizer_cents: quote.parts.organizer.amount(),
        platform_cents: quote.parts.platform.amount(),
        city_share_cents: quote.parts.city_share.amount(),
    })
}
