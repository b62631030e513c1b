//! The caller of a hand-written route: a member, verified by the database, or a visitor, about whom nothing is
//! verified.
//!
//! A token states what was true when it was issued. A [`Member`] exists only after the database has confirmed, during
//! this request, that account and session are active; there is no other way for a handler to get a caller's id. The
//! engine needs no such proof: each of its statements checks the caller itself.

use crate::{
    actor::Facts,
    caller::Caller,
    cx::{Db, Question, Work},
    error::{Error, Result},
};
use axum::{
    Extension, Router,
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use sqlx::{Row, postgres::PgArguments, types::Json};
use std::{convert::Infallible, net::IpAddr};
use uuid::Uuid;

/// A verified caller. As an argument of a handler: 401 for all other callers, before the body is read.
#[derive(Clone, Debug)]
pub struct Member {
    pub request_id: Uuid,
    /// Behind trusted proxies: the client's, otherwise the peer's.
    pub ip: Option<IpAddr>,
    id: Uuid,
    caller: Caller,
    facts: Facts,
}

impl Member {
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The session of the token; for tokens of other issuers, the session that represents them here.
    pub fn session(&self) -> Option<Uuid> {
        self.caller.actor.session()
    }

    /// Whether the member holds a role without a scope. For a single row, use [`Cx::may`](crate::Cx::may).
    pub fn holds(&self, role: &str) -> bool {
        self.facts.holds(role)
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The address and id of the request, without its sender.
    pub fn visitor(&self) -> Visitor {
        Visitor {
            request_id: self.request_id,
            ip: self.ip,
        }
    }

    /// The caller to pass to [`Db::begin_read`] and [`Db::begin_write`].
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// The sender of a request, whether a member or not. Does not say who the sender is.
#[derive(Clone, Copy, Debug)]
pub struct Visitor {
    pub request_id: Uuid,
    pub ip: Option<IpAddr>,
}

impl Visitor {
    /// The caller to pass to [`Db::begin_read`]: sees what every caller may see.
    pub fn caller(&self) -> Caller {
        Caller {
            ip: self.ip,
            ..Caller::anonymous(self.request_id)
        }
    }
}

impl Db {
    /// Checks in the database that account and session of a token are active, in one round trip; 401 if they are not.
    pub async fn prove(&self, caller: &Caller) -> Result<Member> {
        let id = caller.user()?;
        let question = Question {
            text: "select sec.facts() as facts".into(),
            arguments: PgArguments::default(),
            keep: true,
        };
        let rows = self.read(caller, Work::One).await?.fetch(question).await?;
        let row = rows.first().ok_or_else(Error::unauthenticated)?;
        let Json(facts) = row.try_get("facts")?;
        Ok(Member {
            request_id: caller.request_id,
            ip: caller.ip,
            id,
            caller: *caller,
            facts,
        })
    }
}

/// The database that verifies the members of a router's handlers. Private, so that only the extractors can use it.
#[derive(Clone)]
struct Prover(Db);

/// Makes [`Member`] available to the handlers of hand-written routes.
pub fn proven_by(db: &Db, routes: Router) -> Router {
    routes.layer(Extension(Prover(db.clone())))
}

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let caller = Caller::unproven(parts);
        caller.user()?;
        let Some(Prover(db)) = parts.extensions.get::<Prover>().cloned() else {
            return Err(Error::internal(
                "this route has nothing that proves members",
            ));
        };
        db.prove(&caller).await
    }
}

/// `Option<Member>`: `None` for anonymous callers. A credential that is no longer valid is an error, even where
/// anonymous callers are allowed.
impl<S: Sync> OptionalFromRequestParts<S> for Member {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>> {
        if Caller::unproven(parts).actor.user().is_none() {
            return Ok(None);
        }
        <Self as FromRequestParts<S>>::from_request_parts(parts, state)
            .await
            .map(Some)
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let caller = Caller::unproven(parts);
        Ok(Self {
            request_id: caller.request_id,
            ip: caller.ip,
        })
    }
}
