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

/// Announce a picture
///
/// By whoever may change the target. The answer says where to put the file and with which headers, within 15 minutes; then
/// `POST /media/uploads/{id}/complete` looks at it. JPEG, PNG, WebP and GIF (of which the first frame counts) are taken, with
/// 12,000 pixels a side at most. With an `Idempotency-Key` the same address is answered again, which counts no longer for that.
#[utoipa::path(post, path = "/media/uploads", operation_id = "announcePicture", tag = "Media", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key makes one", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = AnnouncedPicture,
    responses(
        (status = 201, description = "Where to send it", body = PictureUpload),
        (status = 403, description = "The caller may not change the target"),
        (status = 404, description = "There is no such target, or the caller may not see it"),
        (status = 409, description = "The caller's pictures would take more than they may"),
        (status = 422, description = "A value is wrong, or the file is too long"),
        (status = 429, description = "Too many pictures within a minute"),
        (status = 503, description = "The store of files does not answer")))]
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
/// To the address that `POST /media/uploads` has answered with, and with the headers from there. That address leads here
/// where the server keeps files on a disk of its own, and to the bucket where it keeps them in one: clients send to where it
/// leads. Needs no access token.
#[utoipa::path(put, path = "/media/uploads/{id}/file", operation_id = "sendPicture", tag = "Media", security(()),
    params(("id" = Uuid, Path, description = "Of the upload"),
        ("bytes" = Option<i64>, Query, description = "As signed", minimum = 1),
        ("expires" = Option<i64>, Query, description = "As signed: Unix time"),
        ("signature" = Option<String>, Query, description = "As signed", pattern = "^[0-9a-f]{64}$")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file, with the content type that was announced"),
    responses(
        (status = 204, description = "It is there"),
        (status = 400, description = "It is not the file that was announced"),
        (status = 403, description = "The address was not signed for this, or its time is over"),
        (status = 404, description = "This is no id"),
        (status = 412, description = "The file has been sent already"),
        (status = 413, description = "It is longer than announced")))]
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

/// Complete a picture
///
/// Once its file was sent. It is read whole, made anew in three sizes without anything that cameras write into files, and
/// shown from then on. Asked again, it answers with the same picture. A file that is refused is deleted; announce another.
#[utoipa::path(post, path = "/media/uploads/{id}/complete", operation_id = "completePicture", tag = "Media", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the upload")),
    responses(
        (status = 200, description = "The picture", body = ref("#/components/schemas/Media")),
        (status = 403, description = "The caller may not change the target any more"),
        (status = 404, description = "The caller has announced no such picture, or the target is gone"),
        (status = 409, description = "The file has not come, or the upload is over"),
        (status = 422, description = "The file is not the one that was announced, or no picture that can be shown"),
        (status = 503, description = "Too many pictures are being looked at, or the store of files does not answer")))]
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
/// `url`, `medium_url` and `small_url` of a picture lead here, unless the server is set to have them served from elsewhere. Needs no access
/// token: the name is known to those who may see the picture, and can't be guessed. What lies there never changes.
#[utoipa::path(get, path = "/media/files/{key}/{name}", operation_id = "getPictureFile", tag = "Media", security(()),
    params(("key" = Uuid, Path, description = "Of the picture's files"),
        ("name" = String, Path, description = "Of the size", pattern = "^(320|800|1600)\\.jpg$", example = "800.jpg"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the file that the client has")),
    responses(
        (status = 200, description = "The picture", content_type = "image/jpeg", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 404, description = "There is no such file"),
        (status = 503, description = "The store of files does not answer")))]
async fn serve(
    State(Served { media, .. }): State<Served>,
    Path((key, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    media.serve(&key, &name, &headers).await
}
