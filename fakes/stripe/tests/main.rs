//! What the fake is held to: Stripe's rules as they are documented, and its books.

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
