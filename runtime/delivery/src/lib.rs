//! How messages leave: mail and push, each a trait with the services that implement it; and what services tell of them
//! afterwards.
//!
//! Knows addresses, device tokens and texts; no tables, no members, no reason why something is sent. Nothing here
//! retries: whoever calls keeps the message and decides.

mod exchange;
mod fcm;
pub mod mail;
mod message;
pub mod push;
mod resend;
mod senders;
mod sendgrid;
mod smtp;
pub mod webhooks;
