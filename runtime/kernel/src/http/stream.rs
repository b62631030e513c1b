//! Answers that continue for as long as the client listens: server-sent events.
//!
//! Requests have a time limit, but streams do not: a stream ends when the token expires with which it was requested,
//! and when the server stops. The code that writes one must check from time to time whether account and session are
//! still good.

use crate::{error::Error, member::Member};
use axum::{extract::FromRequestParts, http::request::Parts};
use std::time::{Duration, SystemTime};
use tokio::{sync::watch, time::Instant};

/// How long an answer may continue. Put into requests that have a token.
#[derive(Clone, Debug)]
pub(super) struct Span {
    until: Instant,
    stopping: watch::Receiver<bool>,
}

/// A member who subscribes to a stream. As an argument of a handler: 401 for anonymous callers.
pub struct Listener {
    pub member: Member,
    span: Span,
}

impl Span {
    /// `until` is in seconds since 1970.
    pub(super) fn new(until: i64, stopping: watch::Receiver<bool>) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let until = Duration::from_secs(until.max(0).unsigned_abs());
        Self {
            until: Instant::now() + until.saturating_sub(now),
            stopping,
        }
    }
}

impl Listener {
    /// Waits until the stream has to end: the token has expired, or the server stops. In both cases the client
    /// reconnects, with a new token or to another server.
    pub async fn over(&mut self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.span.until) => {}
            // An error means that the server is gone.
            _ = self.span.stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Listener {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let member = <Member as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        match parts.extensions.get::<Span>().cloned() {
            Some(span) => Ok(Self { member, span }),
            None => Err(Error::internal("a stream outside of the HTTP layer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_with_its_token_or_the_server() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs().cast_signed();
        let server = watch::Sender::new(false);
        let begun = Instant::now();
        let span = Span::new(now + 60, server.subscribe());
        let left = span.until - begun;
        assert!(
            left > Duration::from_secs(58) && left <= Duration::from_secs(61),
            "{left:?}"
        );
        // If the time is over already, the stream ends at once.
        assert!(Span::new(0, server.subscribe()).until <= Instant::now());
    }
}
