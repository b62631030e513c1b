//! Mails about accounts, from templates in `mail/`.
//!
//! This module knows texts and no tables. Texts written by members are sanitized before they are inserted. Sending is
//! up to the crate `delivery`.

mod templates;

pub use templates::Template;
