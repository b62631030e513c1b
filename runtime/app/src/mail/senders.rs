//! Two ways for mail to leave without a mail server.

use super::{Mail, Mailer, Undelivered};
use chrono::Utc;
use futures_util::future::BoxFuture;
use std::path::PathBuf;
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
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), Undelivered>> {
        Box::pin(async move {
            let name = Uuid::now_v7();
            let date = Utc::now().to_rfc2822();
            let text = format!(
                "Date: {date}\nTo: {}\nSubject: {}\n\n{}",
                mail.to, mail.subject, mail.text
            );
            // Whoever reads the folder sees whole messages only.
            let half = self.folder.join(format!(".{name}"));
            let failed = |error: std::io::Error| Undelivered::NotNow(format!("MAIL_DIR: {error}"));
            tokio::fs::write(&half, text).await.map_err(failed)?;
            tokio::fs::rename(&half, self.folder.join(format!("{name}.eml")))
                .await
                .map_err(failed)
        })
    }
}

/// Says in the log that there was mail. Not what it said: links in it open accounts.
pub struct LogMailer;

impl Mailer for LogMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), Undelivered>> {
        Box::pin(async move {
            tracing::info!(
                subject = mail.subject,
                "mail is not configured; a message was not sent"
            );
            Ok(())
        })
    }
}
