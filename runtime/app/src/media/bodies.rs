//! The bodies of requests and answers about uploads.

use chrono::{DateTime, Utc};
use generated::media::MediaEntityType;
use macros::Input;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// A picture to be uploaded, and the object that it is for.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"entity_type": "event", "entity_id": "019caddd-0f20-7b8e-a1f8-0bd70ae0784c", "content_type": "image/jpeg", "bytes": 482133,
      "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "alt_text": "Three singers on a stage", "position": 0}"#
)]
pub struct AnnouncedPicture {
    pub entity_type: MediaEntityType,
    pub entity_id: Uuid,
    /// `image/jpeg`, `image/png`, `image/webp` or `image/gif`.
    #[input(length(1, 100))]
    pub content_type: String,
    /// Size of the file in bytes.
    #[input(range(1, 104_857_600))]
    pub bytes: i64,
    /// SHA-256 of the file, in hexadecimal.
    #[input(length(64, 64))]
    pub sha256: String,
    /// Description of the picture for screen readers.
    #[input(length(0, 500))]
    pub alt_text: Option<String>,
    /// Sort order, ascending; the first picture is the object's main picture.
    #[input(range(0, 10_000), default = 0)]
    pub position: i32,
}

/// How to send the file: one request with this method, URL and headers, and the file as its body.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "media_upload")]
pub struct PictureUpload {
    pub id: Uuid,
    #[schema(example = "PUT")]
    pub method: &'static str,
    /// Can be used once, until `expires_at`. Needs no access token; keep it as secret as one.
    pub url: String,
    /// Headers to be sent unchanged.
    pub headers: BTreeMap<&'static str, String>,
    pub expires_at: DateTime<Utc>,
}
