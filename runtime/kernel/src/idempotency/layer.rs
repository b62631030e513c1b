//! The layers of routes that demand a key, and of those that offer one: their work may talk to others, so it is no single transaction.
//!
//! The key is claimed for a minute in a transaction of its own, the handler runs, its answer is kept in another one.
//! A process that dies in between leaves a claim that ends by itself; whoever asks then runs the handler again, which
//! learns from [`Claimed`] that it was begun before. So it does after an accident (5xx) of the attempt before.
//!
//! Where a key is demanded, one that nobody had before is counted for its member, in the transaction that claims it. Repeats
//! are free.

use super::{Claim, Claimed, HEADER, Request, key};
use crate::{
    caller::Caller,
    cx::{Cx, Db},
    error::{Carried, Error, Result},
    http::body,
    problems, quota,
};
use axum::{
    body::Body,
    extract::{self, MatchedPath, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{sync::Arc, time::Duration};
use tracing::Instrument;

/// For as long a claim holds although nobody says that it is being worked on.
const LEASE: Duration = Duration::from_secs(60);

/// The name under which the database counts them.
const COUNTED_AS: &str = "keyed request";

/// What the layer works with.
#[derive(Clone)]
pub struct Keyed {
    pub db: Db,
    /// How many such requests one member may begin in a day (UTC), over all routes and processes. `None`: any number.
    pub per_day: Option<u32>,
}

/// `.route_layer(from_fn_with_state(keyed, idempotency::required))`
pub async fn required(
    State(keyed): State<Keyed>,
    request: extract::Request,
    next: Next,
) -> Response {
    to_its_end(keyed, is_answer, request, next).await
}

/// Which answers are kept.
type Keeps = fn(StatusCode) -> bool;

async fn to_its_end(keyed: Keyed, keeps: Keeps, request: extract::Request, next: Next) -> Response {
    let (parts, content) = request.into_parts();
    // The database proves the caller where the key is claimed.
    let caller = Caller::unproven(&parts);
    let request = extract::Request::from_parts(parts, content);
    // To its end also when the client goes away: what was done is kept.
    let work = async move { once(keyed, keeps, caller, request, next).await };
    match tokio::spawn(work.in_current_span()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => error.into_response(),
        Err(panicked) => Error::internal(panicked).into_response(),
    }
}

/// `.route_layer(from_fn_with_state(keyed, idempotency::offered))`: as [`required`], for whoever sends a key; others are
/// let through. For routes that create something and move no money, so nothing is counted; what is refused has had no
/// effect and is decided anew, as generated creates do it.
pub async fn offered(
    State(keyed): State<Keyed>,
    request: extract::Request,
    next: Next,
) -> Response {
    if !request.headers().contains_key(&HEADER) {
        return next.run(request).await;
    }
    let keyed = Keyed {
        per_day: None,
        ..keyed
    };
    let keeps = |status: StatusCode| status.is_success();
    to_its_end(keyed, keeps, request, next).await
}

async fn once(
    layer: Keyed,
    keeps: Keeps,
    caller: Caller,
    request: extract::Request,
    next: Next,
) -> Result<Response> {
    let db = layer.db;
    caller.user()?;
    let (mut parts, content) = request.into_parts();
    let Some(key) = key(&parts.headers)? else {
        return Err(Error::new(&problems::BAD_REQUEST).detail(
            "This operation needs an `Idempotency-Key`: a fresh text of 16 to 255 visible ASCII characters.",
        ));
    };
    let content = body::read(content).await?;
    let route = parts.extensions.get::<MatchedPath>();
    let route = route
        .map_or(parts.uri.path(), MatchedPath::as_str)
        .to_owned();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let keyed = Arc::new(Request::new(
        parts.method.as_str(),
        &route,
        path,
        key,
        &content,
    ));

    let mut cx = begin(&db, &caller).await?;
    let attempt = match keyed.claim(&mut cx, LEASE).await? {
        Claim::Done(response) => return Ok(response),
        Claim::Work(attempt) => attempt,
    };
    if let (1, Some(per_day)) = (attempt, layer.per_day) {
        quota::take(&mut cx, COUNTED_AS, per_day).await?;
    }
    cx.commit().await?;
    parts.extensions.insert(Claimed {
        request: keyed.clone(),
        attempt,
    });
    let response = next
        .run(extract::Request::from_parts(parts, Body::from(content)))
        .await;
    let claimed = Claimed {
        request: keyed,
        attempt,
    };
    finish(&db, &caller, &claimed, keeps, response).await
}

async fn begin(db: &Db, caller: &Caller) -> Result<Cx> {
    db.begin_write(caller, "idempotency").await
}

/// Refusals of who may ask at all, and accidents, are not answers: they are decided anew.
fn is_answer(status: StatusCode) -> bool {
    let refused = [401, 403, 408, 429].contains(&status.as_u16());
    !status.is_server_error() && !refused
}

async fn finish(
    db: &Db,
    caller: &Caller,
    claimed: &Claimed,
    keeps: Keeps,
    response: Response,
) -> Result<Response> {
    let (keyed, attempt) = (&claimed.request, claimed.attempt);
    let is_kept = keeps(response.status());
    let response = match is_kept {
        true => written_out(response, caller),
        false => response,
    };
    let mut cx = begin(db, caller).await?;
    if !is_kept {
        // An accident may have come after the work had talked to others.
        let begun = response.status().is_server_error();
        keyed.give_up(&mut cx, attempt, begun).await?;
        cx.commit().await?;
        return Ok(response);
    }
    let (parts, content) = response.into_parts();
    let content = body::read(content).await?;
    keyed
        .keep(&mut cx, attempt, parts.status, &parts.headers, &content)
        .await?;
    cx.commit().await?;
    Ok(Response::from_parts(parts, Body::from(content)))
}

/// A refusal as the client will get it, with the id of this request.
fn written_out(mut response: Response, caller: &Caller) -> Response {
    match response.extensions_mut().remove::<Carried>() {
        Some(carried) => {
            let cause = carried.cause.as_deref().unwrap_or_default();
            tracing::debug!(kind = carried.problem.kind.slug, cause, "refused");
            carried.problem.response(Some(caller.request_id))
        }
        None => response,
    }
}
