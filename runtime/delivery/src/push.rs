//! Push messages to phones and browsers, and what can come of handing them over.

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
    /// The same when it is sent again. Push services know no idempotency keys; it is the collapse key, so that a
    /// second one takes the place of the first.
    pub id: Uuid,
    /// What the service knows the device by.
    pub token: SecretString,
    pub title: String,
    pub body: String,
    /// For the app, which opens the right page with it.
    pub data: BTreeMap<String, String>,
    /// Wakes a sleeping device.
    pub urgent: bool,
    /// Not shown to anybody after this.
    pub expires_at: Option<DateTime<Utc>>,
}

/// How push messages leave.
pub trait Pusher: Send + Sync {
    /// Returns once the message is handed over, with the name that the service gave it.
    fn send(&self, push: Push) -> BoxFuture<'_, Result<Option<String>, Unpushed>>;
}

/// Why a push message did not leave. The text names no token and no content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpushed {
    /// The device is not known to the service any more: nothing will reach it by this token.
    #[error("the service does not know the device")]
    Gone,
    /// This message never will leave; the device is all right.
    #[error("{0}")]
    Never(String),
    /// Perhaps later.
    #[error("{0}")]
    NotNow(String),
    /// The service takes no message for anybody before this time is over.
    #[error("{reason}")]
    Paused { reason: String, wait: Duration },
}
