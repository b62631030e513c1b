//! How a call can fail. The three classes differ in what the caller may assume about the call's effect.

use crate::payment::Payment;
use std::{fmt, time::Duration};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The call had no effect, and repeating it won't have one either.
    #[error("refused: {0}")]
    Definite(Box<Refusal>),
    /// The call has had no effect yet: there were too many requests, or another call holds the lock. It can be
    /// repeated later with the same key.
    #[error("not now")]
    Retryable { after: Option<Duration> },
    /// It is unknown whether the call had its effect, so it must not be reported as failed. It can be repeated with
    /// the same key while the key is less than a day old. If the service has stored this very answer (`replayed`) or
    /// the key is older, the caller has to read the object's present state instead.
    #[error("outcome unknown: {why}")]
    Ambiguous { why: Ambiguity, replayed: bool },
}

/// Why a call was refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusal {
    /// The status of the provider's answer. None: the call was refused on our side and nothing was sent.
    pub http_status: Option<u16>,
    /// The provider's class of error: `card_error`, `invalid_request_error`, `idempotency_error` …
    pub kind: String,
    /// The provider's error code: `card_declined`, `resource_missing`, `payment_intent_unexpected_state` …
    pub code: Option<String>,
    /// The bank's reason for declining the card: `insufficient_funds`, `lost_card` …
    pub decline_code: Option<String>,
    /// The name of the request's parameter that is wrong.
    pub param: Option<String>,
    /// An explanation for operators; with `card_error` it may be shown to the buyer, too.
    pub message: String,
    /// The payment in its present state. After a declined card the payment still exists and can be confirmed with
    /// another card.
    pub payment: Option<Box<Payment>>,
    /// The provider's id of the request, to be quoted to the provider's support.
    pub request_id: Option<String>,
}

/// Why the outcome of a call is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ambiguity {
    TimedOut,
    /// The connection ended before the answer was complete.
    Broken,
    /// The answer is not of the expected form.
    Undecodable,
    /// The service answered with this 5xx status.
    ServerError(u16),
}

impl Failure {
    /// The code of the refusal when a list has too many pages to be read to its end.
    pub const TOO_MANY: &str = "too_many";

    /// A refusal by our own code, before anything was sent.
    pub fn unsent(code: &str, message: impl Into<String>) -> Self {
        Self::Definite(Box::new(Refusal {
            kind: "unsent".to_owned(),
            code: Some(code.to_owned()),
            message: message.into(),
            ..Refusal::default()
        }))
    }

    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Definite(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether more objects match than can be listed; the caller should ask again for a shorter period.
    pub fn is_too_much(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.code.as_deref() == Some(Self::TOO_MANY))
    }

    /// Whether the platform has no access to the requested account: its owner has disconnected it, or it was never
    /// connected to this platform.
    pub fn is_without_access(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.code.as_deref() == Some("account_invalid"))
    }

    /// Whether the payment of an invoice waits for the buyer to authenticate with their bank. It is not declined, and is
    /// completed with the client secret of the invoice's payment.
    pub fn is_for_authentication(&self) -> bool {
        self.refusal().is_some_and(|refusal| {
            refusal.code.as_deref() == Some("invoice_payment_intent_requires_action")
        })
    }

    /// Whether the requested object does not exist.
    pub fn is_missing(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.http_status == Some(404))
    }
}

impl Refusal {
    /// Whether the reason is our secret key (wrong, or without the permission) and not the call itself. The same call
    /// can succeed once the key has been corrected, and buyers need not be told.
    pub fn is_of_our_key(&self) -> bool {
        matches!(self.http_status, Some(401 | 403))
            || self.code.as_deref() == Some("malformed_secret_key")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("timed out"),
            Self::Broken => f.write_str("the connection broke"),
            Self::Undecodable => f.write_str("the answer can't be read"),
            Self::ServerError(status) => write!(f, "the service answered {status}"),
        }
    }
}
