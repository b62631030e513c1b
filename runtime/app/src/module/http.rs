//! What handlers of all modules do in the same way with requests and answers.

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use kernel::{
    Cx, Error, Member, Result, idempotency, problems, resource::Resource, value::parse_id,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// 403 for everybody except platform administrators.
pub fn administrator(caller: &Member) -> Result<()> {
    match caller.holds("platformAdmin") {
        true => Ok(()),
        false => Err(Error::forbidden()),
    }
}

/// Refuses callers who administer neither the object nor the platform: 404 if they may not see it, otherwise 403.
pub async fn admin_or_platform(
    cx: &mut Cx,
    caller: &Member,
    resource: &'static Resource,
    id: Uuid,
) -> Result<()> {
    cx.require(resource, "read", id).await?;
    match caller.holds("platformAdmin") || cx.holds(resource, "admin", id).await? {
        true => Ok(()),
        false => Err(Error::forbidden()),
    }
}

/// Parses the id in a path, which must be spelled as in answers. 404 for an invalid id, since no object can have it.
pub fn id(text: &str) -> Result<Uuid> {
    parse_id(text).ok_or_else(Error::not_found)
}

/// The `Idempotency-Key` of a request on a route that requires one; the middleware has refused requests without it.
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str> {
    idempotency::key(headers)?.ok_or_else(|| Error::new(&problems::BAD_REQUEST))
}

/// The first sixteen bytes of the SHA-256 digest, in hexadecimal.
pub fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    let bytes = digest.iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// An answer that no cache may store, because it is private or changes all the time.
pub fn uncached(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
