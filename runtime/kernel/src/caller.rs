//! The facts of a request that everything behind the router may know: who, from where, under which id.
//!
//! Set by the HTTP layer; handlers take it as an argument.

use crate::{
    actor::Actor,
    error::{Error, Result},
};
use axum::{extract::FromRequestParts, http::request::Parts};
use std::{convert::Infallible, net::IpAddr};
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
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    /// A route outside the HTTP layer has nobody to vouch for its callers: they are anonymous.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts
            .extensions
            .get::<Self>()
            .copied()
            .unwrap_or_else(|| Self::anonymous(Uuid::now_v7())))
    }
}
