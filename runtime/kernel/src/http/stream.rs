//! Answers that go on for as long as somebody listens: server-sent events.
//!
//! A request has a deadline, an answer of this kind has none: it ends with the token that it was asked with, and when the
//! server stops. Whoever writes one asks now and then whether account and session are still good.

use crate::{error::Error, member::Member};
use axum::{extract::FromRequestParts, http::request::Parts};
use std::time::{Duration, SystemTime};
use tokio::{sync::watch, time::Instant};

/// For how long an answer may go on. Put into requests that have a token.
#[derive(Clone, Debug)]
pub(super) struct Span {
    until: Instant,
    stopping: watch::Receiver<bool>,
}

/// A member who wants to be told things as they happen. As an argument of a handler: 401 for everybody else.
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
    /// Waits until nothing more may be said: the token is no longer good, or the server stops. Either way the client comes
    /// back, with a newer token or to another server.
    pub async fn over(&mut self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.span.until) => {}
            // An error says that there is no server any more.
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
        // One that is over is over at once.
        assert!(Span::new(0, server.subscribe()).until <= Instant::now());
    }
}
