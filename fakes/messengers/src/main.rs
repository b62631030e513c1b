//! `fake-messengers`: the fake on a loopback port.

use anyhow::{Context, Result};
use clap::Parser;
use fake_messengers::{Config, Fake, Webhook, server};
use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path, path::PathBuf, sync::Arc};
use tokio::net::TcpListener;

/// FCM, Resend and SendGrid for development: nothing leaves this machine.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8422)]
    port: u16,
    /// Accepted API keys, for Resend and for SendGrid.
    #[arg(long, default_values = ["re_fake", "SG.fake"])]
    api_key: Vec<String>,
    /// URL for Resend's webhooks, such as http://127.0.0.1:8080/webhooks/resend.
    #[arg(long)]
    resend_webhook_url: Option<String>,
    /// Secret that signs Resend's webhooks, `whsec_…` in base64. May be repeated, as during a rotation.
    #[arg(long, default_value = "whsec_ZmFrZS1tZXNzZW5nZXJzLXNlY3JldA==")]
    resend_webhook_secret: Vec<String>,
    /// URL for SendGrid's webhooks.
    #[arg(long)]
    sendgrid_webhook_url: Option<String>,
    /// File to write the public key of SendGrid's webhooks to.
    #[arg(long)]
    sendgrid_key_file: Option<PathBuf>,
    /// File to write the JSON of the service account to, with which FCM can be used.
    #[arg(long)]
    service_account_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await;
    let listener = listener.with_context(|| format!("listening on 127.0.0.1:{}", options.port))?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let webhook =
        |url: Option<String>, secrets: Vec<String>| url.map(|url| Webhook { url, secrets });
    let fake = Fake::new(Config {
        base_url: base_url.clone(),
        api_keys: options.api_key,
        resend_webhook: webhook(options.resend_webhook_url, options.resend_webhook_secret),
        sendgrid_webhook: webhook(options.sendgrid_webhook_url, Vec::new()),
    })?;
    if let Some(file) = &options.service_account_file {
        keep(file, &fake.service_account()?.to_string())?;
    }
    if let Some(file) = &options.sendgrid_key_file {
        keep(file, &fake.keys.sendgrid_public()?)?;
    }
    println!("fake-messengers on {base_url}");
    tokio::select! {
        served = server::serve(Arc::new(fake), listener) => served,
        () = asked_to_stop() => Ok(()),
    }
}

/// Writes a file atomically, readable by its owner only.
fn keep(file: &Path, text: &str) -> Result<()> {
    let beside = file.with_extension("new");
    let named = || format!("writing {}", file.display());
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut written = options.open(&beside).with_context(named)?;
    written.write_all(text.as_bytes()).with_context(named)?;
    std::fs::rename(&beside, file).with_context(named)
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
