//! `GET /openapi.json` and the pages under `/docs` that show it.
//!
//! The document is put together on the first request, from the generated one and from what the
//! application says about its hand-written routes. Knows no entity.

mod merge;
mod own;
mod page;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

pub const PATH: &str = "/openapi.json";

/// Describes the hand-written routes: `<ApiDoc as utoipa::OpenApi>::openapi`.
pub type HandWritten = fn() -> utoipa::openapi::OpenApi;

/// Where the parts of the document come from.
struct Document {
    generated: &'static str,
    hand_written: HandWritten,
    served: OnceLock<Served>,
}

struct Served {
    text: Bytes,
    etag: HeaderValue,
}

/// The document and the pages. To be merged into the routes of the API.
pub fn router(generated: &'static str, hand_written: HandWritten) -> Router {
    let document = Arc::new(Document {
        generated,
        hand_written,
        served: OnceLock::new(),
    });
    Router::new()
        .route(PATH, get(json))
        .with_state(document)
        .merge(page::router())
}

/// The whole document: generated routes, hand-written routes, and the engine's own.
///
/// Fails only if the generated text is not a document, which no released build can have.
pub fn document(generated: &str, hand_written: HandWritten) -> Result<Value, serde_json::Error> {
    let mut document: Value = serde_json::from_str(generated)?;
    merge::add(
        &mut document,
        serde_json::to_value(hand_written())?,
        merge::Place::First,
    );
    merge::add(&mut document, own::document(), merge::Place::Last);
    Ok(document)
}

async fn json(State(document): State<Arc<Document>>, headers: HeaderMap) -> Response {
    let served = document.served();
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|sent| names(sent, &served.etag));
    let (status, body) = match known {
        true => (StatusCode::NOT_MODIFIED, Body::empty()),
        false => (StatusCode::OK, Body::from(served.text.clone())),
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, no-cache"),
        ),
        (header::ETAG, served.etag.clone()),
    ];
    (status, headers, body).into_response()
}

/// Whether `If-None-Match` names the tag; weak tags count, as for every read.
fn names(sent: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(sent), Ok(etag)) = (sent.to_str(), etag.to_str()) else {
        return false;
    };
    sent.split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == etag)
}

impl Document {
    fn served(&self) -> &Served {
        self.served.get_or_init(|| {
            let text = match document(self.generated, self.hand_written) {
                Ok(document) => Bytes::from(document.to_string()),
                // Better the generated text as it is than none.
                Err(error) => {
                    tracing::error!(%error, "the API document could not be put together");
                    Bytes::from_static(self.generated.as_bytes())
                }
            };
            let hash: String = Sha256::digest(&text)
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("hexadecimal");
            Served { text, etag }
        })
    }
}

#[cfg(test)]
mod tests;
