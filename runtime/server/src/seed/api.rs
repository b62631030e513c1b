//! Calls the API of this application as the people of the demonstration, in the same process.

use super::demo::PEOPLE;
use anyhow::{Context, Result, ensure};
use app::App;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, header},
};
use serde_json::Value;
use tower::ServiceExt;

const LARGEST: usize = 8 << 20;

pub struct Api {
    router: Router,
    /// In the order of [`PEOPLE`].
    tokens: Vec<String>,
}

impl Api {
    pub async fn of_everybody(app: &App, router: Router) -> Result<Self> {
        let mut tokens = Vec::new();
        for person in &PEOPLE {
            let email = format!("{}@example.org", person.handle);
            let signed = app.modules.sessions.impersonate(&email).await?;
            let signed = signed.with_context(|| format!("there is no {email}: seed demo first"))?;
            tokens.push(signed.access_token);
        }
        Ok(Self { router, tokens })
    }

    pub async fn get(&self, member: usize, path: &str) -> Result<Value> {
        self.ask(member, Method::GET, path, None).await
    }

    pub async fn send(&self, member: usize, path: &str, body: Value) -> Result<Value> {
        self.ask(member, Method::POST, path, Some(body)).await
    }

    async fn ask(
        &self,
        member: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let key = uuid::Uuid::now_v7().to_string();
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.tokens[member]),
            )
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key);
        let body = match body {
            None | Some(Value::Null) => Body::empty(),
            Some(body) => Body::from(body.to_string()),
        };
        self.answer(request.body(body)?).await
    }

    /// Sends a request as this person and fails unless the answer is a success.
    pub async fn answer(&self, request: Request<Body>) -> Result<Value> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await?;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), LARGEST).await?;
        let text = String::from_utf8_lossy(&bytes);
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

pub fn list(page: &Value) -> &[Value] {
    page["data"].as_array().map_or(&[], Vec::as_slice)
}
