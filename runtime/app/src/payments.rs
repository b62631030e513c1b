//! Payments: money that is received and sent through the payment provider.
//!
//! Each command is stored with its idempotency key before the provider is called, and the answer is applied
//! afterwards; no transaction is open in between. Events of the provider only say which object to read. Knows the
//! provider by the trait [`gateway::Gateway`]; what a payment buys belongs to the modules of tickets and promotions.
//!
//! `pay` charges an order, a featured place or a fee, whose command `command` has stored before; `sync` applies what
//! the provider says of a payment; `refunds` and `transfers` carry out refunds and transfers to hosts (`left` computes
//! how much of an order a host still has, `top_up` sends the part that credits have paid); `subscriptions` are plans
//! of businesses; `cards`, `connect` and `disputes` store what the provider says of these (`paid_twice` takes back
//! credits for money that a bank gives as well); `inbox` receives the provider's events, and `reconcile` finds what no
//! event has reported, oldest first (`looks`). `shares` adds up what cities earn (`plan_shares` is their part of
//! plans), `cities` sends it to them. `stopped` tells hosts whose tickets nobody can order any more. `by_card` refuses prices that no card can be charged.

mod active;
mod bodies;
pub mod by_card;
mod call;
mod cards;
mod cities;
mod command;
mod connect;
mod disputes;
mod fee_routes;
mod fees;
mod inbox;
mod left;
mod looks;
mod paid_twice;
mod pay;
mod plan_shares;
mod publishing;
mod reconcile;
mod refunds;
mod routes;
mod settings;
mod shares;
mod stopped;
mod subscription_routes;
mod subscriptions;
mod sync;
mod top_up;
mod transfers;

use crate::{
    access::{Access, Table},
    clock::Clock,
    module::{Module, Parts, Provider, secret_list},
    offers::{self, offer},
    tickets::Tickets,
};
use axum::Router;
use futures_util::future::BoxFuture;
use kernel::{
    Db,
    config::BodyLimit,
    http::ConfigError,
    idempotency::Keyed,
    jobs::{CatchUp, Consumer, Job, Outcome, Periodic, Run, Schedule},
};
use settings::Settings;
use std::{sync::Arc, time::Duration};
use utoipa::openapi::OpenApi;

pub use connect::{ACCOUNT_LOST, Ready, ready};
pub(crate) use publishing::unpayable;
pub use stopped::SALES_STOPPED;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Payments {
    db: Db,
    keyed: Keyed,
    clock: Clock,
    provider: Option<Provider>,
    tickets: Tickets,
    settings: Settings,
}

impl Module for Payments {
    const NAME: &'static str = "payments";
    type Settings = Settings;

    fn new(parts: &Parts, mut settings: Settings) -> Result<Self, ConfigError> {
        for (setting, list) in [
            (
                "STRIPE_WEBHOOK_SECRETS",
                &mut settings.stripe_webhook_secrets,
            ),
            (
                "STRIPE_CONNECT_WEBHOOK_SECRETS",
                &mut settings.stripe_connect_webhook_secrets,
            ),
        ] {
            *list = secret_list(setting, list, 1)?;
            if list.is_empty() && parts.provider.is_some() {
                return Err(ConfigError {
                    setting,
                    reason: "without one nobody tells of payments".to_owned(),
                });
            }
        }
        for (setting, page) in [
            ("PAYMENT_PAGE_URL", &settings.payment_page_url),
            ("CARD_PAGE_URL", &settings.card_page_url),
        ] {
            let Some(page) = page else { continue };
            settings::page(page, parts.production).map_err(|reason| ConfigError {
                setting,
                reason: reason.to_owned(),
            })?;
        }
        let tickets = parts.tickets.get().ok_or_else(|| ConfigError {
            setting: "the list of modules",
            reason: "tickets come before payments".to_owned(),
        })?;
        Ok(Self {
            db: parts.db.clone(),
            keyed: parts.keyed.clone(),
            clock: parts.clock.clone(),
            provider: parts.provider.clone(),
            tickets: tickets.clone(),
            settings,
        })
    }

    fn routes(&self, _: &Router) -> Router {
        routes::router(self.clone())
            .merge(fee_routes::router(self.clone()))
            .merge(subscription_routes::router(self.clone()))
    }

    fn body_limits(&self) -> Vec<BodyLimit> {
        routes::body_limits()
    }

    fn access() -> Table {
        &[
            ("takeStripeEvent", Access::Signed),
            ("takeStripeConnectEvent", Access::Signed),
            ("onboardBusiness", Access::HostAdmin),
            ("onboardOrganization", Access::HostAdmin),
            ("onboardCity", Access::CityAdmin),
            ("subscribeBusiness", Access::HostAdmin),
            ("cancelSubscription", Access::Concerned),
            ("keepSubscription", Access::HostAdmin),
            ("changeSubscriptionPlan", Access::HostAdmin),
            ("changeSubscriptionCard", Access::HostAdmin),
            ("payOrder", Access::Concerned),
            ("payPromotion", Access::HostAdmin),
            ("payQuoteFee", Access::HostAdmin),
            ("refundQuoteFee", Access::PlatformAdmin),
            ("savePaymentMethod", Access::Member),
            ("removePaymentMethod", Access::Concerned),
            ("preferPaymentMethod", Access::Concerned),
            ("retryStripeEvent", Access::PlatformAdmin),
            ("dismissStripeEvent", Access::PlatformAdmin),
            ("retryTransfer", Access::PlatformAdmin),
        ]
    }

    fn offers() -> offers::Table {
        const {
            &[
                offer("onboardBusiness", "business", "onboard"),
                offer("onboardOrganization", "organization", "onboard"),
                offer("onboardCity", "city", "onboard"),
                offer("subscribeBusiness", "business", "subscribe"),
                offer("cancelSubscription", "subscription", "cancel"),
                offer("keepSubscription", "subscription", "keep"),
                offer("changeSubscriptionPlan", "subscription", "change_plan"),
                offer("changeSubscriptionCard", "subscription", "change_card"),
                offer("payOrder", "order", "pay"),
                offer("payPromotion", "promotion", "pay"),
                offer("payQuoteFee", "quote", "pay_fee"),
                offer("removePaymentMethod", "payment_method", "remove"),
                offer("preferPaymentMethod", "payment_method", "prefer"),
                offer("retryStripeEvent", "stripe_event", "retry"),
                offer("dismissStripeEvent", "stripe_event", "dismiss"),
                offer("retryTransfer", "transfer", "retry"),
            ]
        }
    }

    fn document() -> OpenApi {
        let mut document = routes::document();
        document.merge(fee_routes::document());
        document.merge(subscription_routes::document());
        document
    }

    fn jobs(&self) -> Vec<Job> {
        // A call may take as long as its retries, and these jobs make several calls.
        let long = Duration::from_secs(240);
        macro_rules! jobs {
            ($($name:literal: $method:ident,)+) => {
                vec![$({
                    let payments = self.clone();
                    let work = move |run: Arc<Run>| -> BoxFuture<'static, Outcome> {
                        let payments = payments.clone();
                        Box::pin(async move { payments.$method(run).await })
                    };
                    Job::new($name, work).timeout(long)
                },)+]
            };
        }
        jobs! {
            "payments.resume": resume,
            "payments.resume_subscription": resume_subscription,
            "payments.close_invoices": close_invoices,
            "payments.event": event,
            "payments.refund": refund,
            "payments.refund_again": refund_again,
            "payments.top_up": top_up,
            "payments.transfer": transfer,
            "payments.cancel": cancel,
            "payments.reconcile": reconcile,
            "payments.accrue": accrue,
            "payments.pay_cities": pay_cities,
            "payments.purge": purge,
            "payments.watch_sales": watch_sales,
        }
    }

    fn periodic(&self) -> Vec<Periodic> {
        let every = |job, seconds| Periodic {
            job,
            schedule: Schedule::Every(Duration::from_secs(seconds)),
            catch_up: CatchUp::Last,
        };
        vec![
            every("payments.cancel", 15),
            every("payments.reconcile", 600),
            every("payments.accrue", 3600),
            every("payments.pay_cities", 3600),
            every("payments.purge", 3600),
            every("payments.watch_sales", 3600),
        ]
    }

    fn consumers(&self) -> Vec<Consumer> {
        let consumer = |event, job| Consumer { event, job };
        vec![
            consumer("tickets.paid", "payments.top_up"),
            consumer("tickets.refund_owed", "payments.refund"),
            consumer("promotions.refund_owed", "payments.refund"),
            consumer("payments.refund_owed", "payments.refund"),
        ]
    }
}
