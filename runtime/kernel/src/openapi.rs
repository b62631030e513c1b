//! `GET /openapi.json`, its parts under `/openapi/`, and the pages under `/docs` that show them.
//!
//! The document is built on the first request, from the generated one and from what the application declares about its
//! hand-written routes. Knows no entity.

mod answers;
mod files;
mod groups;
mod lists;
mod merge;
mod objects;
mod own;
mod page;
mod shared;
mod single;
mod unused;

pub use objects::Objects;

use crate::{Error, Result, etag, prelude::BoxFuture, problems};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::Mutex;

pub const PATH: &str = "/openapi.json";
/// The path of the parts of the document.
const PARTS: &str = "/openapi/";

/// Returns the document of the generated routes, as JSON. Called for the first request of the document: parsing it takes
/// more time and memory than all else that a server does when it starts.
pub type Generated = fn() -> &'static str;

/// Returns the description of the hand-written routes: `<ApiDoc as utoipa::OpenApi>::openapi`.
pub type HandWritten = fn() -> utoipa::openapi::OpenApi;

/// Texts in examples, and the texts that replace them, such as ids of objects that exist. Called for every request,
/// because such objects may be created later.
pub type Examples = Arc<dyn Fn() -> BoxFuture<'static, Replaced> + Send + Sync>;

type Replaced = Vec<(String, String)>;

/// Examples that never change.
pub fn examples(replaced: Replaced) -> Examples {
    Arc::new(move || {
        let replaced = replaced.clone();
        Box::pin(async move { replaced })
    })
}

/// The sources of the document, and the document as it was served last.
struct Document {
    generated: Generated,
    hand_written: HandWritten,
    servers: Vec<String>,
    examples: Examples,
    /// The document as it was last served, with the examples in it; `None`: not served yet.
    kept: Mutex<Option<(Replaced, Arc<[Served]>)>>,
}

/// The whole document, or a part of it.
struct Served {
    /// The title, by which readers choose a document.
    name: String,
    path: String,
    text: Bytes,
    etag: HeaderValue,
}

/// The routes of the document and its pages, to be merged into those of the API.
///
/// `servers` are the addresses that clients know.
pub fn router(
    generated: Generated,
    hand_written: HandWritten,
    servers: Vec<String>,
    examples: Examples,
) -> Router {
    let document = Arc::new(Document {
        generated,
        hand_written,
        servers,
        examples,
        kept: Mutex::new(None),
    });
    Router::new()
        .route(PATH, get(whole))
        .route(&format!("{PARTS}{{file}}"), get(part))
        .route("/docs/", get(front))
        .route("/docs/swagger-initializer.js", get(initializer))
        .with_state(document)
        .merge(page::router())
}

/// The whole document: generated routes, hand-written routes, and the engine's own.
///
/// Fails only if the generated text is not a valid document, which no released build can have.
pub fn document(generated: &str, hand_written: HandWritten) -> serde_json::Result<Value> {
    let mut document: Value = serde_json::from_str(generated)?;
    let mut hand_written = serde_json::to_value(hand_written())?;
    answers::require(&document, &mut hand_written);
    files::tell(&mut hand_written);
    merge::add(&mut document, hand_written, merge::Place::First);
    merge::add(&mut document, own::document(), merge::Place::Last);
    lists::add(&mut document);
    shared::say_once(&mut document);
    // The publisher and the licence of the document are those of this program.
    let title = document["info"]["title"].clone();
    document["info"]["contact"] = json!({"name": title});
    document["info"]["license"] =
        json!({"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")});
    unused::remove(&mut document);
    single::write_in_place(&mut document);
    unused::remove(&mut document);
    Ok(document)
}

async fn whole(State(document): State<Arc<Document>>, headers: HeaderMap) -> Result<Response> {
    document.answer(PATH, &headers).await
}

async fn part(
    State(document): State<Arc<Document>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    document.answer(&format!("{PARTS}{file}"), &headers).await
}

/// Begins to put the document together while the browser loads the scripts of the page, which ask for it then.
async fn front(State(document): State<Arc<Document>>) -> Result<Response> {
    tokio::task::spawn_blocking(move || {
        tokio::runtime::Handle::current().block_on(document.served());
    });
    page::front().await
}

async fn initializer(State(document): State<Arc<Document>>) -> Response {
    let all = document.served().await;
    let urls: Vec<Value> = all
        .iter()
        .map(|one| json!({"name": one.name, "url": one.path}))
        .collect();
    page::initializer(&json!(urls))
}

impl Served {
    fn new(name: &str, path: String, text: String) -> Self {
        let hash: String = Sha256::digest(&text)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            name: name.to_owned(),
            path,
            text: Bytes::from(text),
            etag: HeaderValue::from_str(&format!("\"{hash}\"")).expect("hexadecimal"),
        }
    }
}

impl Document {
    async fn answer(&self, path: &str, headers: &HeaderMap) -> Result<Response> {
        let all = self.served().await;
        let served = all.iter().find(|served| served.path == path);
        let served = served.ok_or_else(|| Error::new(&problems::NO_ROUTE))?;
        let known = etag::not_modified(headers, &served.etag)?;
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
        Ok((status, headers, body).into_response())
    }

    /// The whole document, then its parts.
    async fn served(&self) -> Arc<[Served]> {
        let examples = (self.examples)().await;
        let mut kept = self.kept.lock().await;
        if let Some((known, served)) = &*kept
            && *known == examples
        {
            return served.clone();
        }
        let served: Arc<[Served]> = self.put_together(&examples).into();
        *kept = Some((examples, served.clone()));
        served
    }

    fn put_together(&self, examples: &Replaced) -> Vec<Served> {
        let whole = |text| Served::new("Everything", PATH.to_owned(), text);
        let generated = (self.generated)();
        let document = match document(generated, self.hand_written) {
            Ok(mut document) => {
                let servers = self.servers.iter();
                document["servers"] = servers.map(|url| json!({"url": url})).collect();
                document
            }
            // Better the generated text as it is than none.
            Err(error) => {
                tracing::error!(%error, "the API document could not be put together");
                return vec![whole(generated.to_owned())];
            }
        };
        let mut all = vec![whole(written(&document, examples))];
        all.extend(groups::split(&document).into_iter().map(|group| {
            let path = format!("{PARTS}{}", group.file);
            Served::new(&group.name, path, written(&group.document, examples))
        }));
        all
    }
}

fn written(document: &Value, examples: &Replaced) -> String {
    let text = document.to_string();
    let all = examples.iter();
    all.fold(text, |text, (example, real)| text.replace(example, real))
}

#[cfg(test)]
mod tests;
