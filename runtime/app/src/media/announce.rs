//! The first half of an upload: a member announces a file and gets a signed URL for it.

use super::{
    Media,
    bodies::{AnnouncedPicture, PictureUpload},
    target,
};
use crate::{module::Module, problems};
use chrono::{DateTime, TimeDelta, Utc};
use images::Kind;
use kernel::{Cx, Error, Member, Result, input::Choice};
use sqlx::Row;
use storage::Announced;
use uuid::Uuid;

/// The number of minutes for which an upload's URL is valid.
const MINUTES: i64 = 15;

/// A valid body, with its parsed values.
struct Checked {
    body: AnnouncedPicture,
    kind: Kind,
    sha256: [u8; 32],
}

impl Media {
    /// `is_repeated`: an earlier attempt of the same request got no answer and may have stored the upload.
    pub async fn announce(
        &self,
        caller: &Member,
        body: AnnouncedPicture,
        is_repeated: bool,
    ) -> Result<PictureUpload> {
        let checked = &self.check(body)?;
        let now = self.clock.now();
        // In whole seconds, as in signed URLs.
        let expires_at = DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now)
            + TimeDelta::minutes(MINUTES);
        let member = caller.id();
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    let body = &checked.body;
                    let target = target(body.entity_type);
                    cx.require(target, "update", body.entity_id).await?;
                    if is_repeated && let Some(earlier) = earlier(cx, member, checked).await? {
                        return Ok(earlier);
                    }
                    refuse_suspended(cx, checked).await?;
                    self.have_room(cx, member, body.bytes).await?;
                    let id = note(cx, member, checked, expires_at).await?;
                    Ok((id, expires_at))
                })
            });
        let (id, expires_at) = run.await?;
        // After the transaction, since signing for a bucket may have to fetch credentials.
        let announced = Announced {
            id,
            content_type: checked.kind.content_type(),
            sha256: checked.sha256,
            bytes: checked.body.bytes.unsigned_abs(),
            expires_at: expires_at.timestamp(),
        };
        let signed = self.storage.sign_upload(&announced, now.timestamp()).await;
        let signed = signed.map_err(super::away)?;
        Ok(PictureUpload {
            id,
            method: "PUT",
            url: signed.url.into(),
            headers: signed.headers.into_iter().collect(),
            expires_at,
        })
    }

    fn check(&self, body: AnnouncedPicture) -> Result<Checked> {
        let Some(kind) = Kind::of_content_type(&body.content_type) else {
            let detail = "must be image/jpeg, image/png, image/webp or image/gif";
            return Err(Error::field("/content_type", "choice", detail));
        };
        let most = self.settings.media_max_bytes;
        if body.bytes.unsigned_abs() > most {
            let detail = format!("must be at most {most}, the largest size of a file");
            return Err(Error::field("/bytes", "range", detail));
        }
        let mut sha256 = [0; 32];
        if hex::decode_to_slice(&body.sha256, &mut sha256).is_err() {
            let detail = "must be 64 hexadecimal digits";
            return Err(Error::field("/sha256", "format", detail));
        }
        Ok(Checked { body, kind, sha256 })
    }

    /// Refuses uploads beyond the member's quota. Counted in the database and therefore for all servers; concurrent
    /// announcements of a member wait for each other.
    async fn have_room(&self, cx: &mut Cx, member: Uuid, bytes: i64) -> Result<()> {
        sqlx::query("select pg_advisory_xact_lock(hashtextextended('media:' || $1::text, 0))")
            .bind(member.to_string())
            .execute(cx.conn())
            .await?;
        let row = sqlx::query(
            "select (select count(*) from app.media_uploads u
                     where u.uploaded_by_id = $1 and u.created_at > now() - interval '1 minute') as announced,
                    (select coalesce(sum(u.bytes), 0)::bigint from app.media_uploads u
                     where u.uploaded_by_id = $1 and u.state = 'pending') as pending,
                    (select coalesce(sum(m.bytes), 0)::bigint from app.media m
                     where m.uploaded_by_id = $1 and m.purged_at is null) as kept",
        )
        .bind(member)
        .fetch_one(cx.conn())
        .await?;
        let per_minute = self.settings.media_uploads_per_minute;
        if row.try_get::<i64, _>("announced")? >= i64::from(per_minute) {
            let error = Error::new(&kernel::problems::QUOTA)
                .detail("Too many pictures were announced within a minute.");
            return Err(error.limited("uploads", Some((per_minute, 60)), 60));
        }
        let taken = row.try_get::<i64, _>("pending")? + row.try_get::<i64, _>("kept")?;
        let quota = i64::try_from(self.settings.media_quota_bytes).unwrap_or(i64::MAX);
        if taken.saturating_add(bytes) > quota {
            return Err(Error::new(&problems::STORAGE_FULL));
        }
        Ok(())
    }
}

/// An earlier announcement of the same file for the same target that is still waiting for its file.
async fn earlier(
    cx: &mut Cx,
    member: Uuid,
    checked: &Checked,
) -> Result<Option<(Uuid, DateTime<Utc>)>> {
    let found = sqlx::query_as(
        "select u.id, u.expires_at from app.media_uploads u
         where u.uploaded_by_id = $1 and u.state = 'pending' and u.expires_at > now()
           and u.entity_type = $2 and u.entity_id = $3 and u.sha256 = $4 and u.content_type = $5 and u.bytes = $6
         order by u.created_at desc limit 1",
    );
    let body = &checked.body;
    let found = found
        .bind(member)
        .bind(body.entity_type.as_str())
        .bind(body.entity_id)
        .bind(hex::encode(checked.sha256))
        .bind(checked.kind.content_type())
        .bind(body.bytes);
    Ok(found.fetch_optional(cx.conn()).await?)
}

/// Refuses the file of a picture of the same target that a moderator has suspended. A trigger does the same when the
/// upload is completed.
async fn refuse_suspended(cx: &mut Cx, checked: &Checked) -> Result<()> {
    let body = &checked.body;
    let is_suspended: bool = sqlx::query_scalar("select app.picture_is_suspended($1, $2, $3)")
        .bind(body.entity_type.as_str())
        .bind(body.entity_id)
        .bind(hex::encode(checked.sha256))
        .fetch_one(cx.conn())
        .await?;
    match is_suspended {
        true => Err(Error::new(&kernel::problems::STATE).detail(super::SUSPENDED)),
        false => Ok(()),
    }
}

async fn note(
    cx: &mut Cx,
    member: Uuid,
    checked: &Checked,
    expires_at: DateTime<Utc>,
) -> Result<Uuid> {
    let body = &checked.body;
    let alt_text = body.alt_text.as_deref().filter(|text| !text.is_empty());
    Ok(sqlx::query_scalar(
        "insert into app.media_uploads
           (entity_type, entity_id, uploaded_by_id, content_type, bytes, sha256, alt_text, position, storage_key, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id",
    )
    .bind(body.entity_type.as_str())
    .bind(body.entity_id)
    .bind(member)
    .bind(checked.kind.content_type())
    .bind(body.bytes)
    .bind(hex::encode(checked.sha256))
    .bind(alt_text)
    .bind(body.position)
    // Not the id, which clients see: anybody who knows a storage key can get the picture.
    .bind(Uuid::new_v4())
    .bind(expires_at)
    .fetch_one(cx.conn())
    .await?)
}
