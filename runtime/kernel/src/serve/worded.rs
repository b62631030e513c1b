//! Turns answers that hyper makes by itself into problem+json.
//!
//! A request head that is too long or is not HTTP never becomes a request: hyper answers 400, 414 or 431 without a
//! body and closes the connection. Such an answer is recognised while it is written and replaced by a problem like all
//! others.

use crate::{http::outer::finish, problem::Problem, problems};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

pub struct Worded<S> {
    stream: S,
    replacing: Option<Replacing>,
}

/// The answer that replaces the one of hyper.
struct Replacing {
    bytes: Vec<u8>,
    written: usize,
    /// The length of hyper's answer in bytes.
    instead_of: usize,
}

impl<S> Worded<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            replacing: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.replacing.is_none()
            && let Some(status) = wordless(bytes)
        {
            this.replacing = Some(Replacing {
                bytes: answer(status),
                written: 0,
                instead_of: bytes.len(),
            });
        }
        let Some(replacing) = &mut this.replacing else {
            return Pin::new(&mut this.stream).poll_write(cx, bytes);
        };
        while replacing.written < replacing.bytes.len() {
            let rest = &replacing.bytes[replacing.written..];
            match Pin::new(&mut this.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => replacing.written += written,
                other => return other,
            }
        }
        let instead_of = replacing.instead_of;
        this.replacing = None;
        Poll::Ready(Ok(instead_of))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // An answer without a body is one slice.
        match slices {
            [only] => self.poll_write(cx, only),
            several => Pin::new(&mut self.stream).poll_write_vectored(cx, several),
        }
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

/// The status of an answer made by hyper, recognised by having no request id, which all of our answers have.
fn wordless(bytes: &[u8]) -> Option<u16> {
    let line = bytes
        .strip_prefix(b"HTTP/1.1 ")
        .or(bytes.strip_prefix(b"HTTP/1.0 "))?;
    let status = match line.get(..3)? {
        b"400" => 400,
        b"414" => 414,
        b"431" => 431,
        _ => return None,
    };
    let head = std::str::from_utf8(bytes).ok()?.to_ascii_lowercase();
    let is_bare = head.ends_with("\r\n\r\n")
        && head.contains("content-length: 0\r\n")
        && !head.contains("x-request-id:");
    is_bare.then_some(status)
}

fn answer(status: u16) -> Vec<u8> {
    let id = Uuid::now_v7();
    let problem = match status {
        414 => Problem::new(&problems::HEADERS_TOO_LARGE),
        status => Problem::new(problems::by_status(status)),
    };
    let body = problem.body(Some(id));
    let mut response = problem.response(Some(id));
    finish(&mut response, id, false);
    let reason = response.status().canonical_reason().unwrap_or_default();
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", response.status().as_u16());
    for (name, value) in response.headers() {
        if let Ok(value) = value.to_str() {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text.push_str(&format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    ));
    let mut bytes = text.into_bytes();
    bytes.extend(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn written(text: &str) -> String {
        // Narrower than the answer, so that it goes out in pieces.
        let (near, mut far) = tokio::io::duplex(64);
        let text = text.to_owned();
        let writing = tokio::spawn(async move {
            let mut near = Worded::new(near);
            near.write_all(text.as_bytes()).await.unwrap();
            near.shutdown().await.unwrap();
        });
        let mut all = String::new();
        far.read_to_string(&mut all).await.unwrap();
        writing.await.unwrap();
        all
    }

    #[tokio::test]
    async fn an_answer_without_words_gets_some() {
        for (status, problem) in [
            ("400 Bad Request", "bad-request"),
            ("414 URI Too Long", "headers-too-large"),
            ("431 Request Header Fields Too Large", "headers-too-large"),
        ] {
            let bare = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n"
            );
            let told = written(&bare).await;
            let (head, body) = told.split_once("\r\n\r\n").unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["type"], format!("/problems/{problem}"), "{status}");
            assert!(head.contains("application/problem+json"), "{head}");
            assert!(head.contains("x-request-id: "), "{head}");
            assert!(
                head.starts_with(&format!("HTTP/1.1 {}", body["status"])),
                "{head}"
            );
        }
    }

    #[tokio::test]
    async fn other_answers_stay() {
        for text in [
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 431 X\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nab",
            "{\"x\": \"HTTP/1.1 400 \"}",
        ] {
            assert_eq!(written(text).await, text);
        }
    }
}
