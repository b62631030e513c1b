//! Push messages to phones and browsers, and the possible results of sending them.

pub use crate::{
    fcm::{FcmConfig, FcmPusher},
    senders::{FilePusher, LogPusher},
};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// A message to one device.
#[derive(Clone, Debug)]
pub struct Push {
    /// The id of the message, the same at each attempt. Push services know no idempotency keys; the id is used as the
    /// collapse key, so that a duplicate replaces the first copy.
    pub id: Uuid,
    /// The device's registration token at the service.
    pub token: SecretString,
    pub title: String,
    pub body: String,
    /// Data for the app, which opens the matching page by it.
    pub data: BTreeMap<String, String>,
    /// Whether the message wakes a sleeping device.
    pub urgent: bool,
    /// The time after which the message is not shown any more.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A way of sending push messages.
pub trait Pusher: Send + Sync {
    /// Sends a message. Returns, once the service has accepted it, the service's id of the message.
    fn send(&self, push: Push) -> BoxFuture<'_, Result<Option<String>, Unpushed>>;
}

/// Why a push message was not sent. The text contains neither the token nor the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpushed {
    /// The service does not know the device any more: its token is useless from now on.
    #[error("the service does not know the device")]
    Gone,
    /// This message can't be sent at all; the device's token is still good.
    #[error("{0}")]
    Never(String),
    /// The attempt failed; a retry may succeed.
    #[error("{0}")]
    NotNow(String),
    /// The service accepts no messages at all before this time has passed.
    #[error("{reason}")]
    Paused { reason: String, wait: Duration },
}
