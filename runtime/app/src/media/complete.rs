//! The second half of an upload: the uploaded file is checked and becomes a picture, or is refused and deleted.
//!
//! Completing an upload repeatedly, even concurrently, results in the same picture, since its storage key is chosen
//! when it is announced.

use super::{Media, PARTS, away, lifecycle, target};
use crate::{module::Module, problems};
use chrono::{DateTime, Utc};
use generated::media::MediaEntityType;
use images::{Kind, Prepared, Refused};
use kernel::{Cx, Error, Member, Result, error::violated, input::Choice, jobs};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{Row, postgres::PgRow};
use storage::Key;
use uuid::Uuid;

/// An upload as it was announced.
struct Upload {
    id: Uuid,
    entity_type: MediaEntityType,
    entity_id: Uuid,
    kind: Kind,
    bytes: u64,
    sha256: String,
    storage_key: Uuid,
    /// The time until which the upload's URL accepts a file.
    expires_at: DateTime<Utc>,
}

enum Found {
    Pending(Upload),
    /// The upload was completed already, to this picture.
    Complete(Uuid),
}

impl Media {
    /// Completes an upload and returns the picture's id.
    pub async fn complete(&self, caller: &Member, id: Uuid) -> Result<Uuid> {
        let upload = match self.pending(caller, id).await? {
            Found::Complete(media) => return Ok(media),
            Found::Pending(upload) => upload,
        };
        let prepared = match self.look(caller.id(), &upload).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(why)) => {
                if let Some(media) = self.refuse(caller, &upload).await? {
                    return Ok(media);
                }
                return Err(Error::new(&problems::PICTURE_REFUSED).detail(why));
            }
            // A concurrent request may have completed the upload since it was looked up, and deleted its file.
            Err(missing) if missing.kind().slug == problems::UPLOAD_MISSING.slug => {
                return match self.pending(caller, id).await? {
                    Found::Complete(media) => Ok(media),
                    Found::Pending(_) => Err(missing),
                };
            }
            Err(away) => return Err(away),
        };
        for (part, size) in PARTS.into_iter().zip(&prepared.sizes) {
            let key = Key::picture(upload.storage_key, part);
            let put = self.storage.put(&key, size.jpeg.clone(), "image/jpeg");
            put.await.map_err(away)?;
        }
        self.show(caller, &upload, prepared).await
    }

    async fn pending(&self, caller: &Member, id: Uuid) -> Result<Found> {
        let member = caller.id();
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move { hold(cx, member, id).await })
            });
        run.await
    }

    /// Checks the file and makes the sizes. The outer error is a failure of ours; the inner one says what is wrong
    /// with the file.
    async fn look(&self, member: Uuid, upload: &Upload) -> Result<Result<Prepared, String>> {
        let key = Key::incoming(upload.id);
        let Some(size) = self.storage.size(&key).await.map_err(away)? else {
            return Err(Error::new(&problems::UPLOAD_MISSING));
        };
        // A bucket accepts files of any length; a file of another length than announced is not read.
        if size != upload.bytes {
            let (announced, found) = (upload.bytes, size);
            return Ok(Err(format!(
                "The file has {found} bytes, and {announced} were announced."
            )));
        }
        // Before the file is read, so that requests that wait hold none in memory.
        let bench = self.workshop.enter(member).await;
        let bench = bench.map_err(|busy| Error::unavailable().because(busy))?;
        let Some(bytes) = self.storage.get(&key).await.map_err(away)? else {
            return Err(Error::new(&problems::UPLOAD_MISSING));
        };
        if hex::encode(Sha256::digest(&bytes)) != upload.sha256 {
            let why = "The file is not the one whose SHA-256 was announced.";
            return Ok(Err(why.to_owned()));
        }
        let prepared = bench.prepare(bytes, upload.kind).await;
        Ok(prepared.map_err(|refused| said(&refused)))
    }

    /// Records that the file was refused. Returns the picture if a concurrent request has completed the upload in the
    /// meantime, in which case the bytes that were checked were not the uploaded file any more.
    async fn refuse(&self, caller: &Member, upload: &Upload) -> Result<Option<Uuid>> {
        let member = caller.id();
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    if let Found::Complete(media) = hold(cx, member, upload.id).await? {
                        return Ok(Some(media));
                    }
                    settle(cx, upload.id, "refused", None).await?;
                    lifecycle::Files::of_upload(upload.id, Some(upload.storage_key))
                        .forget_sealed(cx, upload.expires_at)
                        .await?;
                    Ok(None)
                })
            });
        run.await
    }

    async fn show(&self, caller: &Member, upload: &Upload, prepared: Prepared) -> Result<Uuid> {
        let largest = prepared.sizes.last().ok_or_else(Error::unavailable)?;
        let side = |length: u32| i32::try_from(length).map_err(Error::internal);
        let shown = &Shown {
            member: caller.id(),
            urls: PARTS.map(|part| self.url(upload.storage_key, part)),
            width: side(largest.width)?,
            height: side(largest.height)?,
            bytes: prepared
                .sizes
                .iter()
                .map(|size| size.jpeg.len() as i64)
                .sum(),
        };
        let files = lifecycle::Files::of_upload(upload.id, Some(upload.storage_key));
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(shown.of(cx, upload))
            });
        let done = run.await;
        // The upload was refused or abandoned in the meantime; the job that deletes its files may have run before
        // these files were written.
        if done
            .as_ref()
            .is_err_and(|error| error.kind().slug == problems::UPLOAD_OVER.slug)
        {
            self.clear(&files).await?;
        }
        done
    }
}

/// The values of the picture's row.
struct Shown {
    member: Uuid,
    /// The URLs of the sizes, in the order of [`PARTS`].
    urls: [String; PARTS.len()],
    width: i32,
    height: i32,
    bytes: i64,
}

impl Shown {
    async fn of(&self, cx: &mut Cx, upload: &Upload) -> Result<Uuid> {
        // Checked again, since processing the picture took a while.
        if let Found::Complete(media) = hold(cx, self.member, upload.id).await? {
            return Ok(media);
        }
        let media: Uuid = sqlx::query_scalar(
            "insert into app.media
               (entity_type, entity_id, type, small_url, medium_url, url, alt_text, position, uploaded_by_id, storage_key,
                width, height, bytes, content_hash)
             select u.entity_type, u.entity_id, 'image', $2, $3, $4, u.alt_text, u.position, u.uploaded_by_id, u.storage_key,
                    $5, $6, $7, u.sha256
             from app.media_uploads u where u.id = $1
             returning id",
        )
        .bind(upload.id)
        .bind(&self.urls[0])
        .bind(&self.urls[1])
        .bind(&self.urls[2])
        .bind(self.width)
        .bind(self.height)
        .bind(self.bytes)
        .fetch_one(cx.conn())
        .await
        .map_err(|error| match is_reference(&error) {
            // What the picture belongs to has been archived since it was looked at, which the next attempt finds.
            true => Error::from(error).run_again(),
            // A copy of it was suspended after this one was announced.
            false if violated(&error) == Some("media_suspended_before") => {
                Error::new(&kernel::problems::STATE).detail(super::SUSPENDED)
            }
            false => error.into(),
        })?;
        settle(cx, upload.id, "complete", Some(media)).await?;
        // What the picture belongs to may be suspended before this transaction is committed, and the job that then hides
        // its pictures would not find this one.
        jobs::tell(cx, "media.shown", ("media", media), json!({})).await?;
        lifecycle::Files::of_upload(upload.id, None)
            .forget_sealed(cx, upload.expires_at)
            .await?;
        Ok(media)
    }
}

fn is_reference(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|database| database.is_foreign_key_violation())
}

/// The caller's upload, with its row locked until the end of the transaction. Refuses a caller who may not change the
/// upload's target any more.
async fn hold(cx: &mut Cx, member: Uuid, id: Uuid) -> Result<Found> {
    let row = sqlx::query(
        "select u.entity_type, u.entity_id, u.content_type, u.bytes, u.sha256, u.storage_key, u.expires_at, u.state, u.media_id
         from app.media_uploads u where u.id = $1 and u.uploaded_by_id = $2 for update",
    )
    .bind(id)
    .bind(member)
    .fetch_optional(cx.conn())
    .await?;
    let row = row.ok_or_else(Error::not_found)?;
    match row.try_get("state")? {
        "complete" => {
            let media: Option<Uuid> = row.try_get("media_id")?;
            return media.map(Found::Complete).ok_or_else(Error::not_found);
        }
        "pending" => {}
        _ => return Err(Error::new(&problems::UPLOAD_OVER)),
    }
    let upload = read(id, &row)?;
    cx.require(target(upload.entity_type), "update", upload.entity_id)
        .await?;
    Ok(Found::Pending(upload))
}

fn read(id: Uuid, row: &PgRow) -> Result<Upload> {
    let unknown = || Error::internal("an upload of a kind that this program does not know");
    let entity_type: &str = row.try_get("entity_type")?;
    Ok(Upload {
        id,
        entity_type: MediaEntityType::from_word(entity_type).ok_or_else(unknown)?,
        entity_id: row.try_get("entity_id")?,
        kind: Kind::of_content_type(row.try_get("content_type")?).ok_or_else(unknown)?,
        bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs(),
        sha256: row.try_get("sha256")?,
        storage_key: row.try_get("storage_key")?,
        expires_at: row.try_get("expires_at")?,
    })
}

/// What is wrong with the file, and what to do about it.
fn said(refused: &Refused) -> String {
    match refused {
        Refused::Kind(content_type) => {
            format!("The file is not {content_type}. Announce it with the type that it has.")
        }
        Refused::TooLarge => format!(
            "The picture is too large: a side may have {} pixels, and all of it {} MB once it is unpacked. Make it smaller, and upload that.",
            images::SIDE_MAX,
            images::DECODED_MAX >> 20
        ),
        Refused::Metadata => format!(
            "The file's colour profile or texts unpack to more than {} MB. Save the picture without metadata, and upload that.",
            images::METADATA_MAX >> 20
        ),
        Refused::Scans => format!(
            "The JPEG has more than {} scans. Save it as an ordinary JPEG, and upload that.",
            images::SCANS_MAX
        ),
        Refused::Codes => format!(
            "The WebP describes its pixels with more than {} MB of prefix codes. Save it again with a program for pictures, and upload that.",
            images::CODES_MAX >> 20
        ),
        Refused::Cut => "The end of the file is missing. Upload the whole file.".to_owned(),
        Refused::Broken => {
            "The file can't be read as a picture. Save it again with a program for pictures, and upload that.".to_owned()
        }
    }
}

async fn settle(cx: &mut Cx, id: Uuid, state: &str, media: Option<Uuid>) -> Result<()> {
    sqlx::query(
        "update app.media_uploads set state = $2, media_id = $3, settled_at = now()
         where id = $1 and state = 'pending'",
    )
    .bind(id)
    .bind(state)
    .bind(media)
    .execute(cx.conn())
    .await?;
    Ok(())
}
