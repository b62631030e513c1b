//! Compresses answers for clients that accept it. Requests are never compressed.
//!
//! If an answer repeats parts of its request and also contains a secret, its compressed length reveals how much of the
//! secret was guessed (BREACH). Since nobody can make a browser send another user's token, answers to requests with a
//! token are not affected; answers that contain tokens say `no-transform` and are not compressed, by proxies neither.

use crate::etag;
use axum::{
    http::{HeaderMap, Response, header},
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

/// A strong tag identifies exact bytes, which compression changes.
pub async fn weaken(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(weak) = headers.get(header::ETAG).and_then(etag::weaken)
    {
        headers.insert(header::ETAG, weak);
    }
    answer
}
