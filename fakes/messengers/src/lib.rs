//! FCM, Resend and SendGrid of our own, for tests and for running without an account: one place that takes messages,
//! shows them, and misbehaves when it is told to.
//!
//! Plays the calls that send, Google's token endpoint, and the webhooks that tell of mail afterwards. Nothing leaves
//! this machine. Whose messages these are it does not know.

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
