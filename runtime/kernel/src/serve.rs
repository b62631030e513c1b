//! Connections: accepting them, limiting what they may cost before there is a request, closing them.
//!
//! hyper is driven directly because `axum::serve` sets no time limit for request headers.

mod idle;
mod patience;
mod shares;
mod worded;

use crate::http::{
    Http,
    client::{self, Peer},
    health::Health,
    metrics,
};
use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use idle::{HeadTimer, Received, Watched};
use patience::Patient;
use shares::{Share, Shares};
use std::{io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tower::Service;
use worded::Worded;

/// Answers requests until `stop` completes, then lets those in progress finish.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    http: Arc<Http>,
    health: Health,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let probes = if http.config.expose_admin {
        health.admin()
    } else {
        health.public()
    };
    // In this order: of two merged routers, the second one answers unknown paths, and that one has the layers.
    let routes = probes.merge(routes);
    let connections = Arc::new(Semaphore::new(http.config.max_connections));
    let shares = Shares::new(http.config.max_connections_per_address);
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(async {
        stop.await;
        // Load balancers learn from `/readyz` that this server stops before it refuses connections.
        health.stop();
        sleep(http.config.drain_delay).await;
    });
    let mut tidy = tokio::time::interval(Duration::from_secs(60));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            _ = tidy.tick() => {
                http.tidy();
                continue;
            }
            () = &mut stop => break,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Either there are no file descriptors left, or the client has gone already.
                tracing::warn!(%error, "accept");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(share) = share(&http, &shares, peer) else {
            metrics::CONNECTIONS_REFUSED.add();
            tracing::debug!(peer = %peer.0, "one address, too many connections");
            continue;
        };
        let routes = routes.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            routes.clone().call(request.map(Body::new))
        });
        let received = Received::default();
        let stream = Watched::new(stream, received.clone());
        let stream = TokioIo::new(Worded::new(Patient::new(stream, http.config.write_timeout)));
        let connection = builder(&http, received).serve_connection(stream, service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection");
            }
            drop((permit, share));
        });
    }
    drop(listener);
    http.stopping.send_replace(true);
    finish(graceful, http.config.drain_timeout).await;
    Ok(())
}

/// `/livez`, `/readyz` and `/metrics` on a listener of their own, for as long as the process lives.
pub async fn serve_admin(listener: TcpListener, health: Health) -> io::Result<()> {
    axum::serve(listener, health.admin()).await
}

async fn finish(graceful: GracefulShutdown, patience: Duration) {
    let finished = tokio::time::timeout(patience, graceful.shutdown()).await;
    if finished.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let permit = connections
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, Peer(peer), permit))
}

/// Counts a connection of this peer. `Ok(None)`: one of our proxies, whose connections are not limited.
fn share(http: &Http, shares: &Arc<Shares>, peer: Peer) -> Result<Option<Share>, TooMany> {
    let address = peer.0.ip().to_canonical();
    if client::is_trusted(address, http.proxies()) {
        return Ok(None);
    }
    match shares.take(client::bucket(address)) {
        Some(share) => Ok(Some(share)),
        None => Err(TooMany),
    }
}

struct TooMany;

fn builder(http: &Http, received: Received) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(HeadTimer {
            received,
            keep_alive: http.config.keep_alive,
        })
        .header_read_timeout(http.config.header_timeout)
        // Moderate excess is refused by the outer layer, which knows the client; beyond this limit connections are not
        // read at all.
        .max_header_size(4 * http.config.max_header_bytes);
    builder
}
