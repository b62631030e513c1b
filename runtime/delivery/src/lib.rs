//! How messages leave: mail and push, each a trait with the services that implement it.
//!
//! Knows addresses, device tokens and texts; no tables, no members, no reason why something is sent. Nothing here
//! retries: whoever calls keeps the message and decides.

pub mod mail;
mod message;
pub mod push;
mod senders;
mod smtp;
