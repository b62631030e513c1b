//! [`gateway::Gateway`] by Stripe: the one crate that names Stripe's library.
//!
//! Knows no table, no entity and no route. Of the library (`async-stripe`, in its separate crates) it uses the types
//! and the builders of requests; the way over the network is its own ([`Exchange`]), because the library's client
//! sends no idempotency key of ours when it tries again, has no time-out of its own and hides the headers of answers.
//!
//! A call goes through `payments`, `cards`, `connect`, `billing` or `events` (our types to a request), `client` (key,
//! time-outs, retries), `breaker` (when not to call at all), `classify` (what an answer means) and `convert` (Stripe's types to ours).

#![deny(clippy::float_arithmetic)]

mod billing;
mod breaker;
mod cards;
mod classify;
mod client;
mod connect;
mod convert;
mod decode;
mod events;
mod exchange;
mod gateway_impl;
mod list;
mod network;
mod payments;
mod settings;

pub use exchange::{Exchange, Exchanged, Method, Reply, Request, TransportFailure};
pub use gateway_impl::StripeGateway;
pub use network::Network;
pub use settings::Settings;

#[cfg(test)]
mod tests;
