//! The HTTP server on a loopback port, and the webhooks.

use crate::{
    control,
    fake::{Config, Fake},
    feedback::Post,
    message::{Outcome, Request},
    pages,
};
use anyhow::Result;
use fake_loopback::{Answer, Received};
use std::sync::Arc;
use tokio::{net::TcpListener, task::JoinHandle};

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
    let handler = Arc::clone(&fake);
    tokio::select! {
        served = fake_loopback::serve(listener, move |received| answer(&handler, received)) => served,
        () = send_webhooks(fake), if sends => Ok(()),
    }
}

fn answer(fake: &Fake, received: Received) -> Option<Answer> {
    let request = Request {
        method: received.method,
        path: received.path,
        headers: received.headers,
        body: received.body,
    };
    let (reply, late_seconds) = match fake.handle(&request) {
        Some(Outcome::Reply(reply)) => (reply, 0),
        Some(Outcome::Late(reply, seconds)) => (reply, seconds),
        Some(Outcome::Dropped) => return None,
        None => {
            let page = pages::handle(fake, &request);
            (page.unwrap_or_else(|| control::handle(fake, &request)), 0)
        }
    };
    Some(Answer {
        status: reply.status,
        headers: reply.headers,
        body: reply.body,
        late_seconds,
    })
}

async fn send_webhooks(fake: Arc<Fake>) {
    let asked = Arc::clone(&fake);
    let due = move || {
        asked.due().unwrap_or_else(|error| {
            eprintln!("fake-messengers: {error:#}");
            Vec::new()
        })
    };
    let send = move |post: Post| {
        let fake = Arc::clone(&fake);
        async move {
            if !is_taken(&post).await {
                fake.failed(post);
            }
        }
    };
    fake_loopback::send_due(SENDERS, due, send).await;
}

async fn is_taken(post: &Post) -> bool {
    let mut headers = vec![
        ("content-type", "application/json"),
        ("user-agent", "fake-messengers/1.0"),
    ];
    let own = post.headers.iter();
    headers.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
    let status = fake_loopback::post(&post.url, &headers, &post.body).await;
    status.is_ok_and(|status| (200..300).contains(&status))
}
