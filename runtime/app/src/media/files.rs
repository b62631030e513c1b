//! Files over HTTP: uploads to signed URLs, and downloads by name.
//!
//! Neither checks the caller. A name has 122 random bits and is only told to callers who may see the picture's row.

use super::{Media, PARTS, away};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kernel::{Error, Result, etag, http::body::refusal, problems};
use serde::Deserialize;
use storage::{CACHE_CONTROL, Key, Received, Refused};
use uuid::Uuid;

/// The query parameters of a URL that was signed here.
#[derive(Deserialize)]
pub struct Signed {
    bytes: u64,
    expires: i64,
    signature: String,
}

impl Media {
    /// Receives an upload chunk by chunk.
    pub async fn receive(
        &self,
        id: Uuid,
        signed: Signed,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<()> {
        let [content_type, checksum, if_none_match] = Received::HEADERS.map(|name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        });
        let received = Received {
            id,
            bytes: signed.bytes,
            expires_at: signed.expires,
            signature: signed.signature,
            content_type,
            checksum,
            if_none_match,
        };
        let now = self.clock.now().timestamp();
        let taken = self
            .storage
            .receive(&received, now, body.into_data_stream());
        taken.await.map_err(|refused| match refused {
            Refused::Denied => denied(),
            Refused::Taken => {
                Error::new(&problems::PRECONDITION).detail("The file has been sent already.")
            }
            Refused::Busy => Error::new(&problems::QUOTA)
                .detail("The file is being sent already.")
                .retry_after(30),
            Refused::TooLong(bytes) => Error::new(&problems::TOO_LARGE)
                .detail(format!("A file of {bytes} bytes was announced.")),
            Refused::Other => Error::new(&problems::BAD_REQUEST)
                .detail("The file is not the one that was announced."),
            Refused::Body(error) => refusal(error),
            Refused::Folder(error) => Error::unavailable().because(error),
        })
    }

    pub async fn serve(&self, key: &str, name: &str, headers: &HeaderMap) -> Result<Response> {
        let part = PARTS.into_iter().find(|part| *part == name);
        let part = part.ok_or_else(Error::not_found)?;
        let key = crate::module::id(key)?;
        // The file of a name never changes, so the name can serve as the ETag.
        let tag = HeaderValue::from_str(&format!("\"{key}-{part}\"")).map_err(Error::internal)?;
        let place = Key::picture(key, part);
        // Caches and CDNs send several tags, or weak ones. What can't be read is no tag of ours.
        if etag::not_modified(headers, &tag).unwrap_or(false) {
            // A cache must not keep a picture that was taken down since.
            let size = self.storage.size(&place).await.map_err(away)?;
            size.ok_or_else(Error::not_found)?;
            return Ok((StatusCode::NOT_MODIFIED, named(tag)).into_response());
        }
        let found = self.storage.read(&place).await;
        let (size, stream) = found.map_err(away)?.ok_or_else(Error::not_found)?;
        let mut headers = named(tag);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
        headers.insert(header::CONTENT_LENGTH, size.into());
        Ok((headers, Body::from_stream(stream)).into_response())
    }
}

/// The refusal of an invalid URL: the same whatever is wrong, as with a bucket.
pub fn denied() -> Error {
    Error::forbidden().detail(
        "The address was not signed by this server, has expired, or a header differs from what was signed. Announce the picture again.",
    )
}

fn named(tag: HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, tag);
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(CACHE_CONTROL),
    );
    headers
}
