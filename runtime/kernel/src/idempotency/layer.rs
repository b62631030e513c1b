//! The layers of routes that require a key and of those that offer one. Their work may call other services, so it is
//! not a single transaction.
//!
//! The key is claimed for a minute in a transaction of its own, the handler runs, and its answer is stored in another
//! transaction. If the process dies in between, the claim expires; the next request with the key runs the handler
//! again, which learns from [`Claimed`] that an attempt had begun. The same happens after an attempt that failed with
//! 5xx.
//!
//! Where a key is required, each new key is counted for its member, in the transaction that claims it. Repeats are not
//! counted.

use super::{Claim, Claimed, HEADER, Request, key};
use crate::{
    caller::Caller,
    cx::{Cx, Db, Steps},
    error::{Carried, Error, Result},
    http::body,
    journey::try_again,
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

/// How long a claim lasts without a sign that it is being worked on.
const LEASE: Duration = Duration::from_secs(60);

/// The name of the quota in the database.
const COUNTED_AS: &str = "keyed request";

/// The state of the layer.
#[derive(Clone)]
pub struct Keyed {
    pub db: Db,
    /// How many such requests one member may begin per day (UTC), over all routes and processes. `None`: any number.
    pub per_day: Option<u32>,
}

/// `.route_layer(from_fn_with_state(keyed, idempotency::required))`
pub async fn required(
    State(keyed): State<Keyed>,
    request: extract::Request,
    next: Next,
) -> Response {
    to_the_end(keyed, is_answer, request, next).await
}

/// `.route_layer(from_fn_with_state(keyed, idempotency::offered))`: like [`required`] for requests with a key; those
/// without are let through. For routes that create something and move no money, so nothing is counted. A refused
/// request has had no effect and is handled anew, as with generated creates.
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
    to_the_end(keyed, keeps, request, next).await
}

/// Which answers are kept.
type Keeps = fn(StatusCode) -> bool;

/// Runs the request even if the client disconnects, so that its answer is stored.
async fn to_the_end(keyed: Keyed, keeps: Keeps, request: extract::Request, next: Next) -> Response {
    let (parts, content) = request.into_parts();
    // The database proves the caller when the key is claimed.
    let caller = Caller::unproven(&parts);
    let request = extract::Request::from_parts(parts, content);
    let work = async move { once(keyed, keeps, caller, request, next).await };
    match tokio::spawn(work.in_current_span()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => error.into_response(),
        Err(panicked) => Error::internal(panicked).into_response(),
    }
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
    let method = parts.method.as_str();
    let keyed = Arc::new(Request::new(method, &route, path, key, &content));

    let (request, per_day) = (&*keyed, layer.per_day);
    let claim = in_turn(&db, &caller, |cx| {
        Box::pin(async move {
            let claim = request.claim(cx, LEASE).await?;
            if let (Claim::Work(1), Some(per_day)) = (&claim, per_day) {
                quota::take(cx, COUNTED_AS, per_day).await?;
            }
            Ok(claim)
        })
    });
    let attempt = match claim.await? {
        Claim::Done(response) => return Ok(response),
        Claim::Work(attempt) => attempt,
    };
    let claimed = Claimed {
        request: keyed,
        attempt,
    };
    parts.extensions.insert(claimed.clone());
    let request = extract::Request::from_parts(parts, Body::from(content));
    let response = next.run(request).await;
    finish(&db, &caller, &claimed, keeps, response).await
}

/// A transaction of the caller's about the key, which is run again if it loses against a concurrent one.
async fn in_turn<'env, T>(
    db: &Db,
    caller: &Caller,
    mut work: impl for<'cx> FnMut(&'cx mut Cx) -> Steps<'cx, 'env, Result<T>> + Send,
) -> Result<T> {
    let mut attempt = 1;
    loop {
        let mut cx = db.begin_write(caller, "idempotency").await?;
        let outcome = match work(&mut cx).await {
            Ok(done) => cx.commit().await.map(|()| done).map_err(Error::from),
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if try_again(&error, attempt) => attempt += 1,
            outcome => return outcome,
        }
    }
}

/// Refusals to ask at all (authentication, limits) and failures of the server are not stored: the next request is
/// handled anew.
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
    let (keyed, attempt) = (&*claimed.request, claimed.attempt);
    if !keeps(response.status()) {
        // A failure may have happened after the work had called other services.
        let begun = response.status().is_server_error();
        let given_up = in_turn(db, caller, |cx| {
            Box::pin(async move { keyed.give_up(cx, attempt, begun).await })
        });
        note(given_up.await);
        return Ok(response);
    }
    let (parts, content) = written_out(response, caller).into_parts();
    let content = body::read(content).await?;
    let (status, headers, text) = (parts.status, &parts.headers, &content);
    let kept = in_turn(db, caller, |cx| {
        Box::pin(async move { keyed.keep(cx, attempt, status, headers, text).await })
    });
    note(kept.await);
    Ok(Response::from_parts(parts, Body::from(content)))
}

/// What was done is done even if that can't be noted, for example because the caller's session has ended since or the
/// database is out of reach, so the client is told what was done. The claim then expires, as that of a process that died.
fn note(stored: Result<bool>) {
    if let Err(error) = stored {
        let cause = error.reason();
        tracing::warn!(cause, "the answer to a request with a key was not stored");
    }
}

/// A refusal as the client gets it, with the id of this request.
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
