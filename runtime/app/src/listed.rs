//! Objects as generated routes show them to this caller, in an order that a module has found.
//!
//! They are asked for by their ids, so rules, form and documentation are those of the generated list. Knows no entity.

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

/// More than a page of the largest objects.
const ANSWER_MAX: usize = 16 << 20;

/// How often a page is filled up that became shorter, because the caller may not see what was found for it.
pub const ROUNDS: usize = 5;

/// Who asks, and the query string. Nobody is proven: whatever is asked for them, the database is told who they are, and
/// refuses those whose account or session is not good.
pub fn asked(request: Request<Body>) -> (Caller, Uri) {
    let (parts, _) = request.into_parts();
    (Caller::unproven(&parts), parts.uri)
}

/// What the generated API is asked.
pub enum Asking {
    Read(String),
    Create(&'static str, Value),
    /// By this `Idempotency-Key`.
    CreateOnce(&'static str, Value, String),
    Archive(String),
    /// A verb without a body.
    Act(String),
}

/// An answer of the generated API as this caller gets it, or the refusal.
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
    // Who asks, and under which id; nothing of the route that was asked.
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
    // What is archived answers nothing.
    match serde_json::from_slice(&body) {
        Ok(object) => Ok(Ok(object)),
        Err(_) if body.is_empty() => Ok(Ok(Map::new())),
        Err(error) => Err(Error::internal(error)),
    }
}

/// Those of these objects that the caller may see, in this order. `path` is that of their list.
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

/// What is in a list.
pub fn rows(answer: &mut Map<String, Value>) -> Vec<Value> {
    match answer.get_mut("data").map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    }
}
