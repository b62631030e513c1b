//! Events as `GET /events` shows them to this caller, in an order that somebody else has found.
//!
//! They are asked for by their ids, so rules, form and documentation are those of the generated list. Knows no rank.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, request::Parts},
    response::Response,
};
use kernel::{Error, Result};
use serde_json::{Map, Value};
use std::collections::HashMap;
use tower::ServiceExt;
use uuid::Uuid;

/// More than a page of the largest objects.
const ANSWER_MAX: usize = 16 << 20;

/// How often a page is filled up that became shorter, because the caller may not see what was found for it.
pub const ROUNDS: usize = 5;

/// A list of the generated API as this caller gets it, or the refusal.
pub async fn ask(
    generated: &Router,
    asked: &Parts,
    path: String,
) -> Result<std::result::Result<Map<String, Value>, Response>> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().map_err(Error::internal)?;
    // Who asks, and under which id.
    *request.extensions_mut() = asked.extensions.clone();
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
    match serde_json::from_slice(&body).map_err(Error::internal)? {
        Value::Object(list) => Ok(Ok(list)),
        _ => Err(Error::internal("a list is an object")),
    }
}

/// Those of these events that the caller may see, in this order.
pub async fn shown(
    generated: &Router,
    asked: &Parts,
    ids: &[Uuid],
) -> Result<std::result::Result<Vec<Value>, Response>> {
    if ids.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let list: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let path = format!("/events?limit={}&id.in={}", ids.len(), list.join(","));
    let mut answer = match ask(generated, asked, path).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut events: HashMap<String, Value> = rows(&mut answer)
        .into_iter()
        .filter_map(|event| Some((event["id"].as_str()?.to_owned(), event)))
        .collect();
    Ok(Ok(list.iter().filter_map(|id| events.remove(id)).collect()))
}

/// What is in a list.
pub fn rows(answer: &mut Map<String, Value>) -> Vec<Value> {
    match answer.get_mut("data").map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    }
}
