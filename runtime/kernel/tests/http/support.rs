//! A few routes with nothing behind them.

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode},
    routing::{get, post},
};
use http_body_util::BodyExt;
use kernel::{
    Db, Visitor,
    auth::{Authenticator, Tokens},
    config::{DbConfig, HttpConfig, TokenConfig},
    http::{Http, Raw, Sent, health::Health},
};
use macros::Input;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tower::ServiceExt;

const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----";

/// Bytes of `/large`: more than the buffers of two sockets hold.
pub const LARGE: usize = 32 << 20;

#[derive(Input)]
#[input(body)]
struct Numbered {
    number: i32,
}

pub fn http(configure: impl FnOnce(&mut HttpConfig)) -> Arc<Http> {
    let tokens = TokenConfig::new("test".into(), "test".into(), KEY.into());
    let auth = Authenticator::new(Arc::new(Tokens::new(&tokens).unwrap()), Vec::new());
    let mut config = HttpConfig {
        body_limit: 1000,
        ..HttpConfig::default()
    };
    configure(&mut config);
    Http::new(config, auth).unwrap()
}

pub fn routes(http: &Arc<Http>) -> Router {
    let routes = Router::new()
        .route(
            "/echo",
            post(|body: Bytes| async move { body }).get(|| async { "hello" }),
        )
        .route(
            "/json",
            post(|Sent(body): Sent<Numbered>| async move { body.number.to_string() }),
        )
        .route(
            "/raw/{id}",
            post(|Raw(bytes): Raw| async move { bytes.len().to_string() }),
        )
        .route("/large", get(|| async { vec![b'x'; LARGE] }))
        .route("/panic", get(panic))
        .route(
            "/ip",
            get(|visitor: Visitor| async move { format!("{:?}", visitor.ip) }),
        )
        .route("/slow", get(|| tokio::time::sleep(Duration::from_secs(60))))
        .route(
            "/brief",
            get(|| tokio::time::sleep(Duration::from_millis(300))),
        );
    http.wrap(routes)
}

async fn panic() -> &'static str {
    panic!("a secret that nobody outside may read")
}

/// Of a database that is not there.
pub fn health() -> Health {
    let mut config = DbConfig::new("postgres://nobody@127.0.0.1:1/none".into());
    config.acquire_timeout = Duration::from_millis(200);
    config.connections = 1;
    Health::new(Db::connect(&config).unwrap(), None)
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn problem(&self) -> String {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.text
        );
        let document: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(document["status"], self.status.as_u16());
        assert_eq!(
            document["instance"],
            format!(
                "urn:uuid:{}",
                self.headers["x-request-id"].to_str().unwrap()
            )
        );
        document["type"].as_str().unwrap().replace("/problems/", "")
    }
}

pub async fn send(routes: &Router, request: Request<Body>) -> Answer {
    let response = routes.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text,
    }
}

pub fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path)
}

pub fn empty(builder: axum::http::request::Builder) -> Request<Body> {
    builder.body(Body::empty()).unwrap()
}
