//! `serve` and `worker`: run until told to stop, then finish what is in progress.

use crate::{
    checks,
    cli::{Serve, Work},
    files,
    settings::{Common, Environment, Worker},
    wire::{Built, Parts, build, parts, worker_config},
};
use anyhow::{Context, Result};
use app::{App, worker};
use kernel::{http::health::Health, serve};
use secrecy::ExposeSecret;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

pub async fn serve(common: &Common, arguments: &Serve) -> Result<()> {
    let mut parts = parts(common, &arguments.app, Some(&arguments.http))?;
    parts.outbox = arguments.development.dev_outbox_url.clone();
    let production = common.environment == Environment::Production;
    checks::settings(production, arguments, &parts)?;
    checks::pictures(&arguments.app)?;
    leave_room(&mut parts);
    let (listen, admin_listen) = (parts.http.listen, parts.http.admin_listen);
    // Errors in the settings of modules are reported first.
    let (database, built) = (parts.db.clone(), build(parts)?);
    checks::database(&database).await?;
    if production {
        checks::no_demonstration(&built.db).await?;
    }
    let health = Health::new(built.db.clone(), Some(checks::ready(built.db.clone())));

    let stop = stop_signal()?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("LISTEN: {listen}"))?;
    let admin = match admin_listen {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("ADMIN_LISTEN: {address}"))?;
            Some(tokio::spawn(serve::serve_admin(listener, health.clone())))
        }
    };
    let worker = arguments
        .with_worker
        .then(|| start_worker(&built.app, &arguments.worker, stop.clone()));

    tracing::info!(address = %listener.local_addr()?, production, "listening");
    let Built {
        db, router, http, ..
    } = built;
    serve::serve(listener, router, http, health, wait(stop)).await?;

    if let Some(worker) = worker {
        worker.await?;
    }
    if let Some(admin) = admin {
        admin.abort();
    }
    db.close().await;
    tracing::info!("stopped");
    Ok(())
}

pub async fn work(common: &Common, arguments: &Work) -> Result<()> {
    let parts = parts(common, &arguments.app, None)?;
    let production = common.environment == Environment::Production;
    checks::token_key(parts.tokens.signing_key.expose_secret())?;
    checks::addresses(production, &arguments.app)?;
    checks::mail(production, &arguments.app.mail)?;
    checks::pictures(&arguments.app)?;
    let (database, built) = (parts.db.clone(), build(parts)?);
    checks::database(&database).await?;
    tracing::info!("working");
    start_worker(&built.app, &arguments.worker, stop_signal()?).await?;
    built.db.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Lowers the number of connections of clients to what the operating system has files for.
fn leave_room(parts: &mut Parts) {
    let db = &parts.db;
    let pools = [
        db.connections,
        db.job_connections,
        db.search_connections,
        db.figure_connections,
    ];
    let wanted = parts.http.max_connections;
    if let Some(room) = files::room(wanted, pools.iter().sum::<u32>() as usize) {
        tracing::warn!(
            wanted,
            room,
            "MAX_CONNECTIONS is lowered, because this process may not open more files; raise the limit (`ulimit -n`, \
             `LimitNOFILE`)"
        );
        parts.http.max_connections = room;
    }
}

fn start_worker(app: &App, settings: &Worker, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(worker::run(app.clone(), worker_config(settings), stop))
}

/// Becomes true at SIGTERM or SIGINT. A second signal ends the process at once.
fn stop_signal() -> Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        for last in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if last {
                std::process::exit(130);
            }
            tracing::info!("asked to stop");
            let _ = sender.send(true);
        }
    });
    Ok(receiver)
}

async fn wait(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which does not happen before the end.
    let _ = stop.wait_for(|stop| *stop).await;
}
