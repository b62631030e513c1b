//! Senders that need no service: they write messages to a folder or only to the log.

use crate::{
    mail::{Mail, Mailer, Undelivered},
    message,
    push::{Push, Pusher, Unpushed},
};
use chrono::Utc;
use futures_util::future::BoxFuture;
use serde_json::json;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Writes each message into a folder, for development and tests.
pub struct FileMailer {
    folder: PathBuf,
}

impl FileMailer {
    pub fn new(folder: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }
}

impl Mailer for FileMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>> {
        Box::pin(async move {
            let to = message::address(&mail.to)?;
            let subject = message::one_line(&mail.subject);
            let date = Utc::now().to_rfc2822();
            let unsubscribe = mail.unsubscribe.as_ref();
            let unsubscribe = unsubscribe
                .map(|url| {
                    format!(
                        "List-Unsubscribe: <{url}>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n"
                    )
                })
                .unwrap_or_default();
            let text = format!(
                "Date: {date}\nTo: {to}\nSubject: {subject}\n{unsubscribe}\n{}",
                mail.text
            );
            let written = write(&self.folder, "eml", text).await;
            let written = written.map(|()| Some(mail.id.to_string()));
            written.map_err(|error| Undelivered::NotNow(format!("MAIL_DIR: {error}")))
        })
    }
}

/// Writes each message as JSON into a folder, for development and tests.
pub struct FilePusher {
    folder: PathBuf,
}

impl FilePusher {
    pub fn new(folder: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }
}

impl Pusher for FilePusher {
    fn send(&self, push: Push) -> BoxFuture<'_, Result<Option<String>, Unpushed>> {
        Box::pin(async move {
            // Without the token, since it allows sending messages to the device.
            let text = json!({
                "id": push.id, "date": Utc::now(), "title": push.title, "body": push.body, "data": push.data,
                "urgent": push.urgent, "expires_at": push.expires_at,
            });
            let written = write(&self.folder, "json", text.to_string()).await;
            let written = written.map(|()| Some(push.id.to_string()));
            written.map_err(|error| Unpushed::NotNow(format!("PUSH_DIR: {error}")))
        })
    }
}

/// Writes a file under a temporary name and renames it, so that readers of the folder see complete messages only.
async fn write(folder: &Path, extension: &str, text: String) -> std::io::Result<()> {
    let name = Uuid::now_v7();
    let half = folder.join(format!(".{name}"));
    tokio::fs::write(&half, text).await?;
    tokio::fs::rename(&half, folder.join(format!("{name}.{extension}"))).await
}

/// Logs that there was a mail, but not its content: links in it give access to accounts.
pub struct LogMailer;

impl Mailer for LogMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>> {
        Box::pin(async move {
            tracing::info!(
                subject = mail.subject,
                "mail is not configured; a message was not sent"
            );
            Ok(None)
        })
    }
}

/// Logs that there was a push message.
pub struct LogPusher;

impl Pusher for LogPusher {
    fn send(&self, _: Push) -> BoxFuture<'_, Result<Option<String>, Unpushed>> {
        Box::pin(async move {
            tracing::debug!("push is not configured; a message was not sent");
            Ok(None)
        })
    }
}
