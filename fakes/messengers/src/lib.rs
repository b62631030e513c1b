//! A fake of FCM, Resend and SendGrid, for tests and for running without accounts: it accepts messages, shows them,
//! and simulates faults on request.
//!
//! It implements the calls that send messages, Google's token endpoint, and the webhooks with feedback about mail.
//! Nothing leaves this machine. The fake may not know anything about the product.

pub mod control;
mod fake;
pub mod fault;
mod fcm;
pub mod feedback;
mod keys;
mod message;
mod pages;
mod resend;
mod sendgrid;
pub mod server;

pub use fake::{Config, Fake, Webhook};
pub use keys::Keys;
pub use message::{Outcome, Reply, Request};
