//! Feedback that mail services send about messages by webhook: checks the signature and reads the content.
//!
//! The signature is checked over the unchanged bytes of the body, before the content is read. A replay within the time
//! window has the same `event_id`, so callers can recognize it by storing the ids. Services deliver events at least
//! once and in no particular order.

mod resend;
mod sendgrid;

pub use resend::ResendKey;
pub use sendgrid::SendgridKey;

use chrono::{DateTime, Utc};

/// The largest difference between the sender's clock and ours, in both directions. An older event is treated as a
/// replay.
const TOLERANCE_SECONDS: u64 = 300;

/// A service's event about a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The id of the event, the same at each delivery.
    pub event_id: String,
    /// `Mail.id`, if the service returns it, which both of ours do; otherwise the same as `provider_id`.
    pub message_id: String,
    /// The service's id of the message, as returned by `Mailer::send`.
    pub provider_id: Option<String>,
    pub kind: Kind,
    pub at: DateTime<Utc>,
    pub address: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The receiving server has accepted the message.
    Delivered,
    /// The message bounced. `hard`: the address does not exist or accepts no mail, so nothing should be sent there
    /// again.
    Bounced { hard: bool },
    /// The recipient has marked the message as spam.
    Complained,
    /// The message is delayed; the service goes on retrying.
    Deferred,
    /// The recipient has unsubscribed from this kind of mail at the service.
    Unsubscribed,
}

/// `Debug` leaves out the address.
impl std::fmt::Debug for Feedback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feedback")
            .field("event_id", &self.event_id)
            .field("message_id", &self.message_id)
            .field("kind", &self.kind)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// The keys by which each service's webhooks are verified. None: webhooks of that service are refused.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub resend: Option<ResendKey>,
    pub sendgrid: Option<SendgridKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("webhooks of this service are not set up")]
    NoKey,
    #[error("a header is missing or malformed")]
    Malformed,
    #[error("no signature matches")]
    NoMatch,
    #[error("signed too long ago, or in the future")]
    OutOfTime,
    /// The signature is valid, but the content is not of the expected form.
    #[error("the body can't be read")]
    Unreadable,
}

/// Looks up a header by its name in lower case.
pub type Header<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

impl Keys {
    /// Verifies a POST of Resend and returns its feedback; empty if the event is not about the fate of a message.
    pub fn resend(
        &self,
        header: Header<'_>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Vec<Feedback>, Refused> {
        let key = self.resend.as_ref().ok_or(Refused::NoKey)?;
        let event_id = key.verify(header, body, now)?;
        resend::read(event_id, body)
    }

    /// Verifies a POST of SendGrid and returns all its feedback.
    pub fn sendgrid(
        &self,
        header: Header<'_>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Vec<Feedback>, Refused> {
        let key = self.sendgrid.as_ref().ok_or(Refused::NoKey)?;
        key.verify(header, body, now)?;
        sendgrid::read(body)
    }
}

/// Checks the time of a webhook. Called only after the signature has matched, so that a sender without a key learns
/// nothing about our clock.
fn in_time(timestamp: &str, now: DateTime<Utc>) -> Result<(), Refused> {
    let at: i64 = timestamp.parse().map_err(|_| Refused::Malformed)?;
    match now.timestamp().abs_diff(at) <= TOLERANCE_SECONDS {
        true => Ok(()),
        false => Err(Refused::OutOfTime),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
}
