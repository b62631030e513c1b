//! Calls generated routes in this process on behalf of the caller: to show objects as these routes show them, in an
//! order that a module determines, and to create or end objects under their rules, quotas and audit.
//!
//! Format and documentation of the generated routes apply as well. This file may not know any entity.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderValue, Method, Request, Uri, header},
    response::Response,
};
use kernel::{Caller, Error, Result};
use serde_json::{Map, Value};
use std::collections::HashMap;
use tower::ServiceExt;
use uuid::Uuid;

/// The maximum size of a generated answer in bytes: more than a page of the largest objects.
const ANSWER_MAX: usize = 16 << 20;

/// How many queries may fill a page, if the caller may not see some of the objects that were found for it.
pub const ROUNDS: usize = 5;

/// The caller and the URI of a request. The caller has not been verified yet: every query that follows makes the
/// caller known to the database, which refuses callers whose account or session is not active.
pub fn asked(request: Request<Body>) -> (Caller, Uri) {
    let (parts, _) = request.into_parts();
    (Caller::unproven(&parts), parts.uri)
}

/// A request to the generated API.
pub enum Asking {
    Read(String),
    Create(&'static str, Value),
    /// With this `Idempotency-Key`.
    CreateOnce(&'static str, Value, String),
    Archive(String),
    /// A transition, which has no body.
    Act(String),
}

/// Sends the request to the generated API on behalf of this caller. Returns the answer's object, or the error
/// response.
pub async fn ask(
    generated: &Router,
    caller: &Caller,
    asking: Asking,
) -> Result<std::result::Result<Map<String, Value>, Response>> {
    let mut key = None;
    let (method, path, body) = match asking {
        Asking::Read(path) => (Method::GET, path, Body::empty()),
        Asking::Create(path, body) => (Method::POST, path.to_owned(), body.to_string().into()),
        Asking::CreateOnce(path, body, once) => {
            key = Some(HeaderValue::try_from(once).map_err(Error::internal)?);
            (Method::POST, path.to_owned(), body.to_string().into())
        }
        Asking::Archive(path) => (Method::DELETE, path, Body::empty()),
        Asking::Act(path) => (Method::POST, path, Body::empty()),
    };
    let json = HeaderValue::from_static("application/json");
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(Error::internal)?;
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Some(key) = key {
        request.headers_mut().insert("idempotency-key", key);
    }
    // The caller with the request id, but no other extension of the original request, such as its route.
    request.extensions_mut().insert(*caller);
    let answer = match generated.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    if !answer.status().is_success() {
        return Ok(Err(answer));
    }
    let body = to_bytes(answer.into_body(), ANSWER_MAX)
        .await
        .map_err(Error::internal)?;
    // The answer to an archive request is empty.
    match serde_json::from_slice(&body) {
        Ok(object) => Ok(Ok(object)),
        Err(_) if body.is_empty() => Ok(Ok(Map::new())),
        Err(error) => Err(Error::internal(error)),
    }
}

/// Those of these objects that the caller may see, in the order of `ids`. `path` is the path of their list.
pub async fn shown(
    generated: &Router,
    caller: &Caller,
    path: &str,
    ids: &[Uuid],
) -> Result<std::result::Result<Vec<Value>, Response>> {
    if ids.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let list: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let path = format!("/{path}?limit={}&id.in={}", ids.len(), list.join(","));
    let mut answer = match ask(generated, caller, Asking::Read(path)).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut found: HashMap<String, Value> = rows(&mut answer)
        .into_iter()
        .filter_map(|one| Some((one["id"].as_str()?.to_owned(), one)))
        .collect();
    Ok(Ok(list.iter().filter_map(|id| found.remove(id)).collect()))
}

/// The objects of a list's answer.
pub fn rows(answer: &mut Map<String, Value>) -> Vec<Value> {
    match answer.get_mut("data").map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    }
}
