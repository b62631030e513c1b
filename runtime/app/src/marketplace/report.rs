//! Monthly figures of a business, for those who run it: requests that it was told of, quotes that it sent and won, new
//! followers and reviews. They must be included in its plan (`plan.has_reports`).
//!
//! Computed from the tables for each request, so they always agree with them.

use super::Marketplace;
use crate::{
    module::{Module, id, uncached},
    problems,
};
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use chrono::NaiveDate;
use generated::business::BUSINESS;
use kernel::{Cx, Error, Member, Result, openapi::Objects};
use serde::Serialize;
use sqlx::Row;
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

/// The number of months: the current one and the eleven before it.
const MONTHS: i32 = 12;

/// Monthly figures of a business.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "business_report")]
struct BusinessReport {
    business_id: Uuid,
    /// The last twelve months, the current one last.
    months: Vec<BusinessMonth>,
    /// Accepted quotes for requests of these months, by currency.
    won: Vec<WonAmount>,
}

/// One month (UTC).
#[derive(Serialize, ToSchema)]
struct BusinessMonth {
    /// First day of the month.
    month: NaiveDate,
    /// Service requests sent to the business.
    leads: i64,
    /// Of these, requests that the business sent a quote for.
    answered: i64,
    /// Of these, requests that the business won.
    won: i64,
    /// New followers.
    followers: i64,
    /// New reviews.
    reviews: i64,
    /// Mean rating of these reviews; null without reviews.
    average_rating: Option<f64>,
}

/// Accepted quotes in one currency.
#[derive(Serialize, ToSchema)]
struct WonAmount {
    currency: String,
    quotes: i64,
    /// Total in minor units (cents).
    amount_cents: i64,
}

pub fn router(marketplace: Marketplace) -> Router {
    Router::new()
        .route("/businesses/{id}/report", get(report))
        .with_state(marketplace)
}

static OBJECTS: Objects = Objects(&[("BusinessReport", "business_report")]);

#[derive(OpenApi)]
#[openapi(paths(report), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get the monthly figures of a business
///
/// For administrators of the business while its plan includes reports, and for platform administrators.
#[utoipa::path(get, path = "/businesses/{id}/report", operation_id = "getBusinessReport", tag = "Businesses", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the business")),
    responses(
        (status = 200, description = "The figures", body = BusinessReport),
        (status = 403, description = "The caller does not administer the business, or its plan has no reports"),
        (status = 404, description = "There is no such business, or the caller may not see it")))]
async fn report(
    State(marketplace): State<Marketplace>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let business = id(&path)?;
    let is_platform = caller.holds("platformAdmin");
    let run = marketplace.db.run(
        Marketplace::NAME,
        Some(&caller),
        caller.request_id,
        move |cx| {
            Box::pin(async move {
                cx.require(&BUSINESS, "read", business).await?;
                if !is_platform {
                    if !cx.holds(&BUSINESS, "admin", business).await? {
                        return Err(Error::forbidden());
                    }
                    included(cx, business).await?;
                }
                Ok(BusinessReport {
                    business_id: business,
                    months: months(cx, business).await?,
                    won: won(cx, business).await?,
                })
            })
        },
    );
    run.await.map(uncached)
}

async fn included(cx: &mut Cx, business: Uuid) -> Result<()> {
    let has_reports: bool = sqlx::query_scalar(
        "select exists (
           select from app.subscriptions s join app.plans p on p.id = s.plan_id
           where s.business_id = $1 and s.state <> 'canceled' and s.entitled_until > now() and p.has_reports)",
    )
    .bind(business)
    .fetch_one(cx.conn())
    .await?;
    match has_reports {
        true => Ok(()),
        false => Err(Error::new(&problems::PLAN_REQUIRED)),
    }
}

async fn months(cx: &mut Cx, business: Uuid) -> Result<Vec<BusinessMonth>> {
    let rows = sqlx::query(
        "with months as (
           select m::date as month, m at time zone 'UTC' as begins, (m + interval '1 month') at time zone 'UTC' as ends
           from generate_series(date_trunc('month', now() at time zone 'UTC') - make_interval(months => $2 - 1),
             date_trunc('month', now() at time zone 'UTC'), interval '1 month') m
         )
         select m.month, l.*, f.followers, r.reviews, r.average_rating
         from months m
         cross join lateral (
           select count(*) as leads,
             count(*) filter (where exists (
               select from app.quotes q where q.lead_id = l.id and q.state <> 'draft' and q.status <> 'archived')) as answered,
             count(*) filter (where l.state = 'won') as won
           from app.leads l
           where l.business_id = $1 and l.status <> 'archived' and l.created_at >= m.begins and l.created_at < m.ends
         ) l
         cross join lateral (
           select count(*) as followers from app.follows f
           where f.entity_type = 'business' and f.entity_id = $1 and f.status = 'active' and f.created_at >= m.begins and f.created_at < m.ends
         ) f
         cross join lateral (
           select count(*) as reviews, avg(v.rating)::float8 as average_rating from app.reviews v
           where v.entity_type = 'business' and v.entity_id = $1 and v.status = 'active' and v.created_at >= m.begins and v.created_at < m.ends
         ) r
         order by m.month",
    )
    .bind(business)
    .bind(MONTHS)
    .fetch_all(cx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(BusinessMonth {
                month: row.try_get("month")?,
                leads: row.try_get("leads")?,
                answered: row.try_get("answered")?,
                won: row.try_get("won")?,
                followers: row.try_get("followers")?,
                reviews: row.try_get("reviews")?,
                average_rating: row.try_get("average_rating")?,
            })
        })
        .collect()
}

async fn won(cx: &mut Cx, business: Uuid) -> Result<Vec<WonAmount>> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select q.currency, count(*), sum(q.amount_cents)::int8
         from app.quotes q join app.leads l on l.id = q.lead_id
         where l.business_id = $1 and q.state = 'accepted' and q.status <> 'archived' and l.status <> 'archived'
           and l.created_at >= (date_trunc('month', now() at time zone 'UTC') - make_interval(months => $2 - 1)) at time zone 'UTC'
         group by 1 order by 1",
    )
    .bind(business)
    .bind(MONTHS)
    .fetch_all(cx.conn())
    .await?;
    let amount = |(currency, quotes, amount_cents)| WonAmount {
        currency,
        quotes,
        amount_cents,
    };
    Ok(rows.into_iter().map(amount).collect())
}
