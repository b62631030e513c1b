//! The HTTP server on a loopback port, the webhooks, and the file that keeps the state.

use crate::{
    admin,
    fake::Fake,
    message::{Outcome, Reply, Request},
    pages,
    webhook::Post,
};
use anyhow::{Context, Result};
use fake_loopback::{Answer, Received};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;

const SENDERS: usize = 32;

/// Serves until the future is dropped.
pub async fn serve(fake: Arc<Fake>, listener: TcpListener) -> Result<()> {
    let sender = tokio::spawn(send_webhooks(Arc::clone(&fake)));
    let result = fake_loopback::serve(listener, move |received| answer(&fake, received)).await;
    sender.abort();
    result
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

fn answer(fake: &Fake, received: Received) -> Option<Answer> {
    let (method, path) = (received.method.as_str(), received.path.as_str());
    if path == "/" {
        let pages = Reply {
            status: 303,
            headers: vec![("Location".to_owned(), "/_fake/".to_owned())],
            body: Vec::new(),
        };
        return Some(of(pages, 0));
    }
    if path.starts_with("/_fake") {
        let page = pages::handle(fake, method, path, &received.body);
        let reply = page.unwrap_or_else(|| admin::handle(fake, method, path, &received.body));
        return Some(of(reply, 0));
    }
    let request = Request {
        method: received.method,
        path: received.path,
        headers: received.headers,
        body: received.body,
    };
    match fake.handle(&request) {
        Outcome::Reply(reply) => Some(of(reply, 0)),
        Outcome::Stall(late) => Some(of(late.reply, late.seconds)),
        Outcome::DroppedBefore | Outcome::DroppedAfter => None,
    }
}

fn of(reply: Reply, late_seconds: u32) -> Answer {
    Answer {
        status: reply.status,
        headers: reply.headers,
        body: reply.body,
        late_seconds,
    }
}

async fn send_webhooks(fake: Arc<Fake>) {
    let asked = Arc::clone(&fake);
    let send = move |post: Post| {
        let fake = Arc::clone(&fake);
        async move {
            let headers = [
                ("content-type", "application/json; charset=utf-8"),
                ("user-agent", "fake-stripe/1.0"),
                ("stripe-signature", post.signature.as_str()),
            ];
            let status = fake_loopback::post(&post.url, &headers, &post.body).await;
            fake.webhook_answered(post.delivery, status.ok());
        }
    };
    fake_loopback::send_due(SENDERS, move || asked.due_webhooks(), send).await;
}
