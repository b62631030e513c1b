//! Bodies of requests that are answered before their body was read: refused for their token, path or size.
//!
//! hyper closes a connection on which the rest of a body has not arrived yet, and the answer does not say so. A client
//! that sends its next request on that connection then gets no answer (clients do not repeat a POST by themselves, and
//! proxies answer 502). So the rest is read before the answer is sent, as far as it arrives soon and is not too long;
//! otherwise the answer says that the connection ends with it.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

/// How long the rest of a body is waited for. Clients send it at once after the head.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where the body is put back if it was not read to its end.
type Slot = Arc<Mutex<Option<Body>>>;

/// A body that its request has only borrowed.
struct Lent {
    /// Taken when it is put back.
    body: Option<Body>,
    is_over: bool,
    slot: Slot,
}

/// What may be left of a body once its request was answered.
pub(super) struct Rest {
    slot: Slot,
    /// The client sends it only if it is told to, which reading it would do.
    is_held_back: bool,
}

/// Lends the body to the request. `None` if there is none.
pub(super) fn lend(request: &mut Request) -> Option<Rest> {
    if request.body().is_end_stream() {
        return None;
    }
    let slot = Slot::default();
    let lent = Lent {
        body: Some(std::mem::replace(request.body_mut(), Body::empty())),
        is_over: false,
        slot: slot.clone(),
    };
    *request.body_mut() = Body::new(lent);
    Some(Rest {
        slot,
        is_held_back: request.headers().contains_key(header::EXPECT),
    })
}

impl Rest {
    /// Reads what is left, `most` bytes at most, or marks the answer as the last one of its connection.
    pub async fn settle(self, most: usize, response: &mut Response) {
        let left = self
            .slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(body) = left else {
            return;
        };
        // Such a body was waited for, or is longer than what is read here.
        let was_tried = [StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE];
        let may_read = !self.is_held_back && !was_tried.contains(&response.status());
        let is_read = may_read
            && tokio::time::timeout(PATIENCE, read(body, most))
                .await
                .unwrap_or(false);
        if !is_read {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
    }
}

/// Whether the body ended within `most` bytes.
async fn read(mut body: Body, most: usize) -> bool {
    if body.size_hint().lower() > most as u64 {
        return false;
    }
    let mut left = most;
    while let Some(frame) = body.frame().await {
        let length = match &frame {
            Ok(frame) => frame.data_ref().map_or(0, Bytes::len),
            Err(_) => return false,
        };
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        self.is_over = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self
            .body
            .take()
            .filter(|body| !self.is_over && !body.is_end_stream());
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use futures_util::stream;

    fn request(body: Body) -> Request {
        Request::new(body)
    }

    fn in_pieces() -> Body {
        let pieces = [Bytes::from_static(b"0123"), Bytes::from_static(b"4567")];
        Body::from_stream(stream::iter(pieces.map(Ok::<_, std::io::Error>)))
    }

    /// Whether the answer is the last one of its connection.
    async fn is_last(rest: Option<Rest>, most: usize, status: StatusCode) -> bool {
        let mut response = status.into_response();
        if let Some(rest) = rest {
            rest.settle(most, &mut response).await;
        }
        response.headers().get(header::CONNECTION).is_some()
    }

    #[tokio::test]
    async fn what_nobody_read_is_read_in_the_end() {
        let refused = StatusCode::UNAUTHORIZED;
        for (most, ends) in [(8, false), (7, true)] {
            let mut asked = request(in_pieces());
            let rest = lend(&mut asked);
            drop(asked);
            assert_eq!(is_last(rest, most, refused).await, ends, "{most}");
        }
        // Half of it was read.
        let mut asked = request(in_pieces());
        let rest = lend(&mut asked);
        let mut body = asked.into_body();
        assert!(body.frame().await.is_some());
        drop(body);
        assert!(!is_last(rest, 4, refused).await);
        assert!(lend(&mut request(Body::empty())).is_none());
    }

    #[tokio::test]
    async fn what_was_read_to_its_end_leaves_nothing() {
        for body in [Body::from("01234567"), in_pieces()] {
            let mut asked = request(body);
            let rest = lend(&mut asked);
            let text = asked
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            assert_eq!(text, "01234567");
            assert!(!is_last(rest, 0, StatusCode::OK).await);
        }
    }

    #[tokio::test]
    async fn what_does_not_come_ends_the_connection() {
        let never = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        for (status, expects) in [
            (StatusCode::UNAUTHORIZED, false),
            (StatusCode::UNAUTHORIZED, true),
            (StatusCode::PAYLOAD_TOO_LARGE, false),
            (StatusCode::REQUEST_TIMEOUT, false),
        ] {
            let mut asked = request(never());
            if expects {
                let value = HeaderValue::from_static("100-continue");
                asked.headers_mut().insert(header::EXPECT, value);
            }
            let rest = lend(&mut asked);
            drop(asked);
            assert!(is_last(rest, 1000, status).await, "{status} {expects}");
        }
    }
}
