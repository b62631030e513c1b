//! Featured places of cities: their prices, when a booking is shown, and refunds.
//!
//! A booking is a `promotion`. Its rules, routes and the city's decision are in the spec; its price and the room that
//! is left are computed by the database (`spec/sql/promotions.sql`). This module tells prices, shows bookings that are
//! approved and paid for the time they were booked for, and records refunds. Payments and refunds are carried out by
//! the payments module.

mod bodies;
mod end;
mod keep;
mod price;
mod routes;

use crate::access::{Access, Table};
use crate::module::{Module, NoSettings, Parts};
use crate::offers::{self, offer};
use axum::Router;
use kernel::{
    Db,
    http::ConfigError,
    jobs::{CatchUp, Consumer, Event, Job, Periodic, Schedule},
};
use std::time::Duration;
use utoipa::openapi::OpenApi;

pub use end::{disputed, paid, won};
pub use price::refuse;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Promotions {
    db: Db,
}

impl Module for Promotions {
    const NAME: &'static str = "promotions";
    type Settings = NoSettings;

    fn new(parts: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
        })
    }

    fn routes(&self, _: &Router) -> Router {
        routes::router(self.clone())
    }

    fn access() -> Table {
        &[("pricePromotion", Access::HostAdmin)]
    }

    fn offers() -> offers::Table {
        const { &[offer("createPromotion", "event", "promote")] }
    }

    fn document() -> OpenApi {
        routes::document()
    }

    fn jobs(&self) -> Vec<Job> {
        let [keep, end, cancelled] = [self.clone(), self.clone(), self.clone()];
        vec![
            Job::new("promotions.keep", move |_| {
                let promotions = keep.clone();
                async move { Ok(promotions.keep().await.map(drop)?) }
            }),
            Job::new("promotions.end", move |run| {
                let promotions = end.clone();
                async move {
                    let event: Event = run.payload()?;
                    Ok(promotions.end(event.entity_id, run.request_id).await?)
                }
            }),
            Job::new("promotions.event_cancelled", move |run| {
                let promotions = cancelled.clone();
                async move {
                    let event: Event = run.payload()?;
                    Ok(promotions
                        .event_cancelled(event.entity_id, run.request_id)
                        .await?)
                }
            }),
        ]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![Periodic {
            job: "promotions.keep",
            schedule: Schedule::Every(Duration::from_secs(15)),
            catch_up: CatchUp::Last,
        }]
    }

    fn consumers(&self) -> Vec<Consumer> {
        [
            ("promotion.reject", "promotions.end"),
            ("promotion.withdraw", "promotions.end"),
            ("promotion.finish", "promotions.end"),
            ("promotion.archive", "promotions.end"),
            ("event.cancel", "promotions.event_cancelled"),
        ]
        .map(|(event, job)| Consumer { event, job })
        .into()
    }
}
