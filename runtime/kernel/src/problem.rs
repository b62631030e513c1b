//! A problem answer (RFC 9457).
//!
//! Contains only what the client may know. Knows no database.

use crate::{
    error::Result,
    http::limits::{RATELIMIT, RATELIMIT_POLICY},
    input::FieldError,
    problems::{self, Kind},
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use serde::Serialize;
use std::borrow::Cow;
use uuid::Uuid;

pub const CONTENT_TYPE: &str = "application/problem+json";

#[derive(Debug, Clone)]
pub struct Problem {
    pub kind: &'static Kind,
    pub detail: Cow<'static, str>,
    pub errors: Vec<Item>,
    /// Seconds, for 429 and 503.
    pub retry_after: Option<u64>,
    /// The limit that is exceeded, for `RateLimit`.
    pub limit: Option<Limit>,
}

/// A limit of requests or objects of one caller, apart from those of `http::limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub name: &'static str,
    /// How many are allowed in how many seconds.
    pub policy: Option<(u32, u64)>,
}

/// One error: in the body (pointer), in the query (parameter), or about another object that conflicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Named>,
    pub code: &'static str,
    pub detail: Cow<'static, str>,
}

/// An object that the caller may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    pub r#type: &'static str,
    pub id: Uuid,
}

/// 422 with all errors; `None` if there are none.
pub fn refuse(wrong: Vec<Item>) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    let mut problem = Problem::new(&problems::INVALID);
    problem.errors = wrong;
    Err(problem.into())
}

impl Limit {
    /// Headers of an answer that this limit has refused for so many seconds.
    fn describe(self, seconds: u64, headers: &mut HeaderMap) {
        let mut set = |name: HeaderName, text: String| {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        };
        let name = self.name;
        set(RATELIMIT.clone(), format!("\"{name}\";r=0;t={seconds}"));
        if let Some((most, window)) = self.policy {
            set(
                RATELIMIT_POLICY.clone(),
                format!("\"{name}\";q={most};w={window}"),
            );
        }
    }
}

impl Problem {
    pub fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            detail: Cow::Borrowed(kind.doc),
            errors: Vec::new(),
            retry_after: None,
            limit: None,
        }
    }

    /// The HTTP answer; `instance` identifies the request.
    pub fn response(&self, instance: Option<Uuid>) -> Response {
        let mut response = Response::new(Body::from(self.body(instance)));
        *response.status_mut() =
            axum::http::StatusCode::from_u16(self.kind.status).expect("a listed status");
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(CONTENT_TYPE),
        );
        if self.kind.status == 401 {
            let challenge = if self.kind.slug == "authentication-required" {
                "Bearer"
            } else {
                "Bearer error=\"invalid_token\""
            };
            headers.insert(
                header::WWW_AUTHENTICATE,
                header::HeaderValue::from_static(challenge),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
            if let Some(limit) = self.limit {
                limit.describe(seconds, headers);
            }
        }
        response
    }

    pub(crate) fn body(&self, instance: Option<Uuid>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            instance: Option<String>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [Item],
        }
        serde_json::to_vec(&Document {
            r#type: format!("/problems/{}", self.kind.slug),
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            instance: instance.map(|id| id.urn().to_string()),
            errors: &self.errors,
        })
        .expect("plain data")
    }
}

impl Item {
    pub fn body(
        pointer: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            pointer: Some(pointer.into()),
            parameter: None,
            object: None,
            code,
            detail: detail.into(),
        }
    }

    pub fn object(object: Named, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            pointer: None,
            parameter: None,
            object: Some(object),
            code,
            detail: detail.into(),
        }
    }

    pub fn query(
        parameter: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            pointer: None,
            parameter: Some(parameter.into()),
            object: None,
            code,
            detail: detail.into(),
        }
    }
}

impl From<FieldError> for Item {
    fn from(error: FieldError) -> Self {
        Self::body(error.pointer, error.code, error.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_document_of_rfc_9457() {
        let mut problem = Problem::new(&problems::INVALID);
        problem
            .errors
            .push(Item::body("/title", "length", "Use 1 to 140 characters."));
        problem
            .errors
            .push(Item::query("limit", "range", "Use 1 to 100."));
        let document: serde_json::Value =
            serde_json::from_slice(&problem.body(Some(Uuid::nil()))).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "type": "/problems/invalid-request",
                "title": problems::INVALID.title,
                "status": 422,
                "detail": problems::INVALID.doc,
                "instance": "urn:uuid:00000000-0000-0000-0000-000000000000",
                "errors": [
                    {"pointer": "/title", "code": "length", "detail": "Use 1 to 140 characters."},
                    {"parameter": "limit", "code": "range", "detail": "Use 1 to 100."},
                ],
            })
        );
    }

    #[test]
    fn every_401_challenges_and_waiting_is_announced() {
        let answer = Problem::new(&problems::INVALID_TOKEN).response(None);
        assert_eq!(
            answer.headers()["www-authenticate"],
            "Bearer error=\"invalid_token\""
        );
        let mut busy = Problem::new(&problems::UNAVAILABLE);
        busy.retry_after = Some(2);
        assert_eq!(busy.response(None).headers()["retry-after"], "2");
        assert!(!busy.response(None).headers().contains_key("ratelimit"));
        let mut over = Problem::new(&problems::QUOTA);
        over.retry_after = Some(60);
        over.limit = Some(Limit {
            name: "uploads",
            policy: Some((20, 60)),
        });
        let answer = over.response(None);
        assert_eq!(answer.headers()["ratelimit"], "\"uploads\";r=0;t=60");
        assert_eq!(
            answer.headers()["ratelimit-policy"],
            "\"uploads\";q=20;w=60"
        );
    }
}
