//! Requests for services: businesses of the city that offer the service are told of a request, each by a lead of its
//! own.
//!
//! Leads, quotes and who may read them are defined in the spec; the consequences of an accepted quote are in the
//! database (`spec/sql/marketplace.sql`). This module creates the leads: when a request is created, changed or reopened,
//! when the business or the host that asks is approved or its suspension is lifted, and every day for businesses that
//! have changed their category, have a new plan, or may be told of more requests in a new month. Verified businesses
//! come first, then those with a plan; the plan says how many requests a business is told of per month.

mod fee;
mod report;
mod settings;

use crate::access::{Access, Table};
use crate::module::{Module, Parts, each};
use axum::Router;
use generated::lead::CreateLead;
use kernel::{
    Cx, Db, Error, Result,
    http::ConfigError,
    jobs::{Consumer, Event, Job, Periodic},
    problems,
};
use settings::Settings;
use std::time::Duration;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Marketplace {
    db: Db,
    settings: Settings,
}

impl Module for Marketplace {
    const NAME: &'static str = "marketplace";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            settings,
        })
    }

    fn routes(&self, _: &Router) -> Router {
        report::router(self.clone()).merge(fee::router(self.clone()))
    }

    fn access() -> Table {
        &[
            ("getBusinessReport", Access::HostAdminOrPlatform),
            ("getQuoteFee", Access::HostAdmin),
        ]
    }

    fn document() -> OpenApi {
        let mut document = report::document();
        document.merge(fee::document());
        document
    }

    fn jobs(&self) -> Vec<Job> {
        vec![
            Job::of(self, "marketplace.spread", |marketplace, run| async move {
                let event: Event = run.payload()?;
                Ok(marketplace.spread(event.entity_id).await.map(drop)?)
            }),
            Job::of(
                self,
                "marketplace.catch_up",
                |marketplace, run| async move {
                    let event: Event = run.payload()?;
                    Ok(marketplace.catch_up(event.entity_id).await.map(drop)?)
                },
            ),
            Job::of(
                self,
                "marketplace.host_shown",
                |marketplace, run| async move {
                    let event: Event = run.payload()?;
                    Ok(marketplace.host_shown(event.entity_id).await.map(drop)?)
                },
            ),
            Job::of(
                self,
                "marketplace.look_again",
                |marketplace, _| async move { Ok(marketplace.look_again().await.map(drop)?) },
            ),
            Job::of(self, "marketplace.charge", |marketplace, run| async move {
                let event: Event = run.payload()?;
                Ok(marketplace.charge(event.entity_id, run.request_id).await?)
            }),
        ]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![Periodic::every(
            "marketplace.look_again",
            Duration::from_hours(24),
        )]
    }

    fn consumers(&self) -> Vec<Consumer> {
        [
            ("service_request.create", "marketplace.spread"),
            ("service_request.update", "marketplace.spread"),
            ("service_request.reopen", "marketplace.spread"),
            ("business.approve", "marketplace.catch_up"),
            ("business.unsuspend", "marketplace.catch_up"),
            ("business.approve", "marketplace.host_shown"),
            ("business.unsuspend", "marketplace.host_shown"),
            ("organization.approve", "marketplace.host_shown"),
            ("organization.unsuspend", "marketplace.host_shown"),
            ("community.unsuspend", "marketplace.host_shown"),
            ("institution.unsuspend", "marketplace.host_shown"),
            ("quote.accept", "marketplace.charge"),
        ]
        .map(|(event, job)| Consumer { event, job })
        .into()
    }
}

impl Marketplace {
    /// Creates leads of a request for businesses that have none of it yet, unless its host is hidden or still waits for
    /// approval: otherwise strangers could use up the number of requests that a business is told of. Returns how many.
    pub async fn spread(&self, request: Uuid) -> Result<u64> {
        let most = i64::from(self.settings.marketplace_leads_max);
        let free = i64::from(self.settings.marketplace_free_leads);
        self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                alone_with(cx, request).await?;
                let made = sqlx::query(
                    "insert into app.leads (service_request_id, business_id, title, details, budget_cents, currency, needed_at)
                     select r.id, b.id, r.title, r.description, r.budget_cents, r.currency, r.needed_at
                     from app.service_requests r
                     join app.businesses b on b.city_id = r.city_id and b.category = r.category and b.state = 'approved'
                       and b.status = 'active' and b.id is distinct from r.host_business_id
                     left join lateral (
                       select true as is_there, p.leads_per_month::int8 as most from app.subscriptions s join app.plans p on p.id = s.plan_id
                       where s.business_id = b.id and s.state <> 'canceled' and s.entitled_until > now()
                     ) plan on true
                     where r.id = $1 and r.state = 'open' and r.status = 'active' and app.is_shown(r.host_id)
                       and (r.needed_at is null or r.needed_at > now())
                       and (plan.is_there and plan.most is null or coalesce(plan.most, $3) > (
                         -- A lead that was withdrawn and made again is of the same request.
                         select count(distinct l.service_request_id) from app.leads l
                         where l.business_id = b.id and l.created_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC'))
                       and not exists (select from app.leads l where l.service_request_id = r.id and l.business_id = b.id)
                     order by b.verified desc, plan.is_there is true desc, b.id
                     limit greatest($2 - (select count(*) from app.leads l where l.service_request_id = $1), 0)",
                )
                .bind(request)
                .bind(most)
                .bind(free)
                .execute(cx.conn())
                .await?;
                Ok(made.rows_affected())
            })
        })
        .await
    }

    /// Explains why a host can't send its request to a business by hand. The database refuses the same, except that it
    /// does not know how many are free for businesses without a plan. For rows that the caller may not see the function
    /// is not called, so nothing is revealed and no lock is taken.
    pub(crate) async fn refuse_lead(&self, cx: &mut Cx, input: &CreateLead) -> Result<()> {
        let found = sqlx::query_scalar(
            "select app.lead_obstacle(r.id, b.id, $3) from app.service_requests r cross join app.businesses b
             where r.id = $1 and b.id = $2",
        );
        let found = found
            .bind(input.service_request_id)
            .bind(input.business_id)
            .bind(i32::from(self.settings.marketplace_free_leads));
        let obstacle: Option<String> = found.fetch_optional(cx.conn()).await?.flatten();
        let detail = match obstacle.as_deref() {
            Some("host") => "Businesses are asked once the host has been approved.",
            Some(_) => "The business gets no more requests this month (UTC).",
            None => return Ok(()),
        };
        Err(Error::new(&problems::STATE).detail(detail))
    }

    /// Creates leads of the open requests for a business that was approved. Returns how many.
    pub async fn catch_up(&self, business: Uuid) -> Result<u64> {
        let requests = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let open: Vec<Uuid> = sqlx::query_scalar(
                    "select r.id from app.service_requests r
                     join app.businesses b on b.id = $1 and b.city_id = r.city_id and b.category = r.category
                     where r.state = 'open' and r.status = 'active' order by r.id desc limit 1000",
                )
                .bind(business)
                .fetch_all(cx.conn())
                .await?;
                Ok(open)
            })
        });
        each(requests.await?, |request| self.spread(request)).await
    }

    /// Creates leads of all open requests, the oldest first, for businesses that could not be told of them when they were
    /// created. Returns how many.
    pub async fn look_again(&self) -> Result<u64> {
        let (mut after, mut made) = (Uuid::nil(), 0);
        loop {
            let requests = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let open: Vec<Uuid> = sqlx::query_scalar(
                        "select id from app.service_requests
                         where state = 'open' and status = 'active' and (needed_at is null or needed_at > now()) and id > $1
                         order by id limit 1000",
                    )
                    .bind(after)
                    .fetch_all(cx.conn())
                    .await?;
                    Ok(open)
                })
            });
            let requests = requests.await?;
            let Some(last) = requests.last() else {
                return Ok(made);
            };
            after = *last;
            made += each(requests, |request| self.spread(request)).await?;
        }
    }

    /// Creates leads of the open requests of a host that everybody can see now. Returns how many.
    pub async fn host_shown(&self, host: Uuid) -> Result<u64> {
        let requests = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let open: Vec<Uuid> = sqlx::query_scalar(
                    "select id from app.service_requests where host_id = $1 and state = 'open' and status = 'active'
                     order by id desc limit 1000",
                )
                .bind(host)
                .fetch_all(cx.conn())
                .await?;
                Ok(open)
            })
        });
        each(requests.await?, |request| self.spread(request)).await
    }
}

/// Serialises the jobs of a city, so that two jobs for one request don't create the same lead twice, and two jobs for
/// one business don't exceed its monthly number.
async fn alone_with(cx: &mut Cx, request: Uuid) -> Result<()> {
    sqlx::query(
        "select pg_advisory_xact_lock(hashtextextended('marketplace:' || r.city_id::text, 0)) from app.service_requests r
         where r.id = $1",
    )
    .bind(request)
    .execute(cx.conn())
    .await?;
    Ok(())
}
