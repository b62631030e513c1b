//! From the `Authorization` header to an actor. Runs before any transaction.
//!
//! Knows tokens and issuers, but no tables: the application's [`Resolver`] maps an external subject to a user.

pub mod external;
pub mod token;

pub use external::{External, Resolver};
pub use token::{Issued, Tokens};

use crate::{
    actor::Actor,
    error::{Error, Result},
    problems,
};
use axum::http::{HeaderMap, header::AUTHORIZATION};
use std::{sync::Arc, time::SystemTime};

/// Longer tokens are refused unread.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a token is not accepted. For the log only; the client learns no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("token refused: {0}")]
pub struct Refused(pub &'static str);

/// Whom a token names, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identified {
    pub actor: Actor,
    /// In seconds since 1970; none without a token.
    pub until: Option<i64>,
}

/// Accepts our own tokens and those of the configured issuers.
#[derive(Clone)]
pub struct Authenticator {
    tokens: Arc<Tokens>,
    external: Arc<[External]>,
}

impl Authenticator {
    pub fn new(tokens: Arc<Tokens>, external: Vec<External>) -> Self {
        Self {
            tokens,
            external: external.into(),
        }
    }

    /// Without a credential the caller is anonymous. A bad credential is an error, even on routes that admit anonymous
    /// callers.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Identified> {
        let Some(token) = bearer(headers).map_err(refuse)? else {
            return Ok(Identified {
                actor: Actor::Anonymous,
                until: None,
            });
        };
        let now = unix_now();
        if self.tokens.is_ours(token) || self.external.is_empty() {
            return self.tokens.verify(token, now).map_err(refuse);
        }
        let issuer = external::issuer_of(token).map_err(refuse)?;
        match self
            .external
            .iter()
            .find(|external| external.issuer() == issuer)
        {
            Some(external) => external.verify(token, now).await,
            None => Err(refuse(Refused("unknown issuer"))),
        }
    }
}

pub(crate) fn refuse(refused: Refused) -> Error {
    Error::new(&problems::INVALID_TOKEN).because(refused)
}

/// The one bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refused("several Authorization headers"));
    }
    let text = value.to_str().map_err(|_| Refused("not ASCII"))?;
    let (scheme, token) = text.split_once(' ').ok_or(Refused("no token"))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refused("not a bearer token"));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refused("too long"));
    }
    Ok(Some(token.trim_start()))
}

fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_bearer_token_or_none() {
        assert_eq!(bearer(&headers(&[])), Ok(None));
        assert_eq!(bearer(&headers(&["Bearer abc"])), Ok(Some("abc")));
        assert_eq!(bearer(&headers(&["bearer abc"])), Ok(Some("abc")));
        assert!(bearer(&headers(&["Basic abc"])).is_err());
        assert!(bearer(&headers(&["Bearer"])).is_err());
        assert!(bearer(&headers(&["Bearer a", "Bearer b"])).is_err());
        assert!(
            bearer(&headers(&[&format!(
                "Bearer {}",
                "a".repeat(MAX_TOKEN_BYTES + 1)
            )]))
            .is_err()
        );
    }
}
