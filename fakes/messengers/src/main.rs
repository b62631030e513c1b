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
    /// On 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8422)]
    port: u16,
    /// Keys that are taken, for Resend and for SendGrid.
    #[arg(long, default_values = ["re_fake", "SG.fake"])]
    api_key: Vec<String>,
    /// Where Resend's webhooks go, such as http://127.0.0.1:8080/webhooks/resend.
    #[arg(long)]
    resend_webhook_url: Option<String>,
    /// Signs them, `whsec_…` in base64. Twice or more during a rotation.
    #[arg(long, default_value = "whsec_ZmFrZS1tZXNzZW5nZXJzLXNlY3JldA==")]
    resend_webhook_secret: Vec<String>,
    /// Where SendGrid's webhooks go.
    #[arg(long)]
    sendgrid_webhook_url: Option<String>,
    /// The key that SendGrid's webhooks are verified with is written here.
    #[arg(long)]
    sendgrid_key_file: Option<PathBuf>,
    /// The JSON of the service account that may send by FCM is written here.
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

/// Whole, and for nobody else's eyes.
fn keep(file: &Path, text: &str) -> Result<()> {
    let beside = file.with_extension("new");
    let named = || format!("writing {}", file.display());
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut written = options.open(&beside).with_context(named)?;
    written.write_all(text.as_bytes()).with_context(named)?;
    std::fs::rename(&beside, file).with_context(named)
}

/// By Ctrl-C, or by whoever started it.
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
