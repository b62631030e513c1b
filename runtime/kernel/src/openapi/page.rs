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
use std::sync::{Arc, OnceLock};
use utoipa_swagger_ui::{Config, serve};

pub fn router() -> Router {
    Router::new()
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| file(Path(String::new()))))
        .route("/docs/{*file}", get(file))
}

/// Styles are set from script, the logo is a data URL; everything else comes from and goes to this server.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

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

fn config() -> Arc<Config<'static>> {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let config = Config::from(PATH)
                .persist_authorization(true)
                .deep_linking(true)
                .doc_expansion("none")
                .default_models_expand_depth(0)
                .default_model_rendering("example")
                .display_request_duration(true)
                .filter(true)
                // Otherwise the page would send the document to a validator elsewhere.
                .validator_url("none");
            Arc::new(config)
        })
        .clone()
}
