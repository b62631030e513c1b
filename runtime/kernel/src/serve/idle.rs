//! Two time limits where hyper has one: a request's head must arrive soon after it has begun, but a connection may stay
//! open between two requests for much longer.
//!
//! Clients and proxies keep connections for their next request. If the server closed them first, a request that is sent
//! at the same moment would fail, and a client must not repeat every request. hyper's limit for heads also counts the
//! time before a head begins. It sets a timer whenever it waits for a head; [`HeadTimer`] is that timer, and learns from
//! [`Watched`] whether bytes of the head have arrived.

use hyper::rt::{Sleep, Timer};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The number of bytes that a connection has received.
#[derive(Clone, Default)]
pub struct Received(Arc<AtomicU64>);

impl Received {
    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts what is read.
pub struct Watched<S> {
    stream: S,
    received: Received,
}

impl<S> Watched<S> {
    pub fn new(stream: S, received: Received) -> Self {
        Self { stream, received }
    }
}

/// Times the wait for a head: until its first byte `keep_alive`, from then on what hyper was told. The first head of a
/// connection has no such wait, since a client that connects has something to ask.
pub struct HeadTimer {
    pub received: Received,
    pub keep_alive: Duration,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let now = Instant::now();
        let before = self.received.bytes();
        let (until, head) = match before {
            0 => (deadline, None),
            _ => (now + self.keep_alive, Some(deadline - now)),
        };
        Box::pin(HeadSleep {
            sleep: Box::pin(tokio::time::sleep_until(until.into())),
            received: self.received.clone(),
            before,
            head,
        })
    }
}

struct HeadSleep {
    sleep: Pin<Box<tokio::time::Sleep>>,
    received: Received,
    /// What had been received when the wait began.
    before: u64,
    /// How long the head may take once it has begun. None: it has begun.
    head: Option<Duration>,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    /// hyper polls this after each read.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.received.bytes() > self.before
            && let Some(head) = self.head.take()
        {
            let until = tokio::time::Instant::now() + head;
            self.sleep.as_mut().reset(until);
        }
        self.sleep.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let bytes = buffer.filled().len() - before;
        self.received.0.fetch_add(bytes as u64, Ordering::Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
