//! A request body that is limited in size and time.

use super::place::Place;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug, thiserror::Error)]
pub(super) enum Exceeded {
    #[error("body longer than {0} bytes")]
    Size(usize),
    #[error("body too slow")]
    Time,
    #[error("too many requests in progress")]
    Requests,
}

/// For how long a request keeps its place while its body does not arrive. Bodies usually arrive together with the head.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body that fails when it is larger or slower than allowed. While it is slow, its request has no place among those in
/// progress.
pub(super) struct Limited {
    body: Body,
    limit: usize,
    left: usize,
    deadline: Pin<Box<Sleep>>,
    place: Place,
    /// When the place is given up. None: it was.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Limited {
    pub fn new(body: Body, limit: usize, time: Duration, place: Place) -> Self {
        let after = |time| Box::pin(sleep_until(Instant::now() + time));
        Self {
            body,
            limit,
            left: limit,
            deadline: after(time),
            place,
            patience: Some(after(PATIENCE)),
        }
    }

    /// The body has not arrived yet.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Exceeded> {
        if let Some(patience) = &mut self.patience
            && patience.as_mut().poll(cx).is_ready()
        {
            self.patience = None;
            self.place.give_up();
        }
        self.deadline.as_mut().poll(cx).map(|()| Exceeded::Time)
    }
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let failed = self.wait(cx);
            return failed.map(|why| Some(Err(axum::Error::new(why))));
        };
        if frame.is_none() && !self.place.take_again() {
            return Poll::Ready(Some(Err(axum::Error::new(Exceeded::Requests))));
        }
        if let Some(Ok(frame)) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match self.left.checked_sub(length) {
                Some(left) => self.left = left,
                None => {
                    return Poll::Ready(Some(Err(axum::Error::new(Exceeded::Size(self.limit)))));
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::read;
    use futures_util::stream;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    fn place() -> Place {
        Place::take(&Arc::new(Semaphore::new(1))).expect("a place")
    }

    #[tokio::test]
    async fn a_long_body_ends_at_the_limit() {
        let chunks = stream::iter(
            (0..10).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789"))),
        );
        let body = Body::new(Limited::new(
            Body::from_stream(chunks),
            45,
            Duration::from_secs(60),
            place(),
        ));
        assert_eq!(read(body).await.unwrap_err().status(), 413);
    }

    #[tokio::test]
    async fn a_slow_body_ends_at_the_deadline() {
        let never = stream::pending::<Result<Bytes, std::io::Error>>();
        let body = Body::new(Limited::new(
            Body::from_stream(never),
            45,
            Duration::from_millis(5),
            place(),
        ));
        assert_eq!(read(body).await.unwrap_err().status(), 408);
    }
}
