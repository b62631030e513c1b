//! Sending mail and push messages: a trait for each and the services that implement it; and the feedback of services
//! about sent messages.
//!
//! This crate knows addresses, device tokens and texts. It may not know tables, members, or why something is sent.
//! Nothing here retries: the caller stores the message and decides about retries.

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
