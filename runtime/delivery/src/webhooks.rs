//! What mail services tell of messages later: whether it is really from them, and what it says.
//!
//! Checked over the bytes as they came, before anything is read. A copy that comes within the window has the same
//! `event_id`: whoever keeps those knows it. Services tell at least once and in no order.

mod resend;
mod sendgrid;

pub use resend::ResendKey;
pub use sendgrid::SendgridKey;

use chrono::{DateTime, Utc};

/// How far the sender's clock may be from ours, both ways; an older one is a replay.
const TOLERANCE_SECONDS: u64 = 300;

/// Something that a service tells of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The same when it is told again.
    pub event_id: String,
    /// `Mail.id` where the service brings it back, which ours do; otherwise `provider_id` again.
    pub message_id: String,
    /// What the service calls the message, as `Mailer::send` returned it.
    pub provider_id: Option<String>,
    pub kind: Kind,
    pub at: DateTime<Utc>,
    pub address: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The receiving server has it.
    Delivered,
    /// It came back. `hard`: the address does not exist, or takes nothing; nothing should be sent there again.
    Bounced { hard: bool },
    /// Whoever got it calls it spam.
    Complained,
    /// Not yet; the service goes on trying.
    Deferred,
    /// Whoever got it wants no more of this kind, and told the service.
    Unsubscribed,
}

/// Without the address.
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

/// What each service's webhooks are checked with. None: that service tells us nothing.
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
    /// Really from the service, and still not what it sends.
    #[error("the body can't be read")]
    Unreadable,
}

/// A header by its name in lower case.
pub type Header<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

impl Keys {
    /// Of a POST of Resend's, what it tells. Nothing where it is about something else.
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

    /// Of a POST of SendGrid's, all that it tells.
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

/// To be asked once a signature over it matched: to somebody without a key our clock is none of their business.
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
