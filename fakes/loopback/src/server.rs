//! The HTTP server.
//!
//! Uses hyper directly, because a fault must be able to close a connection without an answer: hyper does so if the
//! service returns an error, which axum's router can't.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;

const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// A request, whose body has been read.
pub struct Received {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How long the client waits for it, in seconds.
    pub late_seconds: u32,
}

/// Answers requests until the future is dropped. If the function returns `None`, the connection is closed without an
/// answer.
pub async fn serve(
    listener: TcpListener,
    handle: impl Fn(Received) -> Option<Answer> + Send + Sync + 'static,
) -> Result<()> {
    let handle = Arc::new(handle);
    loop {
        let (stream, _) = listener.accept().await.context("accepting a connection")?;
        let handle = Arc::clone(&handle);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let handle = Arc::clone(&handle);
                async move { respond(handle(receive(request).await?)).await }
            });
            // An error means that the client has disconnected, or is a scripted fault.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn receive(request: Request<Incoming>) -> Result<Received> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("reading a body: {error}"))?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    Ok(Received {
        method: head.method.to_string(),
        path: path.to_owned(),
        headers: headers.collect(),
        body: body.to_bytes().to_vec(),
    })
}

async fn respond(answer: Option<Answer>) -> Result<Response<Full<Bytes>>> {
    // The error makes hyper close the connection.
    let answer = answer.context("dropped")?;
    if answer.late_seconds > 0 {
        tokio::time::sleep(Duration::from_secs(u64::from(answer.late_seconds))).await;
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(answer.body)))?)
}
