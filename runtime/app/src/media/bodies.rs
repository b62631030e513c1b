//! The bodies of requests and answers about uploads.

use chrono::{DateTime, Utc};
use generated::media::MediaEntityType;
use macros::Input;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// A picture that is about to be sent, and of what it is.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"entity_type": "event", "entity_id": "0199e002-7b28-7c06-8aa1-27dcfb2f4adc", "content_type": "image/jpeg", "bytes": 482133,
      "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "alt_text": "Three singers on a stage", "position": 0}"#
)]
pub struct AnnouncedPicture {
    pub entity_type: MediaEntityType,
    pub entity_id: Uuid,
    /// `image/jpeg`, `image/png`, `image/webp` or `image/gif`.
    #[input(length(1, 100))]
    pub content_type: String,
    /// Length of the file.
    #[input(range(1, 104_857_600))]
    pub bytes: i64,
    /// SHA-256 of the file, in hexadecimal.
    #[input(length(64, 64))]
    pub sha256: String,
    /// What the picture shows, for those who do not see it.
    #[input(length(0, 500))]
    pub alt_text: Option<String>,
    /// Smallest first; the first picture stands for the target.
    #[input(range(0, 10_000), default = 0)]
    pub position: i32,
}

/// How to send it: one request with this method and these headers, and the file as its body.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "media_upload")]
pub struct PictureUpload {
    pub id: Uuid,
    #[schema(example = "PUT")]
    pub method: &'static str,
    /// Counts once, until `expires_at`. It needs no access token, and is to be kept as secret as one.
    pub url: String,
    /// Each must be sent as it stands here.
    pub headers: BTreeMap<&'static str, String>,
    pub expires_at: DateTime<Utc>,
}
