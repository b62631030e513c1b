//! Calls the API of this application as the people of the demonstration, in the same process.

use super::demo::PEOPLE;
use anyhow::{Context, Result, ensure};
use app::App;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, header, request::Builder},
};
use serde_json::Value;
use tower::ServiceExt;

const LARGEST: usize = 8 << 20;

pub struct Api {
    router: Router,
    /// The access tokens of [`PEOPLE`], in that order, and then those of the members added with `admit`.
    tokens: Vec<String>,
}

impl Api {
    pub async fn of_everybody(app: &App, router: Router) -> Result<Self> {
        let tokens = Vec::new();
        let mut api = Self { router, tokens };
        for person in &PEOPLE {
            let email = format!("{}@example.org", person.handle);
            api.admit(app, &email).await?;
        }
        Ok(api)
    }

    /// Signs in one more member and returns the index that the other functions take for this member.
    pub async fn admit(&mut self, app: &App, email: &str) -> Result<usize> {
        let signed = app.modules.sessions.impersonate(email).await?;
        let signed = signed.with_context(|| format!("there is no {email}: seed demo first"))?;
        self.tokens.push(signed.access_token);
        Ok(self.tokens.len() - 1)
    }

    pub async fn get(&self, member: usize, path: &str) -> Result<Value> {
        self.ask(member, Method::GET, path, None).await
    }

    pub async fn send(&self, member: usize, path: &str, body: Value) -> Result<Value> {
        self.ask(member, Method::POST, path, Some(body)).await
    }

    /// The rows of all pages of a list.
    pub async fn all(&self, member: usize, path: &str) -> Result<Vec<Value>> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let path = format!("{path}{separator}limit=100{cursor}");
            let page = self.get(member, &path).await?;
            rows.extend_from_slice(list(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(rows),
            }
        }
    }

    /// Changes an object, whatever its current version is.
    pub async fn change(&self, member: usize, path: &str, body: Value) -> Result<Value> {
        let before = self.get(member, path).await?;
        let version = format!("\"{}\"", before["version"]);
        let request = self
            .request(member, Method::PATCH, path)
            .header(header::IF_MATCH, version);
        self.answer(request.body(Body::from(body.to_string()))?)
            .await
    }

    fn request(&self, member: usize, method: Method, path: &str) -> Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.tokens[member]),
            )
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", uuid::Uuid::now_v7().to_string())
    }

    async fn ask(
        &self,
        member: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let request = self.request(member, method, path);
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
