//! A Stripe of our own, for tests and for running without a key: one state machine, two front ends.
//!
//! [`Fake::handle`] answers a request in process, without a socket, deterministically by its seed and its clock;
//! [`server`] is the same on a loopback port, with signed webhooks and the pages that a buyer's browser would see.
//! It plays a part of the API and says so of the rest; whose tests these are it does not know.

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

/// The version of Stripe's API whose objects these are; async-stripe is generated from the same.
pub const API_VERSION: &str = "2026-09-30.endive";
