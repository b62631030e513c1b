//! A fake of Stripe, for tests and for running without a key: one state machine with two interfaces.
//!
//! [`Fake::handle`] answers requests in process, deterministically by seed and clock; [`server`] does the same on a
//! loopback port, with signed webhooks and the pages that a buyer's browser would show. The fake implements a part of
//! Stripe's API and refuses all other calls. It may not know anything about the product.

#![recursion_limit = "512"]

pub mod admin;
mod api;
mod audit;
mod card;
mod clock;
pub mod control;
mod currency;
mod error;
mod event;
mod fake;
pub mod fault;
mod form;
mod idempotency;
mod json;
mod ledger;
mod message;
mod pages;
mod random;
mod region;
mod routes;
pub mod server;
pub mod signature;
mod timer;
pub mod webhook;
mod world;

pub use clock::Clock;
pub use control::Intent;
pub use fake::{Config, Fake};
pub use ledger::{Books, Entry, Reason};
pub use message::{Outcome, Reply, Request, Stalled};

/// The version of Stripe's API whose objects are simulated; async-stripe is generated from the same version.
pub const API_VERSION: &str = "2026-09-30.endive";
