//! The wallet: an internal double-entry ledger of credits.
//!
//! Members get credits as bonuses and rewards, out of a budget that the platform fills, or as refunds. They spend them
//! on tickets; credits can also be taken back or expire. Credits are never paid out, and can't be sent to other
//! members. All entries are made by the functions of `spec/sql/wallet.sql`, which [`ledger`] calls. This module lets
//! administrators grant credits, shows members their balances, books expired credits and checks the accounts.

mod bodies;
pub mod ledger;
mod maintenance;
mod referrals;
mod routes;
mod settings;

use crate::{
    access::{Access, Table},
    module::{Module, Parts},
};
use axum::Router;
use kernel::{
    Db,
    http::ConfigError,
    idempotency::Keyed,
    jobs::{Consumer, Event, Job, Periodic},
};
use referrals::DelayedReward;
use settings::Settings;
use std::time::Duration;
use utoipa::openapi::OpenApi;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Wallet {
    db: Db,
    keyed: Keyed,
    settings: Settings,
}

impl Module for Wallet {
    const NAME: &'static str = "wallet";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            keyed: parts.keyed.clone(),
            settings,
        })
    }

    fn routes(&self, _: &Router) -> Router {
        routes::router(self.clone())
    }

    fn access() -> Table {
        &[
            ("getMyWallet", Access::Member),
            ("reverseJournal", Access::PlatformAdmin),
            ("fundBudget", Access::PlatformAdmin),
            ("giveCredits", Access::PlatformAdmin),
        ]
    }

    fn document() -> OpenApi {
        routes::document()
    }

    fn jobs(&self) -> Vec<Job> {
        vec![
            Job::of(self, "wallet.lapse", |wallet, _| async move {
                Ok(wallet.lapse().await.map(drop)?)
            }),
            Job::of(self, "wallet.reconcile", |wallet, _| async move {
                // Both are tried before either error is returned.
                let wallets = wallet.reconcile().await;
                let others = wallet.audit().await;
                wallets?;
                others?;
                Ok(())
            }),
            Job::of(self, "wallet.reward_referral", |wallet, run| async move {
                let event: Event = run.payload()?;
                let done = wallet.reward_referral(event.entity_id, run.request_id);
                Ok(done.await.map(drop)?)
            }),
            Job::of(self, "wallet.reward_later", |wallet, run| async move {
                let DelayedReward { order } = run.payload()?;
                let done = wallet.reward_referral(order, run.request_id);
                Ok(done.await.map(drop)?)
            }),
            Job::of(self, "wallet.revoke_reward", |wallet, run| async move {
                let event: Event = run.payload()?;
                let done = wallet.revoke_reward(event.entity_id, run.request_id);
                Ok(done.await.map(drop)?)
            }),
            Job::of(self, "wallet.lose_reward", |wallet, run| async move {
                let event: Event = run.payload()?;
                let done = wallet.lose_reward(event.entity_id, run.request_id);
                Ok(done.await.map(drop)?)
            }),
        ]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![
            Periodic::every("wallet.lapse", Duration::from_mins(1)),
            Periodic::every("wallet.reconcile", Duration::from_hours(1)),
        ]
    }

    fn consumers(&self) -> Vec<Consumer> {
        [
            ("tickets.paid", "wallet.reward_referral"),
            ("tickets.refund_owed", "wallet.revoke_reward"),
            ("tickets.charged_back", "wallet.lose_reward"),
        ]
        .map(|(event, job)| Consumer { event, job })
        .into()
    }
}
