//! The HTTP server on a loopback port.
//!
//! Uses hyper directly, because a fault must be able to close a connection without an answer.

mod post;

use crate::{
    control,
    fake::{Config, Fake},
    message::{Outcome, Reply, Request},
    pages,
};
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

const LARGEST_BODY: usize = 4 * 1024 * 1024;
const TICK: Duration = Duration::from_millis(50);
const SENDERS: usize = 16;

/// A fake on a free port, which runs until this is dropped.
pub struct Running {
    pub fake: Arc<Fake>,
    pub url: String,
    task: JoinHandle<Result<()>>,
}

impl Running {
    pub async fn start(config: Config) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let fake = Arc::new(Fake::new(Config {
            base_url: url.clone(),
            ..config
        })?);
        let task = tokio::spawn(serve(Arc::clone(&fake), listener));
        Ok(Self { fake, url, task })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves until the future is dropped.
pub async fn serve(fake: Arc<Fake>, listener: TcpListener) -> Result<()> {
    let sends = fake.config.resend_webhook.is_some() || fake.config.sendgrid_webhook.is_some();
    tokio::select! {
        served = accept(Arc::clone(&fake), listener) => served,
        () = send_webhooks(fake), if sends => Ok(()),
    }
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
    let body = body.map_err(|error| anyhow::anyhow!("reading a body: {error}"))?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let headers = head.headers.iter();
    let request = Request {
        method: head.method.to_string(),
        path: path.to_owned(),
        headers: headers
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), value)
            })
            .collect(),
        body: body.to_bytes().to_vec(),
    };
    match fake.handle(&request) {
        Some(Outcome::Reply(reply)) => response(&reply),
        Some(Outcome::Late(reply, seconds)) => {
            tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
            response(&reply)
        }
        Some(Outcome::Dropped) => anyhow::bail!("dropped"),
        None => match pages::handle(&fake, &request) {
            Some(page) => response(&page),
            None => response(&control::handle(&fake, &request)),
        },
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
        let due = match fake.due() {
            Ok(due) => due,
            Err(error) => {
                eprintln!("fake-messengers: {error:#}");
                continue;
            }
        };
        for due in due {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let fake = Arc::clone(&fake);
            tokio::spawn(async move {
                let taken = post::send(&due).await;
                if !taken.is_ok_and(|status| (200..300).contains(&status)) {
                    fake.failed(due);
                }
                drop(place);
            });
        }
    }
}
