//! The HTTP server on a loopback port.
//!
//! Uses hyper directly, because a fault must be able to close a connection without an answer: hyper does so if the
//! service returns an error, which axum's router can't.

mod post;

use crate::{
    admin,
    fake::Fake,
    message::{Outcome, Reply, Request},
    pages,
};
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

const LARGEST_BODY: usize = 4 * 1024 * 1024;
const TICK: Duration = Duration::from_millis(50);
const SENDERS: usize = 32;

/// Serves until the future is dropped.
pub async fn serve(fake: Arc<Fake>, listener: TcpListener) -> Result<()> {
    let sender = tokio::spawn(send_webhooks(Arc::clone(&fake)));
    let result = accept(fake, listener).await;
    sender.abort();
    result
}

async fn accept(fake: Arc<Fake>, listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("accepting a connection")?;
        let fake = Arc::clone(&fake);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&fake), request));
            // An error means that the client has disconnected, or is a scripted fault.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    fake: Arc<Fake>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await;
    let body = body
        .map_err(|error| anyhow::anyhow!("reading a body: {error}"))?
        .to_bytes();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let method = head.method.as_str();
    if path == "/" {
        return response(&Reply {
            status: 303,
            headers: vec![("Location".to_owned(), "/_fake/".to_owned())],
            body: Vec::new(),
        });
    }
    if path.starts_with("/_fake") {
        let page = pages::handle(&fake, method, path, &body);
        return response(&page.unwrap_or_else(|| admin::handle(&fake, method, path, &body)));
    }
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers.collect(),
        body: body.to_vec(),
    };
    match fake.handle(&request) {
        Outcome::Reply(reply) => response(&reply),
        Outcome::Stall(late) => {
            tokio::time::sleep(Duration::from_secs(u64::from(late.seconds))).await;
            response(&late.reply)
        }
        // The error makes hyper close the connection.
        Outcome::DroppedBefore | Outcome::DroppedAfter => anyhow::bail!("dropped"),
    }
}

fn response(reply: &Reply) -> Result<Response<Full<Bytes>>> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::copy_from_slice(&reply.body)))?)
}

async fn send_webhooks(fake: Arc<Fake>) {
    let places = Arc::new(Semaphore::new(SENDERS));
    loop {
        tokio::time::sleep(TICK).await;
        for due in fake.due_webhooks() {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let fake = Arc::clone(&fake);
            tokio::spawn(async move {
                let status = post::send(&due).await.ok();
                fake.webhook_answered(due.delivery, status);
                drop(place);
            });
        }
    }
}

/// Writes the world to a file whenever it has changed, and once more at the end.
pub async fn keep_in(
    fake: Arc<Fake>,
    file: PathBuf,
    stopped: impl Future<Output = ()>,
) -> Result<()> {
    let mut last = Vec::new();
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let ended = tokio::select! {
            () = &mut stopped => true,
            () = tokio::time::sleep(Duration::from_secs(1)) => false,
        };
        let now = fake.save()?;
        if now != last {
            // Written to a second file, which then replaces the first: after a crash there is either the old or the
            // new state.
            let beside = file.with_extension("new");
            tokio::fs::write(&beside, &now)
                .await
                .context("writing the state")?;
            tokio::fs::rename(&beside, &file)
                .await
                .context("writing the state")?;
            last = now;
        }
        if ended {
            return Ok(());
        }
    }
}
