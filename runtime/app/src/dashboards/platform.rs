//! `GET /platform/dashboard`: the start page of platform administrators.
//!
//! Tables grow without bound, so sums are limited to a period of at most a year and use an index on the time;
//! everything else is limited to what is open or in force.

mod sums;
mod watch;

use super::{
    Dashboards,
    period::{Days, Period, Takes},
    shared::ShownPeriod,
};
use crate::{
    clock,
    module::{Module, administrator, uncached},
};
use axum::{Router, extract::State, http::Uri, response::Response, routing::get};
use chrono::NaiveDate;
use kernel::{Cx, Member, Result, openapi::Objects};
use serde::Serialize;
use sums::{Activity, Charge, RevenueSums};
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;
use watch::Watch;

const PERIOD: Days = Days {
    most: 366,
    usual: 30,
    ahead: false,
};
const TAKES: Takes = Takes {
    parameters: &["bucket", "from", "to", "country_id", "city_id"],
    buckets: &[("day", PERIOD), ("month", PERIOD)],
};

/// Key figures of the platform.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "platform_dashboard")]
struct PlatformDashboard {
    period: ShownPeriod,
    activity: Activity,
    revenue: RevenueSums,
    /// Card payments by type and currency.
    charges: Vec<Charge>,
    #[serde(flatten)]
    watch: Watch,
}

/// The period and the region of the figures.
#[derive(Clone, Copy)]
struct Scope {
    from: NaiveDate,
    to: NaiveDate,
    bucket: &'static str,
    country: Option<Uuid>,
    city: Option<Uuid>,
}

pub fn router() -> Router<Dashboards> {
    Router::new().route("/platform/dashboard", get(dashboard))
}

static OBJECTS: Objects = Objects(&[("PlatformDashboard", "platform_dashboard")]);

#[derive(OpenApi)]
#[openapi(paths(dashboard), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get the platform's dashboard
///
/// For platform administrators. Days are in UTC. Members count for their home city, and ticket sales for the event's.
#[utoipa::path(get, path = "/platform/dashboard", operation_id = "getPlatformDashboard", tag = "Oversight", security(("bearer" = [])),
    params(("bucket" = Option<String>, Query, description = "`day` (default) or `month`"),
        ("from" = Option<NaiveDate>, Query, description = "First day (default: 30 days up to the last)"),
        ("to" = Option<NaiveDate>, Query, description = "Last day; at most 366 days"),
        ("country_id" = Option<Uuid>, Query, description = "Limits activity, revenue and charges to this country"),
        ("city_id" = Option<Uuid>, Query, description = "Limits activity, revenue and charges to this city")),
    responses(
        (status = 200, description = "The dashboard", body = PlatformDashboard),
        (status = 403, description = "The caller is not a platform administrator"),
        (status = 422, description = "The period is invalid")))]
async fn dashboard(
    State(dashboards): State<Dashboards>,
    caller: Member,
    uri: Uri,
) -> Result<Response> {
    administrator(&caller)?;
    let asked = Period::read(&uri, &TAKES)?;
    let look = dashboards
        .db
        .snapshot(Dashboards::NAME, &caller, move |cx| {
            Box::pin(async move {
                let today = clock::of_database(cx).await?.date_naive();
                let between = asked.between(today)?;
                let scope = Scope {
                    from: between.from,
                    to: between.to,
                    bucket: asked.bucket(),
                    country: asked.country(),
                    city: asked.city(),
                };
                figures(cx, scope).await
            })
        });
    look.await.map(uncached)
}

async fn figures(cx: &mut Cx, scope: Scope) -> Result<PlatformDashboard> {
    Ok(PlatformDashboard {
        period: ShownPeriod {
            from: scope.from,
            to: scope.to,
            timezone: "UTC".to_owned(),
        },
        activity: sums::activity(cx, scope).await?,
        revenue: sums::revenue(cx, scope).await?,
        charges: sums::charges(cx, scope).await?,
        watch: watch::look(cx, scope).await?,
    })
}
