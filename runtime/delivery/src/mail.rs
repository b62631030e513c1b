//! Mail, and the possible results of sending it.

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
    /// The id of the message, the same at each attempt: it is the idempotency key of services that support one, and
    /// part of `Message-ID`, by which the receiving side can recognize duplicates.
    pub id: Uuid,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// The same content as HTML. None: the mail is plain text only.
    pub html: Option<String>,
    /// The address at which a POST without a session unsubscribes from mail of this kind (RFC 8058). `None`: mail of
    /// this kind can't be unsubscribed from.
    pub unsubscribe: Option<Url>,
}

/// A way of sending mail.
pub trait Mailer: Send + Sync {
    /// Sends a mail. Returns, once the service has accepted it, the service's id of the message, if the service
    /// assigns one.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>>;
}

/// Why a message was not sent. The text contains neither the address nor the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The message can't be sent at all: its address is invalid, or the server refuses it. It should not be retried.
    #[error("{0}")]
    Never(String),
    /// The attempt failed; a retry may succeed.
    #[error("{0}")]
    NotNow(String),
    /// The service accepts no messages at all before this time has passed.
    #[error("{reason}")]
    Paused { reason: String, wait: Duration },
}
