//! Tickets: prices, orders and their expiry, codes, check-in at the door, refunds, transfers and waiting lists.
//!
//! An order is created in one transaction, which holds its tickets ([`orders`]). It is paid by credits at once, or by
//! card through the payments module, and is settled when the money has arrived ([`settle`]): either it gets its
//! tickets or it is refunded. The database keeps the stock (`spec/sql/tickets.sql`). Knows nothing of Stripe.

mod attendees;
mod bodies;
mod cancelled;
mod cart;
mod changes;
mod checkpoints;
pub mod code;
pub mod commission;
mod door;
mod guesses;
pub mod joining;
mod offline;
mod orders;
pub mod promises;
mod proposals;
mod qr;
pub mod refund;
mod routes;
pub(crate) mod sales;
pub(crate) mod sellable;
mod settings;
pub mod settle;
mod staff;
pub(crate) mod transfers;
pub(crate) mod waitlist;

pub use bodies::AskedRefund;

use crate::access::{Access, Table};
use crate::module::{Module, Parts, secret_list};
use crate::offers::{self, offer};
use axum::Router;
use code::Keys;
use kernel::{
    Cx, Db, Result,
    config::BodyLimit,
    cursor::CursorKey,
    failpoint,
    http::ConfigError,
    idempotency::Keyed,
    jobs::{Consumer, Job, Periodic},
};
use settings::Settings;
use settle::Settled;
use std::{sync::Arc, time::Duration};
use utoipa::openapi::OpenApi;
use uuid::Uuid;
use waitlist::leave::Leaving;

/// The maximum number of orders that expire in one transaction.
const AT_ONCE: i32 = 100;

/// The smallest number of characters of one of `TICKET_KEYS`: whoever guesses one can make tickets.
const SHORTEST_KEY: usize = 16;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Tickets {
    db: Db,
    keyed: Keyed,
    pub keys: Keys,
    cursors: Arc<CursorKey>,
    leaving: Leaving,
    settings: Settings,
}

impl Module for Tickets {
    const NAME: &'static str = "tickets";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        let given = secret_list("TICKET_KEYS", &settings.ticket_keys, SHORTEST_KEY)?;
        // Codes that were signed before `TICKET_KEYS` was set, or before the server's key was replaced, stay valid.
        let secrets = [given, parts.secrets("tickets")].concat();
        let keys = Keys::new(&secrets).ok_or_else(|| ConfigError {
            setting: "TICKET_KEYS",
            reason: "no key can be made of it".to_owned(),
        })?;
        let tickets = Self {
            db: parts.db.clone(),
            keyed: parts.keyed.clone(),
            keys,
            cursors: Arc::new(CursorKey::new(&parts.secret("cursors"))),
            leaving: Leaving::new(parts)?,
            settings,
        };
        Ok(parts.tickets.get_or_init(|| tickets).clone())
    }

    fn routes(&self, _: &Router) -> Router {
        routes::router(self.clone())
            .merge(attendees::routes::router(self.clone()))
            .merge(cancelled::routes::router(self.clone()))
            .merge(checkpoints::routes::router(self.clone()))
            .merge(offline::routes::router(self.clone()))
            .merge(proposals::router(self.clone()))
            .merge(sales::router(self.clone()))
            .merge(transfers::routes::router(self.clone()))
            .merge(waitlist::routes::router(self.clone()))
    }

    fn access() -> Table {
        &[
            ("scanTicket", Access::HostStaff),
            ("scanTickets", Access::HostStaff),
            ("sellAtDoor", Access::HostAdmin),
            ("listAttendees", Access::HostStaff),
            ("exportAttendees", Access::HostStaff),
            ("getCancellation", Access::HostStaff),
            ("listAdmissions", Access::HostStaff),
            ("listRevokedCodes", Access::HostStaff),
            ("listCheckpointFigures", Access::HostStaff),
            ("getSales", Access::HostAdminOrPlatform),
            ("priceCommissionProposal", Access::CityAdmin),
            ("createOrder", Access::Concerned),
            ("priceOrder", Access::Concerned),
            ("cancelOrder", Access::Concerned),
            ("refundOrder", Access::Concerned),
            ("acceptTicket", Access::Concerned),
            ("declineTicket", Access::Concerned),
            ("withdrawTicket", Access::Concerned),
            ("offerTicket", Access::Concerned),
            ("getTicketQrPng", Access::Concerned),
            ("getTicketQrSvg", Access::Concerned),
            ("getPlaceInLine", Access::Concerned),
        ]
    }

    fn offers() -> offers::Table {
        const {
            &[
                offer("scanTicket", "event", "check_in"),
                offer("sellAtDoor", "event", "sell_at_door"),
                offer("cancelOrder", "order", "cancel"),
                offer("refundOrder", "order", "refund"),
                offer("refundOrder", "ticket", "refund"),
                offer("offerTicket", "ticket", "offer"),
                offer("acceptTicket", "ticket_transfer", "accept"),
                offer("declineTicket", "ticket_transfer", "decline"),
                offer("withdrawTicket", "ticket_transfer", "withdraw"),
            ]
        }
    }

    fn document() -> OpenApi {
        let mut document = routes::document();
        document.merge(attendees::routes::document());
        document.merge(cancelled::routes::document());
        document.merge(checkpoints::routes::document());
        document.merge(offline::routes::document());
        document.merge(proposals::document());
        document.merge(sales::document());
        document.merge(transfers::routes::document());
        document.merge(waitlist::routes::document());
        document
    }

    fn body_limits(&self) -> Vec<BodyLimit> {
        vec![BodyLimit {
            path: "/check-ins/batch",
            bytes: 1024 * 1024,
        }]
    }

    fn jobs(&self) -> Vec<Job> {
        vec![
            Job::of(self, "tickets.expire", |tickets, _| async move {
                Ok(tickets.expire().await.map(drop)?)
            }),
            Job::of(self, "tickets.expire_transfers", |tickets, _| async move {
                Ok(tickets.expire_transfers().await.map(drop)?)
            }),
            Job::of(self, "tickets.waitlist", |tickets, _| async move {
                Ok(tickets.serve_waitlist().await.map(drop)?)
            }),
            Job::of(self, "tickets.called_off", |tickets, run| async move {
                tickets.called_off(run).await
            }),
            Job::of(self, "tickets.wind_up", |tickets, run| async move {
                tickets.wind_up(run).await
            }),
            Job::of(self, "tickets.wind_up_all", |tickets, _| async move {
                Ok(tickets.wind_up_all().await.map(drop)?)
            }),
        ]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![
            Periodic::every("tickets.expire", Duration::from_secs(15)),
            Periodic::every("tickets.expire_transfers", Duration::from_mins(1)),
            Periodic::every("tickets.waitlist", Duration::from_secs(15)),
            Periodic::every("tickets.wind_up_all", Duration::from_mins(10)),
        ]
    }

    fn consumers(&self) -> Vec<Consumer> {
        vec![Consumer {
            event: "event.cancel",
            job: "tickets.called_off",
        }]
    }
}

impl Tickets {
    /// Settles an order that is paid, in the transaction of the caller. May be called any number of times.
    pub async fn paid(&self, cx: &mut Cx, order: Uuid) -> Result<Settled> {
        let before = cx.work_as(Self::NAME).await?;
        let settled = settle::settle(cx, &self.keys, order).await?;
        cx.work_as(before).await?;
        Ok(settled)
    }

    /// Expires orders that were not paid in time. Returns how many.
    pub async fn expire(&self) -> Result<usize> {
        let mut all = 0;
        loop {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let found = sqlx::query_scalar("select app.expire_orders($1)").bind(AT_ONCE);
                    let orders: Vec<Uuid> = found.fetch_all(cx.conn()).await?;
                    if !orders.is_empty() {
                        failpoint::reach("orders.expiring");
                    }
                    Ok(orders.len())
                })
            });
            let done = run.await?;
            all += done;
            if done < AT_ONCE as usize {
                return Ok(all);
            }
        }
    }
}
