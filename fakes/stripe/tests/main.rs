//! Tests of the fake: Stripe's rules as documented, and the fake's books.

mod billing;
mod books;
mod cards;
mod connect;
mod faults;
mod http;
mod idempotency;
mod money;
mod parameters;
mod regions;
mod shapes;
mod signatures;
mod support;
mod webhooks;
