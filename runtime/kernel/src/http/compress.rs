//! Answers in fewer bytes, for clients that say they can read them. Requests are never compressed.
//!
//! An answer that repeats what its request said and holds a secret as well tells by its length how much of the secret
//! was guessed (BREACH). Nobody can make a browser send somebody else's token, so answers to a token are no such case;
//! those that hold tokens themselves say `no-transform` and go out as they are, past every proxy too.

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

/// Less than a packet of the network holds is not worth it.
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

/// Said to be left as it is.
pub fn is_secret(headers: &HeaderMap) -> bool {
    let cache = headers.get(header::CACHE_CONTROL);
    let text = cache.and_then(|value| value.to_str().ok());
    text.is_some_and(|text| text.contains("no-transform"))
}

/// A strong tag names bytes, and these are others now.
pub async fn weaken(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(weak) = headers.get(header::ETAG).and_then(etag::weaken)
    {
        headers.insert(header::ETAG, weak);
    }
    answer
}
