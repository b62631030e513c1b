//! `Idempotency-Key`: a request that is sent twice has its effect once and gets the same answer.
//!
//! A key belongs to the caller, the method and the route; keys are stored in the database (`requests.keys`). Work that
//! is a single transaction claims its key, does its work and stores its answer in that transaction, so it can't be
//! half done. Work that calls other services goes through [`required`], which claims the key for a while and stores
//! the answer afterwards. If such a route does its work in one transaction after all, it can store its answer in it
//! through [`Claimed`].

mod claimed;
mod layer;
mod looked_up;

pub use claimed::{Answer, Claimed};
pub use layer::{Keyed, offered, required};
pub use looked_up::{LookedUp, look_up};

use crate::{
    cx::Cx,
    error::{Error, Result},
    problems,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::{Row, types::Json};
use std::time::Duration;

static HEADER: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Headers that are stored with an answer; all others belong to the connection or the request.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

const SHORTEST: usize = 16;
const LONGEST: usize = 255;

/// A request, identified by its key.
#[derive(Debug)]
pub struct Request {
    method: String,
    route: String,
    key: String,
    fingerprint: String,
}

/// What to do with a request.
pub enum Claim {
    /// Do the work. The number of the attempt is more than 1 if an earlier one ended without an answer.
    Work(i32),
    /// It was done before: this is the stored answer.
    Done(Response),
}

/// The key of a request, if it has one. 400 if it is malformed.
pub fn key(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut all = headers.get_all(&HEADER).iter();
    let Some(value) = all.next() else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|text| is_key(text));
    match (key, all.next()) {
        (Some(key), None) => Ok(Some(key)),
        _ => Err(Error::new(&problems::BAD_REQUEST).detail(
            "`Idempotency-Key` is one text of 16 to 255 visible ASCII characters, such as a UUID.",
        )),
    }
}

/// Whether a text is valid as an idempotency key.
pub fn is_key(text: &str) -> bool {
    let is_visible = |byte: u8| (b'!'..=b'~').contains(&byte);
    (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(is_visible)
}

impl Request {
    /// `route` is the template (`/tickets/{id}/refunds`), `path` the actual path, whose parameters are part of the
    /// request.
    pub fn new(method: &str, route: &str, path: &str, key: &str, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [path.as_bytes(), &canonical(body)] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self {
            method: method.to_owned(),
            route: route.to_owned(),
            key: key.to_owned(),
            fingerprint: URL_SAFE_NO_PAD.encode(hash.finalize()),
        }
    }

    /// In the caller's transaction. If another transaction holds the key, waits for it, but not for long.
    pub async fn claim(&self, cx: &mut Cx, lease: Duration) -> Result<Claim> {
        let text = "select outcome, attempt, status, headers, body from requests.claim($1, $2, $3, $4, $5)";
        let claimed = sqlx::query(text)
            .bind(&self.method)
            .bind(&self.route)
            .bind(&self.key)
            .bind(&self.fingerprint)
            .bind(TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX))
            .fetch_one(cx.conn())
            .await;
        let row = match claimed {
            Ok(row) => row,
            Err(error) if is_lock_timeout(&error) => return Err(busy().because(error)),
            Err(error) => return Err(error.into()),
        };
        match row.try_get("outcome")? {
            "new" | "again" => Ok(Claim::Work(row.try_get("attempt")?)),
            "done" => {
                let Json(headers) = row.try_get("headers")?;
                let (status, body) = (row.try_get("status")?, row.try_get("body")?);
                Ok(Claim::Done(replay(status, &headers, body)?))
            }
            "other" => Err(Error::new(&problems::KEY_REUSED)),
            _ => Err(busy()),
        }
    }

    /// Stores the answer. False: another attempt holds the key by now, and its answer counts.
    pub async fn keep(
        &self,
        cx: &mut Cx,
        attempt: i32,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<bool> {
        let kept: Map<String, Value> = KEPT
            .iter()
            .filter_map(|name| {
                let value = headers.get(name)?.to_str().ok()?;
                Some((name.as_str().to_owned(), value.into()))
            })
            .collect();
        let answered = sqlx::query_scalar("select requests.answer($1, $2, $3, $4, $5, $6, $7)")
            .bind(&self.method)
            .bind(&self.route)
            .bind(&self.key)
            .bind(attempt)
            .bind(i32::from(status.as_u16()))
            .bind(Json(kept))
            .bind(body);
        Ok(answered.fetch_one(cx.conn()).await?)
    }

    /// Releases the key, so that the next request is handled anew. `begun`: the work may have had an effect, so the
    /// next one counts as a further attempt.
    pub async fn give_up(&self, cx: &mut Cx, attempt: i32, begun: bool) -> Result<bool> {
        let given_up = sqlx::query_scalar("select requests.give_up($1, $2, $3, $4, $5)")
            .bind(&self.method)
            .bind(&self.route)
            .bind(&self.key)
            .bind(attempt)
            .bind(begun);
        Ok(given_up.fetch_one(cx.conn()).await?)
    }
}

fn busy() -> Error {
    Error::new(&problems::KEY_IN_USE).retry_after(1)
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "55P03")
}

fn replay(status: i32, headers: &Map<String, Value>, body: Vec<u8>) -> Result<Response> {
    let status = u16::try_from(status).map_err(Error::internal)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).map_err(Error::internal)?;
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(Error::internal)?;
        let value = value.as_str().unwrap_or_default();
        let value = HeaderValue::try_from(value).map_err(Error::internal)?;
        response.headers_mut().insert(name, value);
    }
    let replayed = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED.clone(), replayed);
    Ok(response)
}

/// The same for equivalent bodies: without whitespace, members sorted by name.
fn canonical(body: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => serde_json::to_vec(&sorted(value)).unwrap_or_default(),
        Err(_) => body.to_vec(),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(path: &str, body: &str) -> String {
        Request::new("POST", "/a/{id}", path, "0123456789abcdef", body.as_bytes()).fingerprint
    }

    #[test]
    fn what_means_the_same_has_the_same_fingerprint() {
        let one = fingerprint("/a/1", r#"{"a": 1, "b": {"x": [1, 2], "y": null}}"#);
        assert_eq!(
            one,
            fingerprint("/a/1", r#"{"b":{"y":null,"x":[1,2]},"a":1}"#)
        );
        for (path, body) in [
            ("/a/2", r#"{"a": 1, "b": {"x": [1, 2], "y": null}}"#),
            ("/a/1", r#"{"a": 1, "b": {"x": [2, 1], "y": null}}"#),
            ("/a/1", r#"{"a": 1, "b": {"x": [1, 2]}}"#),
            ("/a/1", ""),
        ] {
            assert_ne!(one, fingerprint(path, body), "{path} {body}");
        }
        assert_ne!(fingerprint("/a", "bc"), fingerprint("/ab", "c"));
    }

    #[test]
    fn keys_are_visible_texts_of_some_length() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(
                    HEADER.clone(),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                );
            }
            key(&headers)
                .map(|key| key.map(str::to_owned))
                .map_err(|error| error.status())
        };
        let good = "0b8f6f0e-6c5e-7a41";
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[good]), Ok(Some(good.to_owned())));
        assert_eq!(read(&[&"x".repeat(255)]), Ok(Some("x".repeat(255))));
        for wrong in [
            "short",
            "0123456789 abcdef",
            "0123456789abcdéf",
            &"x".repeat(256),
        ] {
            assert_eq!(read(&[wrong]), Err(400), "{wrong}");
        }
        assert_eq!(read(&[good, good]), Err(400));
    }
}
