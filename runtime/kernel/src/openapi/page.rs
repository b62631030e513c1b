//! `/docs`: Swagger UI, from files inside the binary. Nothing is loaded from elsewhere.

use super::PATH;
use crate::{Error, Result, problems};
use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use utoipa_swagger_ui::{Config, serve};

pub fn router() -> Router {
    Router::new()
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/{*file}", get(file))
}

/// Styles are set by script and the logo is a data URL; everything else comes from and goes to this server.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page itself.
pub async fn front() -> Result<Response> {
    file(Path(String::new())).await
}

/// Starts Swagger UI with our extensions (`docs/`) and with the documents to choose from.
pub fn initializer(urls: &Value) -> Response {
    const PLUGINS: &str = include_str!("docs/plugins.js");
    const START: &str = include_str!("docs/initializer.js");
    let start = START.replace("/*urls*/ []", &urls.to_string());
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/javascript"),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, no-cache"),
        ),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, format!("{PLUGINS}\n{start}")).into_response()
}

async fn file(Path(name): Path<String>) -> Result<Response> {
    let file = serve(&name, config()).map_err(|error| Error::internal(error.to_string()))?;
    let file = file.ok_or_else(|| Error::new(&problems::NO_ROUTE))?;
    let kind = HeaderValue::from_str(&file.content_type).map_err(Error::internal)?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=3600"),
        ),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, Body::from(file.bytes.into_owned())).into_response())
}

/// Only needed by `serve`, whose own initializer is not served.
fn config() -> Arc<Config<'static>> {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    CONFIG.get_or_init(|| Arc::new(Config::from(PATH))).clone()
}
