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
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8421)]
    port: u16,
    /// URL for the platform's events, such as http://127.0.0.1:8080/webhooks/stripe.
    #[arg(long)]
    webhook_url: Option<String>,
    /// URL for the events of connected accounts.
    #[arg(long)]
    connect_webhook_url: Option<String>,
    /// Secret that signs the platform's events. May be repeated, as during a rotation.
    #[arg(long, default_value = "whsec_fake")]
    webhook_secret: Vec<String>,
    /// Secret that signs the events of connected accounts; by default the platform's.
    #[arg(long)]
    connect_webhook_secret: Vec<String>,
    /// File in which the state is kept between runs.
    #[arg(long)]
    state_file: Option<PathBuf>,
    /// Seed of ids, faults and webhook disturbances; by default the time.
    #[arg(long)]
    seed: Option<u64>,
    /// Stripe's fee on each payment in basis points.
    #[arg(long, default_value_t = 0)]
    fee_bps: i64,
    /// Stripe's fee on each payment, in the smallest unit.
    #[arg(long, default_value_t = 0)]
    fee_fixed: i64,
    /// Country of the platform's own account. Hosts in other regions are paid by payments on their behalf.
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
