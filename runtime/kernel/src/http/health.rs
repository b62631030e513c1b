//! `/livez`, `/readyz`, `/metrics`: for the platform that runs the server, not for clients.

use super::metrics;
use crate::{cx::Db, jobs};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::BoxFuture;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// A further condition for being ready, such as the state of the migrations.
pub type Check = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    db: Db,
    check: Option<Check>,
    stopping: AtomicBool,
}

impl Health {
    pub fn new(db: Db, check: Option<Check>) -> Self {
        Self(Arc::new(Inner {
            db,
            check,
            stopping: AtomicBool::new(false),
        }))
    }

    /// Reports not ready from now on, while requests are still answered.
    pub fn stop(&self) {
        self.0.stopping.store(true, Relaxed);
    }

    pub async fn ready(&self) -> Result<(), String> {
        if self.0.stopping.load(Relaxed) {
            return Err("stopping".to_owned());
        }
        match tokio::time::timeout(Duration::from_secs(3), self.0.db.ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(format!("database: {error}")),
            Err(_) => return Err("database: no answer".to_owned()),
        }
        match &self.0.check {
            Some(check) => check().await,
            None => Ok(()),
        }
    }

    /// Only `/livez`, which reveals nothing.
    pub fn public(&self) -> Router {
        Router::new().route("/livez", get(live))
    }

    pub fn admin(&self) -> Router {
        let routes = Router::new()
            .route("/readyz", get(ready))
            .route("/metrics", get(figures));
        routes.with_state(self.clone()).merge(self.public())
    }
}

async fn live() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok").into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    let answer = match health.ready().await {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(reason) => {
            tracing::warn!(reason, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        }
    };
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

async fn figures(State(health): State<Health>) -> Response {
    // The figures of this process are reported even if the database does not answer.
    let asked = tokio::time::timeout(Duration::from_secs(3), jobs::figures(&health.0.db)).await;
    let jobs = asked.ok().and_then(Result::ok);
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        metrics::text(health.0.db.state(), jobs),
    )
        .into_response()
}
