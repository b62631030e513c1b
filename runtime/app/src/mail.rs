//! Mail: what is said (templates in `mail/`) and how it leaves.
//!
//! Knows addresses and texts, no tables. Texts of members are made harmless before they are put in.

mod message;
mod senders;
mod smtp;
mod templates;

pub use message::Sender;
pub use senders::{FileMailer, LogMailer};
pub use smtp::{Encryption, SmtpConfig, SmtpMailer};
pub use templates::Template;

use futures_util::future::BoxFuture;
use uuid::Uuid;

/// A message ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The same when it is sent again: goes into `Message-ID`, by which the receiving side can tell.
    pub id: Uuid,
    pub to: String,
    pub subject: String,
    pub text: String,
}

/// How mail leaves. Returns when the message is handed over.
pub trait Mailer: Send + Sync {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), Undelivered>>;
}

/// Why a message did not leave. The text names no address and no content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// This message never will: the address is none, or the server does not take it.
    #[error("{0}")]
    Never(String),
    /// Perhaps later.
    #[error("{0}")]
    NotNow(String),
}
