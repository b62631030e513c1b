//! Minimal services for sending messages: they accept everything and answer after a fixed delay. `fakes/messengers` is
//! more faithful, but would need CPU time of its own.

use crate::world;
use anyhow::Result;
use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
pub struct Services {
    port: u16,
    delay_ms: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
}

impl Services {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let services = Self {
            port: listener.local_addr()?.port(),
            ..Self::default()
        };
        let router = Router::new()
            .route("/token", post(token))
            .route("/v1/projects/bench/{call}", post(push))
            .route("/emails", post(mail))
            .with_state(services.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(services)
    }

    pub fn answer_after_ms(&self, delay: u64) {
        self.delay_ms.store(delay, Relaxed);
    }

    /// The number of messages accepted since the previous call.
    pub fn taken(&self) -> u64 {
        self.taken.swap(0, Relaxed)
    }

    /// The settings with which a worker sends messages to these services.
    pub fn settings(&self) -> Result<Vec<(&'static str, String)>> {
        let key = world::openssl(&[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ])?;
        let url = format!("http://127.0.0.1:{}", self.port);
        let account = json!({
            "type": "service_account", "project_id": "bench", "private_key_id": "bench", "private_key": key,
            "client_email": "bench@example.org", "client_id": "1", "auth_uri": format!("{url}/auth"),
            "token_uri": format!("{url}/token"),
        });
        Ok(vec![
            ("FCM_SERVICE_ACCOUNT", account.to_string()),
            ("FCM_URL", url.clone()),
            ("RESEND_API_KEY", "re_bench".to_owned()),
            ("RESEND_URL", url),
            ("MAIL_FROM", "Bench <bench@example.org>".to_owned()),
        ])
    }

    /// Accepts a message after the delay and returns its number.
    async fn take(&self) -> String {
        let number = self.taken.fetch_add(1, Relaxed);
        let delay = self.delay_ms.load(Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        number.to_string()
    }
}

async fn token() -> Json<Value> {
    Json(json!({"access_token": "bench", "expires_in": 3599, "token_type": "Bearer"}))
}

async fn push(State(services): State<Services>, _: Json<Value>) -> Json<Value> {
    let name = services.take().await;
    Json(json!({"name": format!("projects/bench/messages/{name}")}))
}

async fn mail(State(services): State<Services>, _: Json<Value>) -> Json<Value> {
    let id = services.take().await;
    Json(json!({"id": id}))
}
