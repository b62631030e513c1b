//! Mail, and what can come of handing it over.

pub use crate::{
    message::Sender,
    resend::{ResendConfig, ResendMailer},
    senders::{FileMailer, LogMailer},
    sendgrid::{SendgridConfig, SendgridMailer},
    smtp::{Encryption, SmtpConfig, SmtpMailer},
};

use futures_util::future::BoxFuture;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// A message ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The same when it is sent again: services that know idempotency keys get it as one, and it goes into
    /// `Message-ID`, by which the receiving side can tell.
    pub id: Uuid,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// The same for readers that show HTML.
    pub html: Option<String>,
    /// Where a POST without any session stops mail of this kind (RFC 8058). `None` for mail that nobody can stop.
    pub unsubscribe: Option<Url>,
}

/// How mail leaves.
pub trait Mailer: Send + Sync {
    /// Returns once the message is handed over, with the name that the service gave it, if it gives any.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>>;
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
    /// The service takes no message of anybody before this time is over.
    #[error("{reason}")]
    Paused { reason: String, wait: Duration },
}
