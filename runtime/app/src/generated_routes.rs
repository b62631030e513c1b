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

/// The maximum number of ids in the query string of a generated list.
const IDS_MAX: usize = 100;

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

/// Those of these objects that the caller may see, in the order of `ids`, with these relations. `path` is the path of
/// their list.
pub async fn shown(
    generated: &Router,
    caller: &Caller,
    path: &str,
    ids: &[Uuid],
    expand: &[&str],
) -> Result<std::result::Result<Vec<Value>, Response>> {
    if ids.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let list: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let mut found: HashMap<String, Value> = HashMap::new();
    for some in list.chunks(IDS_MAX) {
        let mut path = format!("/{path}?limit={}&id.in={}", some.len(), some.join(","));
        if !expand.is_empty() {
            path = format!("{path}&expand={}", expand.join(","));
        }
        let mut answer = match ask(generated, caller, Asking::Read(path)).await? {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let shown = rows(&mut answer).into_iter();
        found.extend(shown.filter_map(|one| Some((one["id"].as_str()?.to_owned(), one))));
    }
    Ok(Ok(list.iter().filter_map(|id| found.remove(id)).collect()))
}

/// A list whose order a module determines.
pub trait Ordered: Sync {
    /// Where a row stands, apart from its id.
    type Place: Clone + Send + Sync;

    /// The rows after a place, at most `rows`. With `only_seen`, only those that the caller may see; otherwise others may
    /// be among them, which is faster.
    fn find(
        &self,
        after: Option<&(Self::Place, Uuid)>,
        rows: i64,
        only_seen: bool,
    ) -> impl Future<Output = Result<Vec<(Self::Place, Uuid)>>> + Send;
}

/// A page of such a list.
pub struct Page<P> {
    pub shown: Vec<Value>,
    /// The last row, if there are more that the caller may see.
    pub last: Option<(P, Uuid)>,
}

/// Fills a page with objects that the caller may see, with these relations. `rows` is one more than a page has. Rows that
/// the caller may not see change nothing, however many there are: neither the objects of a page, nor whether it has a
/// next one.
pub async fn page<L: Ordered>(
    generated: &Router,
    caller: &Caller,
    path: &str,
    list: &L,
    mut after: Option<(L::Place, Uuid)>,
    (rows, expand): (i64, &[&str]),
) -> Result<std::result::Result<Page<L::Place>, Response>> {
    let mut filled: Vec<((L::Place, Uuid), Value)> = Vec::new();
    for round in 0..ROUNDS {
        let wanted = rows - filled.len() as i64;
        let found = list.find(after.as_ref(), wanted, round > 0).await?;
        let is_end = (found.len() as i64) < wanted;
        let ids: Vec<Uuid> = found.iter().map(|(_, id)| *id).collect();
        let mut objects = match shown(generated, caller, path, &ids, expand).await? {
            Ok(objects) => objects.into_iter().peekable(),
            Err(refusal) => return Ok(Err(refusal)),
        };
        after = found.last().cloned().or(after);
        for place in found {
            let is_this = |one: &Value| one["id"].as_str() == Some(&place.1.to_string());
            if let Some(object) = objects.next_if(is_this) {
                filled.push((place, object));
            }
        }
        if is_end || filled.len() as i64 == rows {
            break;
        }
    }
    let is_more = filled.len() as i64 == rows;
    filled.truncate(usize::try_from(rows - 1).unwrap_or_default());
    let last = filled.last().map(|(place, _)| place.clone());
    Ok(Ok(Page {
        shown: filled.into_iter().map(|(_, object)| object).collect(),
        last: last.filter(|_| is_more),
    }))
}

/// The objects of a list's answer.
pub fn rows(answer: &mut Map<String, Value>) -> Vec<Value> {
    match answer.get_mut("data").map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    }
}
