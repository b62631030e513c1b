//! The outermost layer: request id, tracing span, limits that need no credentials, and one form of error answers.
//!
//! One function instead of a stack of layers: the order is the order of the lines, and a request pays for one boxed
//! future only.

use super::{Http, body, client, compress, limited::Limited, metrics, place::Place, unread};
use crate::{
    caller::Caller,
    error::{Carried, Error},
    problem::{self, Problem},
    problems,
    value::parse_id,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use hyper::body::Body as _;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};
use tracing::Instrument;
use uuid::Uuid;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) async fn outer(
    State(http): State<Arc<Http>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = Uuid::now_v7();
    let told = given_id(request.headers()).unwrap_or(id);
    let peer = request.extensions().get::<client::Peer>().copied();
    let ip = client::address(peer, request.headers(), &http.proxies);
    request.extensions_mut().insert(Caller {
        ip,
        ..Caller::anonymous(id)
    });

    let span = tracing::info_span!(
        "request",
        %id,
        method = %request.method(),
        path = logged(&http.config.secret_paths, request.uri().path()),
        client_id = sane_id(request.headers()),
        user = tracing::field::Empty,
        entity = tracing::field::Empty,
        action = tracing::field::Empty,
    );
    let credential = request.headers().contains_key(header::AUTHORIZATION);
    let origin = request.headers().get(header::ORIGIN).cloned();
    let rest = unread::lend(&mut request);

    let run = AssertUnwindSafe(admit(&http, request, next)).catch_unwind();
    let mut response = match run.instrument(span.clone()).await {
        Ok(response) => response,
        Err(_) => {
            metrics::PANICS.add();
            Error::internal("a handler panicked").into_response()
        }
    };
    if response.status().as_u16() >= 400 {
        response = span.in_scope(|| as_problem(response, told));
    }
    finish(&mut response, told, credential);
    http.origins.allow(origin.as_ref(), response.headers_mut());
    let took = started.elapsed();
    metrics::answered(response.status().as_u16(), took);
    span.in_scope(|| {
        tracing::info!(
            status = response.status().as_u16(),
            micros = took.as_micros() as u64,
            "answered"
        )
    });
    if let Some(rest) = rest {
        rest.settle(http.config.body_limit, &mut response).await;
    }
    response
}

/// Headers of every answer.
pub(crate) fn finish(response: &mut Response, id: Uuid, credential: bool) {
    let failed = response.status().as_u16() >= 400;
    let headers = response.headers_mut();
    let mut text = Uuid::encode_buffer();
    if let Ok(value) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)) {
        headers.insert(REQUEST_ID.clone(), value);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    headers.append(header::VARY, HeaderValue::from_static("authorization"));
    if (credential || failed) && !compress::is_secret(headers) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else {
        // Otherwise caches choose themselves how long they keep an answer, some of them for a day.
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache"));
    }
}

/// The path for the log, without a secret that it may contain: also where it matches no route, because a client has
/// put something before or after it.
fn logged<'a>(secret: &[&'static str], path: &'a str) -> &'a str {
    let lower = path.to_ascii_lowercase();
    let known = secret.iter().find(|route| {
        let end = route.find('{').unwrap_or(route.len());
        // The last segment before the secret, however often the slashes are repeated: `calendar-feeds`.
        let before = route[..end].trim_matches('/').rsplit('/').next();
        before.is_some_and(|before| lower.contains(before))
    });
    known.copied().unwrap_or(path)
}

/// Everything that can be refused before routing, then the router.
async fn admit(http: &Http, mut request: Request, next: Next) -> Response {
    if let Some(preflight) = http.origins.preflight(&request) {
        return preflight;
    }
    if header_bytes(&request) > http.config.max_header_bytes {
        return Error::new(&problems::HEADERS_TOO_LARGE).into_response();
    }
    let body_limit = match body_limit(http, &request) {
        Ok(limit) => limit,
        Err(error) => return error.into_response(),
    };
    let caller = request.extensions().get::<Caller>().copied();
    let mut quota = None;
    if let (Some(limiter), Some(ip)) = (&http.per_ip, caller.and_then(|caller| caller.ip)) {
        match limiter.check(&client::bucket(ip)) {
            Ok(left) => quota = Some((limiter, left)),
            Err(refused) => return refused.into_response(),
        }
    }
    let Some(place) = Place::take(&http.requests) else {
        metrics::SHED.add();
        return Error::unavailable().retry_after(1).into_response();
    };
    // The body has a time limit of its own, and the handler's time is added to it.
    let mut time = http.config.handler_timeout;
    if let Some(limit) = body_limit {
        time += http.config.body_timeout;
        let whole = std::mem::replace(request.body_mut(), Body::empty());
        let place = place.clone();
        let limited = Limited::new(whole, limit, http.config.body_timeout, place);
        *request.body_mut() = Body::new(limited);
    }
    let mut response = match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::too_slow().into_response(),
    };
    if let Some((limiter, left)) = quota {
        limiter.describe(left, response.headers_mut());
    }
    response
}

fn header_bytes(request: &Request) -> usize {
    let line = request
        .uri()
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    request.headers().iter().fold(line, |sum, (name, value)| {
        sum + name.as_str().len() + value.len() + 4
    })
}

/// The greatest length of the body; None without a body.
fn body_limit(http: &Http, request: &Request) -> Result<Option<usize>, Error> {
    let headers = request.headers();
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| value != "identity")
    {
        return Err(Error::new(&problems::MEDIA_TYPE).detail("Compressed bodies are not accepted."));
    }
    if request.body().is_end_stream() {
        return Ok(None);
    }
    let (limits, path) = (&http.config.body_limits, request.uri().path());
    let own = limits.iter().find(|limit| limit.is_for(path));
    let limit = own.map_or(http.config.body_limit, |limit| limit.bytes);
    if request.body().size_hint().lower() > limit as u64 {
        return Err(body::too_large(limit));
    }
    Ok(Some(limit))
}

/// Turns every refusal into problem+json with the id of the request, whichever layer made it.
fn as_problem(mut response: Response, id: Uuid) -> Response {
    let carried = response.extensions_mut().remove::<Carried>();
    let (problem, cause) = match carried {
        Some(carried) => (carried.problem, carried.cause),
        None if is_problem(response.headers()) => return response,
        None => (
            Problem::new(problems::by_status(response.status().as_u16())),
            None,
        ),
    };
    if problem.kind.status >= 500 {
        tracing::error!(
            kind = problem.kind.slug,
            cause = cause.as_deref().unwrap_or_default(),
            "failed"
        );
    } else if let Some(cause) = cause.as_deref() {
        tracing::debug!(kind = problem.kind.slug, cause, "refused");
    }
    let mut answer = problem.response(Some(id));
    // `Allow`, `RateLimit`, `Retry-After` and similar headers are kept.
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == problem::CONTENT_TYPE)
}

/// The client's own id for its request, which the answer repeats. In the audit log and the database the request has an
/// id of ours, because a client that could choose it could make two requests look like one.
fn given_id(headers: &HeaderMap) -> Option<Uuid> {
    let id = parse_id(headers.get(&REQUEST_ID)?.to_str().ok()?)?;
    (!id.is_nil() && !id.is_max()).then_some(id)
}

/// The client's id is logged beside ours if it contains only harmless characters.
fn sane_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(&REQUEST_ID)?.to_str().ok()?;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (text.len() <= 64 && text.bytes().all(harmless)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::logged;

    #[test]
    fn no_secret_of_a_path_is_logged() {
        let secret = ["/calendar-feeds/{file}"];
        for path in [
            "/calendar-feeds/s3cret.ics",
            "/calendar-feeds/s3cret",
            "/calendar-feeds/s3cret.ics/",
            "/calendar-feeds/s3cret.ics/x",
            "/calendar-feeds//s3cret.ics",
            "//calendar-feeds/s3cret.ics",
            "/v1/calendar-feeds/s3cret.ics",
            "/Calendar-Feeds/s3cret.ics",
        ] {
            assert_eq!(logged(&secret, path), secret[0], "{path}");
        }
        for path in ["/", "/calendars/x", "/me/calendar-feed"] {
            assert_eq!(logged(&secret, path), path);
        }
    }
}
