//! Compresses answers for clients that accept it. Requests are never compressed.
//!
//! If an answer repeats parts of its request and also contains a secret, its compressed length reveals how much of the
//! secret was guessed (BREACH). Since nobody can make a browser send another user's token, answers to requests with a
//! token are not affected; answers that contain tokens say `no-transform` and are not compressed, by proxies neither.

use crate::etag;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    middleware::Next,
    response::Response as Answer,
};
use hyper::body::Body;
use tower_http::compression::{
    CompressionLayer,
    predicate::{NotForContentType, Predicate, SizeAbove},
};

/// Less than this fits into one network packet, so compressing it gains nothing.
const LEAST_BYTES: u16 = 1024;

pub fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().gzip(true).compress_when(
        SizeAbove::new(LEAST_BYTES)
            .and(NotForContentType::IMAGES)
            .and(NotForContentType::const_new("font/"))
            .and(NotForContentType::SSE)
            .and(NotSecret),
    )
}

#[derive(Clone, Copy)]
struct NotSecret;

impl Predicate for NotSecret {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        !is_secret(response.headers())
    }
}

/// Whether the answer forbids to transform it.
pub fn is_secret(headers: &HeaderMap) -> bool {
    let cache = headers.get(header::CACHE_CONTROL);
    let text = cache.and_then(|value| value.to_str().ok());
    text.is_some_and(|text| text.contains("no-transform"))
}

/// A strong tag identifies exact bytes, which compression changes. A 304 has the tag that the client was given with the
/// answer: a cache finds what it has stored by it, and takes the weak and the strong tag for different ones (RFC 9111,
/// 4.3.4).
pub async fn weaken(request: Request, next: Next) -> Answer {
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut answer = next.run(request).await;
    let is_unchanged = answer.status() == StatusCode::NOT_MODIFIED;
    let headers = answer.headers_mut();
    // The headers of a 304 replace those that a cache has stored with the answer (RFC 9111, 3.2): without this one it would
    // give a compressed answer to everybody.
    if is_unchanged {
        let encoding = HeaderValue::from_static("accept-encoding");
        headers.append(header::VARY, encoding);
    }
    if (headers.contains_key(header::CONTENT_ENCODING) || is_unchanged)
        && let Some(weak) = headers.get(header::ETAG).and_then(etag::weaken)
        && (!is_unchanged || known.is_some_and(|known| names(&known, &weak)))
    {
        headers.insert(header::ETAG, weak);
    }
    answer
}

/// Whether a list of tags contains this one.
fn names(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let mut parts = list.as_bytes().split(|byte| *byte == b',');
    parts.any(|part| part.trim_ascii() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body as Bytes, middleware::from_fn, routing::get};
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_cache_is_told_the_tag_that_it_was_given() {
        let unchanged = || async { (StatusCode::NOT_MODIFIED, [(header::ETAG, "\"1-a\"")]) };
        let routes = Router::new()
            .route("/", get(unchanged))
            .layer(from_fn(weaken));
        for (known, told) in [
            ("\"1-a\"", "\"1-a\""),
            ("W/\"1-a\"", "W/\"1-a\""),
            ("\"x\", W/\"1-a\"", "W/\"1-a\""),
            ("W/\"x\", \"1-a\"", "\"1-a\""),
            ("*", "\"1-a\""),
        ] {
            let request = Request::get("/").header(header::IF_NONE_MATCH, known);
            let request = request.body(Bytes::empty()).expect("a request");
            let answer = routes.clone().oneshot(request).await.expect("an answer");
            assert_eq!(answer.headers()[header::ETAG], told, "{known}");
            assert_eq!(answer.headers()[header::VARY], "accept-encoding");
        }
    }
}
