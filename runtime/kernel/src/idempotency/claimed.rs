//! What a handler knows about the key of its request, and how it stores its answer in the transaction of its work.

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

/// The key of a request on a route with [`required`](super::required), as an argument of its handler. On a route with
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

    /// The number of the attempt, starting at 1.
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// Whether an earlier attempt ended without an answer, so that part of the work may have been done already.
    pub fn is_repeated(&self) -> bool {
        self.attempt > 1
    }

    /// Stores the answer in the transaction of the work, so that either both are committed or neither: a request that
    /// is sent again because its answer was lost has no second effect. For work that is a single transaction.
    ///
    /// 409 if another attempt holds the key by now; the transaction must then be rolled back.
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

/// An answer that is stored exactly as it is sent.
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

    /// 201 with a `Location`.
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
