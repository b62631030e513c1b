//! The implementation of [`gateway::Gateway`] for Stripe: the only crate that names Stripe's library.
//!
//! This crate may not know a table, an entity or a route. From the library (`async-stripe`, in its separate crates) it
//! uses the types and the request builders. Requests are sent by its own code ([`Exchange`]), because the library's
//! client does not send our idempotency key when it retries, has no time-out of its own and hides the headers of
//! answers.
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
