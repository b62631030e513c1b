//! What a handler knows of the key that its request was claimed with, and how its answer becomes part of its work.

use super::{Request, busy};
use crate::{
    cx::Cx,
    error::{Error, Result},
};
use axum::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{convert::Infallible, sync::Arc};

/// The key of a request on a route with [`required`](super::required); an argument of its handler. On a route with
/// [`offered`](super::offered) it is an `Option`.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub(super) request: Arc<Request>,
    pub(super) attempt: i32,
}

impl Claimed {
    /// As the caller sent it.
    pub fn key(&self) -> &str {
        &self.request.key
    }

    /// From 1.
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// An attempt before this one ended without an answer: something may have been done already.
    pub fn is_repeated(&self) -> bool {
        self.attempt > 1
    }

    /// Keeps the answer in the transaction of the work, so that neither is there without the other: a request that is sent
    /// again after its answer was lost has no second effect. For work that is one transaction.
    ///
    /// 409 if another attempt has the key by now; the work is to be rolled back then.
    pub async fn keep(&self, cx: &mut Cx, answer: &Answer) -> Result<()> {
        let Answer {
            status,
            headers,
            body,
        } = answer;
        let kept = self.request.keep(cx, self.attempt, *status, headers, body);
        match kept.await? {
            true => Ok(()),
            false => Err(busy()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Claimed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let claimed = parts.extensions.get::<Self>().cloned();
        claimed.ok_or_else(|| Error::internal("a handler of a route that demands no key"))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Claimed {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// An answer that is kept as it is sent.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self> {
        let json = HeaderValue::from_static("application/json");
        Ok(Self {
            status,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
            body: serde_json::to_vec(body).map_err(Error::internal)?,
        })
    }

    /// 201, and where it is.
    pub fn created(location: &str, body: &impl Serialize) -> Result<Self> {
        let mut answer = Self::json(StatusCode::CREATED, body)?;
        let location = HeaderValue::try_from(location).map_err(Error::internal)?;
        answer.headers.insert(header::LOCATION, location);
        Ok(answer)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, Body::from(self.body)).into_response()
    }
}
