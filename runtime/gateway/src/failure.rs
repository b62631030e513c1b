//! How a call can end other than in an answer. The three classes differ in what the caller may believe.

use crate::payment::Payment;
use std::{fmt, time::Duration};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// It did not happen, and the same call will not happen either.
    #[error("refused: {0}")]
    Definite(Box<Refusal>),
    /// It did not happen yet: too many requests, or another call holds the lock. Again later, with the same key.
    #[error("not now")]
    Retryable { after: Option<Duration> },
    /// Nobody knows whether it happened, so nobody may be told that it failed. Again with the same key while the key
    /// is young; where the service has stored this very answer (`replayed`) or the key is old, read what is there.
    #[error("outcome unknown: {why}")]
    Ambiguous { why: Ambiguity, replayed: bool },
}

/// What was refused and why, as far as it may be shown to somebody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusal {
    /// None if it was refused on our side and nothing was sent.
    pub http_status: Option<u16>,
    /// The provider's class: `card_error`, `invalid_request_error`, `idempotency_error` …
    pub kind: String,
    /// `card_declined`, `resource_missing`, `payment_intent_unexpected_state` …
    pub code: Option<String>,
    /// `insufficient_funds`, `lost_card` …
    pub decline_code: Option<String>,
    /// The parameter that is wrong.
    pub param: Option<String>,
    /// For operators and, with `card_error`, for the buyer.
    pub message: String,
    /// The payment as it is now. A declined card leaves a payment behind that can be confirmed again with another card.
    pub payment: Option<Box<Payment>>,
    /// The provider's id of the request, for their support.
    pub request_id: Option<String>,
}

/// Why it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ambiguity {
    TimedOut,
    /// The connection ended before the answer was complete.
    Broken,
    /// There is an answer, and it is not what was asked for.
    Undecodable,
    /// 5xx.
    ServerError(u16),
}

impl Failure {
    /// The code of a list that was not read to its end.
    pub const TOO_MANY: &str = "too_many";

    /// Refused before anything was sent.
    pub fn unsent(code: &str, message: impl Into<String>) -> Self {
        Self::Definite(Box::new(Refusal {
            kind: "unsent".to_owned(),
            code: Some(code.to_owned()),
            message: message.into(),
            ..Refusal::default()
        }))
    }

    /// The same call can still succeed with the same key.
    pub fn may_be_retried(&self) -> bool {
        match self {
            Self::Definite(_) => false,
            Self::Retryable { .. } => true,
            Self::Ambiguous { replayed, .. } => !replayed,
        }
    }

    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Definite(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// More objects match than a list gives; to be asked of a shorter time.
    pub fn is_too_much(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.code.as_deref() == Some(Self::TOO_MANY))
    }

    /// The object that was asked for does not exist.
    pub fn is_missing(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.http_status == Some(404))
    }
}

impl Refusal {
    /// Whether we were refused and not the call: our secret key is wrong or may not do this. The same call can succeed
    /// once that is put right, and buyers need not hear of it.
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
