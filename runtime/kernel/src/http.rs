//! The layers that every request passes on its way in and out, whatever the route.
//!
//! Knows requests, limits and credentials; no entity, no table.

pub mod body;
pub mod client;
mod compress;
pub mod cors;
pub mod docs;
pub mod health;
pub mod home;
mod identify;
mod limited;
pub mod limits;
pub mod metrics;
pub(crate) mod outer;
mod place;
pub mod stream;
mod unread;

pub use body::{Beside, Raw, Sent};

use crate::{
    auth::Authenticator,
    config::HttpConfig,
    http::{client::Network, cors::Origins, limits::Limiter},
};
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use std::{net::IpAddr, sync::Arc};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

/// Settings and state of the HTTP layer, shared by all connections.
pub struct Http {
    pub(crate) config: HttpConfig,
    auth: Authenticator,
    proxies: Vec<Network>,
    origins: Origins,
    per_ip: Option<Limiter<IpAddr>>,
    per_user: Option<Limiter<Uuid>>,
    requests: Arc<Semaphore>,
    /// Becomes true when the server stops, so that streaming answers end.
    pub(crate) stopping: watch::Sender<bool>,
}

/// A setting with an invalid value.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigError {
    pub setting: &'static str,
    pub reason: String,
}

impl Http {
    pub fn new(config: HttpConfig, auth: Authenticator) -> Result<Arc<Self>, ConfigError> {
        let proxies = config
            .trusted_proxies
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(Self {
            auth,
            proxies,
            origins: Origins::new(&config.cors_origins, config.cors_localhost)?,
            per_ip: config
                .ip_limit
                .map(|limit| Limiter::new("ip", limit))
                .transpose()?,
            per_user: config
                .user_limit
                .map(|limit| Limiter::new("user", limit))
                .transpose()?,
            requests: Arc::new(Semaphore::new(config.max_requests)),
            stopping: watch::Sender::new(false),
            config,
        }))
    }

    /// Wraps all routes of the API in the layers. The router must have at least one route.
    pub fn wrap(self: &Arc<Self>, routes: Router) -> Router {
        routes
            // Unknown paths and methods are answered with 404 and 405 before credentials are checked.
            .route_layer(from_fn_with_state(self.clone(), identify::identify))
            .merge(docs::router())
            .layer(from_fn_with_state(self.clone(), outer::outer))
            .layer(compress::layer())
            .layer(from_fn(compress::weaken))
    }

    pub(crate) fn proxies(&self) -> &[Network] {
        &self.proxies
    }

    /// Removes callers whose rate limit buckets are full again. The server calls it from time to time.
    pub(crate) fn tidy(&self) {
        if let Some(limiter) = &self.per_ip {
            limiter.tidy();
        }
        if let Some(limiter) = &self.per_user {
            limiter.tidy();
        }
    }
}
