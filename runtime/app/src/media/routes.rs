//! The routes of uploads and files. Pictures themselves have generated routes.

use super::{
    Media,
    bodies::{AnnouncedPicture, PictureUpload},
    files::{Signed, denied},
};
use crate::module::id;
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use kernel::{
    Error, Member, Result,
    config::BodyLimit,
    http::Sent,
    idempotency::{Claimed, offered},
    openapi::Objects,
};
use tower::ServiceExt;
use utoipa::{OpenApi, openapi};

const FILE: &str = "/media/uploads/{id}/file";

/// The state of the routes: the module, and the generated routes that show pictures.
#[derive(Clone)]
struct Served {
    media: Media,
    generated: Router,
}

pub fn router(media: Media, generated: &Router) -> Router {
    let offered = from_fn_with_state(media.keyed.clone(), offered);
    Router::new()
        .route("/media/uploads", post(announce).route_layer(offered))
        .route(FILE, put(receive))
        .route("/media/uploads/{id}/complete", post(complete))
        .route("/media/files/{key}/{name}", get(serve))
        .with_state(Served {
            media,
            generated: generated.clone(),
        })
}

pub fn body_limits(bytes: u64) -> Vec<BodyLimit> {
    vec![BodyLimit {
        path: FILE,
        bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
    }]
}

static OBJECTS: Objects = Objects(&[("PictureUpload", "media_upload")]);

#[derive(OpenApi)]
#[openapi(paths(announce, receive, complete, serve), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Start a picture upload
///
/// For callers who may update the object that the picture is for. The response contains the URL and headers for
/// sending the file within 15 minutes; then call `POST /media/uploads/{id}/complete`. Accepts JPEG, PNG, WebP and GIF
/// (first frame only) of at most 12,000 pixels per side. With the same `Idempotency-Key`, a pending upload is returned
/// again, with its expiry unchanged.
#[utoipa::path(post, path = "/media/uploads", operation_id = "announcePicture", tag = "Media", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Requests with the same key start one upload", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = AnnouncedPicture,
    responses(
        (status = 201, description = "URL and headers for sending the file", body = PictureUpload),
        (status = 403, description = "The caller may not update the object"),
        (status = 404, description = "The object does not exist, or the caller may not see it"),
        (status = 409, description = "The caller's storage quota would be exceeded"),
        (status = 422, description = "A value is invalid, or the file is too large"),
        (status = 429, description = "Too many uploads within a minute"),
        (status = 503, description = "The file storage does not respond")))]
async fn announce(
    State(Served { media, .. }): State<Served>,
    caller: Member,
    claimed: Option<Claimed>,
    Sent(body): Sent<AnnouncedPicture>,
) -> Result<Response> {
    let is_repeated = claimed.is_some_and(|claimed| claimed.is_repeated());
    let upload = media.announce(&caller, body, is_repeated).await?;
    Ok((StatusCode::CREATED, Json(upload)).into_response())
}

/// Send a picture's file
///
/// Send the file to the `url` from `POST /media/uploads`, with the `headers` from there. That URL leads to this
/// operation if the server stores files on its own disk, and otherwise to a storage bucket; clients always use the
/// given URL. Needs no access token.
#[utoipa::path(put, path = "/media/uploads/{id}/file", operation_id = "sendPicture", tag = "Media", security(()),
    params(("id" = Uuid, Path, description = "Id of the upload"),
        ("bytes" = Option<i64>, Query, description = "From the signed URL", minimum = 1),
        ("expires" = Option<i64>, Query, description = "From the signed URL: Unix time"),
        ("signature" = Option<String>, Query, description = "From the signed URL", pattern = "^[0-9a-f]{64}$")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file; its content type is that of the upload"),
    responses(
        (status = 204, description = "The file was stored"),
        (status = 400, description = "The file differs from the announced one"),
        (status = 403, description = "The signature is invalid or expired"),
        (status = 404, description = "The id is malformed"),
        (status = 412, description = "The file has been sent already"),
        (status = 413, description = "The file is larger than announced"),
        (status = 429, description = "The file is being sent already")))]
async fn receive(
    State(Served { media, .. }): State<Served>,
    Path(path): Path<String>,
    signed: Result<Query<Signed>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode> {
    let (id, Query(signed)) = (id(&path)?, signed.map_err(|_| denied())?);
    media.receive(id, signed, &headers, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Complete a picture upload
///
/// Call it once the file was sent. The picture is checked, encoded in three sizes without camera metadata, and shown
/// from then on. Repeating the call returns the same picture. A refused file is deleted; start another upload then.
#[utoipa::path(post, path = "/media/uploads/{id}/complete", operation_id = "completePicture", tag = "Media", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Id of the upload")),
    responses(
        (status = 200, description = "The picture", body = ref("#/components/schemas/Media")),
        (status = 403, description = "The caller may no longer update the object"),
        (status = 404, description = "The caller has no such upload, or the object no longer exists"),
        (status = 409, description = "The file has not been sent, or the upload is closed"),
        (status = 422, description = "The file differs from the announced one, or is not a readable picture"),
        (status = 503, description = "Too many pictures are being processed, or the file storage does not respond")))]
async fn complete(
    State(served): State<Served>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let media = served.media.complete(&caller, id(&path)?).await?;
    // A new request, since the parameters of this path are not those of the generated route.
    let shown = Request::get(format!("/media/{media}")).body(Body::empty());
    let mut shown = shown.map_err(Error::internal)?;
    shown.extensions_mut().insert(*caller.caller());
    match served.generated.oneshot(shown).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// Get a picture's file
///
/// Target of a picture's `url`, `medium_url` and `small_url`, unless the server is configured to serve files from
/// elsewhere. Needs no access token, since URLs can't be guessed and are only given to callers who may see the picture.
/// Files never change.
#[utoipa::path(get, path = "/media/files/{key}/{name}", operation_id = "getPictureFile", tag = "Media", security(()),
    params(("key" = Uuid, Path, description = "Key of the picture's files"),
        ("name" = String, Path, description = "File name of the size", pattern = "^(320|800|1600)\\.jpg$", example = "800.jpg"),
        ("If-None-Match" = Option<String>, Header, description = "ETag of the cached file")),
    responses(
        (status = 200, description = "The picture", content_type = "image/jpeg", body = Vec<u8>),
        (status = 304, description = "The cached file is current"),
        (status = 404, description = "The file does not exist"),
        (status = 503, description = "The file storage does not respond")))]
async fn serve(
    State(Served { media, .. }): State<Served>,
    Path((key, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    media.serve(&key, &name, &headers).await
}
