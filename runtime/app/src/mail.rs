//! Mails about accounts.
//!
//! This module knows no tables; the texts are in the spec. Texts written by members are sanitized before they are inserted. Sending is
//! up to the crate `delivery`.

mod templates;

pub use templates::Template;
