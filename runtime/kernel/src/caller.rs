//! What all code behind the router may know of a request: its caller, address and id.
//!
//! Set by the HTTP layer from the token. The engine's statements verify it; hand-written handlers take a
//! [`Member`](crate::Member) or a [`Visitor`](crate::Visitor).

use crate::{
    actor::Actor,
    error::{Error, Result},
};
use axum::http::request::Parts;
use std::net::IpAddr;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub actor: Actor,
    pub request_id: Uuid,
    /// Behind trusted proxies: the client's, otherwise the peer's.
    pub ip: Option<IpAddr>,
}

impl Caller {
    pub fn anonymous(request_id: Uuid) -> Self {
        Self {
            actor: Actor::Anonymous,
            request_id,
            ip: None,
        }
    }

    /// The user's id, or 401.
    pub fn user(&self) -> Result<Uuid> {
        self.actor.user().ok_or_else(Error::unauthenticated)
    }

    /// The caller that the HTTP layer found in the request, to be handed on to the engine. Whether the account and the
    /// session are still valid has not been checked yet. On a route outside the HTTP layer, which verifies no tokens,
    /// every caller is anonymous.
    pub fn unproven(parts: &Parts) -> Self {
        let known = parts.extensions.get::<Self>().copied();
        known.unwrap_or_else(|| Self::anonymous(Uuid::now_v7()))
    }
}
