//! `fake-stripe`: the fake on a loopback port.

use anyhow::{Context, Result};
use clap::Parser;
use fake_stripe::{
    Clock, Config, Fake, server,
    webhook::{Endpoint, Target},
};
use std::{path::PathBuf, sync::Arc};
use tokio::{net::TcpListener, sync::oneshot};

/// A Stripe for development: nothing is charged, nothing leaves this machine.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// On 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8421)]
    port: u16,
    /// Where the platform's events go, such as http://127.0.0.1:8080/webhooks/stripe.
    #[arg(long)]
    webhook_url: Option<String>,
    /// Where the events of connected accounts go.
    #[arg(long)]
    connect_webhook_url: Option<String>,
    /// Signs the platform's events. Twice or more during a rotation.
    #[arg(long, default_value = "whsec_fake")]
    webhook_secret: Vec<String>,
    /// Signs the events of connected accounts; as the platform's if missing.
    #[arg(long)]
    connect_webhook_secret: Vec<String>,
    /// Kept here and found here again.
    #[arg(long)]
    state_file: Option<PathBuf>,
    /// Of ids, faults and mischief; of the clock if missing.
    #[arg(long)]
    seed: Option<u64>,
    /// Stripe's fee on each payment in basis points.
    #[arg(long, default_value_t = 0)]
    fee_bps: i64,
    /// Stripe's fee on each payment, in the smallest unit.
    #[arg(long, default_value_t = 0)]
    fee_fixed: i64,
    /// Where the platform's own account is. Hosts in other regions are paid by payments on their behalf.
    #[arg(long, default_value = "US")]
    country: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await;
    let listener = listener.with_context(|| format!("listening on 127.0.0.1:{}", options.port))?;
    let address = listener.local_addr()?;
    let fake = Arc::new(open(&options, format!("http://{address}"))?);
    println!("fake-stripe on http://{address} (pages and books: /_fake/)");

    let (stop, stopped) = oneshot::channel();
    let kept = options.state_file.clone().map(|file| {
        let stopped = async {
            let _ = stopped.await;
        };
        tokio::spawn(server::keep_in(Arc::clone(&fake), file, stopped))
    });
    tokio::select! {
        served = server::serve(fake, listener) => served?,
        () = asked_to_stop() => {}
    }
    let _ = stop.send(());
    if let Some(kept) = kept {
        kept.await??;
    }
    Ok(())
}

fn open(options: &Options, base_url: String) -> Result<Fake> {
    let clock = Clock::Running { ahead: 0 };
    let seed = options.seed.unwrap_or_else(|| clock.now().unsigned_abs());
    let config = Config {
        seed,
        clock,
        base_url,
        fee_bps: options.fee_bps,
        fee_fixed: options.fee_fixed,
        country: options.country.clone(),
        ..Config::default()
    };
    let saved = options.state_file.as_ref().filter(|file| file.exists());
    let fake = match saved {
        Some(file) => {
            let saved =
                std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            Fake::load(&saved, config).with_context(|| {
                format!("{} is not a state of this fake; remove it", file.display())
            })?
        }
        None => Fake::new(config),
    };
    let endpoint = |url: &Option<String>, secrets: &[String]| {
        url.clone().map(|url| Endpoint {
            url,
            secrets: secrets.to_vec(),
        })
    };
    let connect_secrets = match options.connect_webhook_secret.as_slice() {
        [] => &options.webhook_secret,
        own => own,
    };
    fake.set_endpoint(
        Target::Platform,
        endpoint(&options.webhook_url, &options.webhook_secret),
    );
    fake.set_endpoint(
        Target::Connect,
        endpoint(&options.connect_webhook_url, connect_secrets),
    );
    Ok(fake)
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
