//! Changes of files by time and moderation: unfinished uploads are deleted, pictures that are archived or suspended
//! are not served, and pictures that were archived long ago are deleted.
//!
//! The database decides, and jobs enqueued in the same transaction change the store. Every job here may run twice.

use super::{Media, PARTS, away};
use crate::module::Module;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use kernel::{Cx, Result, jobs::NewJob};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use storage::Key;
use uuid::Uuid;

/// The number of hours after which an unfinished upload is abandoned.
const ABANDONED_HOURS: i32 = 24;

/// The number of days for which the result of a finished upload is kept for repeated requests.
const SETTLED_DAYS: i32 = 30;

/// The number of minutes for which an upload that began before its URL expired may continue.
const SENDING_MINUTES: i64 = 15;

/// The maximum number of rows in a transaction.
const AT_ONCE: i64 = 100;

/// The payload of a job that deletes files.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Files {
    /// The id of the upload whose uploaded file is deleted.
    incoming: Option<Uuid>,
    /// Whether the uploaded file is replaced by an empty file instead, since its URL would otherwise accept another
    /// file.
    #[serde(default)]
    is_sealed: bool,
    /// The storage key of the picture whose sizes are deleted.
    picture: Option<Uuid>,
}

impl Files {
    pub fn of_upload(id: Uuid, picture: Option<Uuid>) -> Self {
        Self {
            incoming: Some(id),
            is_sealed: false,
            picture,
        }
    }

    /// Enqueues deleting the files of an upload whose URL is valid until `expires_at`: the uploaded file is emptied at
    /// once, and the empty file is deleted when no upload to the URL can still be in progress.
    pub async fn forget_sealed(self, cx: &mut Cx, expires_at: DateTime<Utc>) -> Result<()> {
        let sealed = Self {
            is_sealed: true,
            ..self
        };
        sealed.forget(cx).await?;
        let name = Self {
            picture: None,
            ..self
        };
        let over = expires_at + TimeDelta::minutes(SENDING_MINUTES);
        NewJob::new("media.clear", name)?.at(over).put(cx).await?;
        Ok(())
    }

    /// Enqueues the job, which runs once this transaction has been committed.
    pub async fn forget(self, cx: &mut Cx) -> Result<()> {
        NewJob::new("media.clear", self)?.put(cx).await?;
        Ok(())
    }
}

impl Media {
    pub async fn clear(&self, files: &Files) -> Result<()> {
        if let Some(id) = files.incoming {
            let key = Key::incoming(id);
            let cleared = match files.is_sealed {
                true => self.storage.seal(&key).await,
                false => self.storage.delete(&key).await,
            };
            cleared.map_err(away)?;
        }
        if let Some(id) = files.picture {
            for part in PARTS {
                for key in [Key::picture(id, part), Key::withheld(id, part)] {
                    self.storage.delete(&key).await.map_err(away)?;
                }
            }
        }
        Ok(())
    }

    /// Moves a picture's files to where its status requires: served, or kept without being served.
    pub async fn place(&self, media: Uuid) -> Result<()> {
        let mut placed = None;
        loop {
            let Some((key, is_served)) = self.wanted(media).await? else {
                return Ok(());
            };
            // The status may have changed while files were moved, so it is checked again until it is unchanged.
            if placed == Some(is_served) {
                return Ok(());
            }
            for part in PARTS {
                let [mut from, mut to] = [Key::withheld(key, part), Key::picture(key, part)];
                if !is_served {
                    std::mem::swap(&mut from, &mut to);
                }
                self.storage.rename(&from, &to).await.map_err(away)?;
            }
            placed = Some(is_served);
        }
    }

    /// Does the same for all pictures of something that was suspended or unsuspended, including those of its events
    /// and venues.
    pub async fn place_below(&self, target: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let found = sqlx::query_scalar("select app.pictures_below($1)").bind(target);
                Ok(found.fetch_all(cx.conn()).await?)
            })
        });
        let pictures: Vec<Uuid> = run.await?;
        for picture in pictures {
            self.place(picture).await?;
        }
        Ok(())
    }

    /// The picture's storage key, and whether it is served. `None`: its files were deleted. Such a picture is archived
    /// if it is not, since there is nothing to show.
    async fn wanted(&self, media: Uuid) -> Result<Option<(Uuid, bool)>> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                sqlx::query("update app.media set status = 'archived' where id = $1 and purged_at is not null and status <> 'archived'")
                    .bind(media)
                    .execute(cx.conn())
                    .await?;
                let found = sqlx::query_as(
                    "select m.storage_key, app.is_served(m.id) from app.media m where m.id = $1 and m.purged_at is null",
                )
                .bind(media)
                .fetch_optional(cx.conn());
                Ok(found.await?)
            })
        });
        run.await
    }

    /// Does everything that time requires, and returns how much was done. The age of rows is computed by the database,
    /// whose clock set their times: a server whose clock is ahead would delete pictures that can still be restored.
    pub async fn sweep(&self) -> Result<usize> {
        let mut all = self.stale(self.clock.now()).await?;
        let keep_days = i32::from(self.settings.media_keep_days);
        loop {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let done = [
                        abandon(cx).await?,
                        purge(cx, keep_days).await?,
                        rebase(cx, &self.public_url).await?,
                        forget(cx).await?,
                    ];
                    Ok(done)
                })
            });
            let done = run.await?;
            all += done.iter().sum::<usize>();
            if done.iter().all(|one| *one < AT_ONCE as usize) {
                return Ok(all);
            }
        }
    }

    /// Deletes incomplete files left behind by a process that died, and files uploaded after their upload was
    /// finished. Files of other uploads are deleted when their rows are abandoned. Times of files are those of the
    /// machine's clock.
    async fn stale(&self, now: DateTime<Utc>) -> Result<usize> {
        let before = SystemTime::from(now - TimeDelta::hours(ABANDONED_HOURS.into()));
        let listed = self.storage.list(Key::INCOMING).map_err(away)?;
        let old = listed.try_filter(|one| std::future::ready(one.modified < before));
        let mut batches = old.try_chunks(AT_ONCE as usize);
        let mut deleted = 0;
        loop {
            let batch = match batches.try_next().await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(deleted),
                Err(error) => return Err(away(error.1)),
            };
            let (mut stale, whole): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|one| one.path.contains('.'));
            stale.extend(self.without_row(Key::INCOMING, whole).await?);
            for one in &stale {
                self.storage.delete_listed(one).await.map_err(away)?;
            }
            deleted += stale.len();
        }
    }
}

async fn abandon(cx: &mut Cx) -> Result<usize> {
    let gone: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "with late as (
           select u.id from app.media_uploads u where u.state = 'pending' and u.created_at < now() - make_interval(hours => $1)
           order by u.created_at limit $2 for update skip locked
         )
         update app.media_uploads u set state = 'abandoned', settled_at = now()
         from late where u.id = late.id returning u.id, u.storage_key",
    )
    .bind(ABANDONED_HOURS)
    .bind(AT_ONCE)
    .fetch_all(cx.conn())
    .await?;
    for (id, key) in &gone {
        Files::of_upload(*id, Some(*key)).forget(cx).await?;
    }
    Ok(gone.len())
}

/// Marks old archived pictures as purged, after which they can't be restored, and enqueues deleting their files. Those of
/// members whose data were erased have no time left.
async fn purge(cx: &mut Cx, keep_days: i32) -> Result<usize> {
    let gone: Vec<Uuid> = sqlx::query_scalar(
        "with old as (
           select m.id from app.media m
           where m.status = 'archived' and m.purged_at is null
             and (m.updated_at < now() - make_interval(days => $1)
               or exists (select from app.users u where u.id = m.entity_user_id and u.erased_at is not null))
           order by m.id limit $2 for update skip locked
         )
         update app.media m set purged_at = now() from old where m.id = old.id returning m.storage_key",
    )
    .bind(keep_days)
    .bind(AT_ONCE)
    .fetch_all(cx.conn())
    .await?;
    for key in &gone {
        let files = Files {
            incoming: None,
            is_sealed: false,
            picture: Some(*key),
        };
        files.forget(cx).await?;
    }
    Ok(gone.len())
}

/// Updates the URLs of pictures if the setting for the public URL has changed since they were created.
async fn rebase(cx: &mut Cx, base: &str) -> Result<usize> {
    let done = sqlx::query(
        "with elsewhere as (
           select m.id, $1 || '/' || m.storage_key as url from app.media m
           where m.status <> 'archived' and m.url <> $1 || '/' || m.storage_key || '/1600.jpg'
           order by m.id limit $2 for update skip locked
         )
         update app.media m
         set url = e.url || '/1600.jpg', medium_url = e.url || '/800.jpg', small_url = e.url || '/320.jpg'
         from elsewhere e where m.id = e.id",
    )
    .bind(base)
    .bind(AT_ONCE)
    .execute(cx.conn())
    .await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or_default())
}

async fn forget(cx: &mut Cx) -> Result<usize> {
    let done = sqlx::query(
        "delete from app.media_uploads u where u.id in (
           select o.id from app.media_uploads o where o.state <> 'pending' and o.settled_at < now() - make_interval(days => $1) limit $2)",
    )
    .bind(SETTLED_DAYS)
    .bind(AT_ONCE)
    .execute(cx.conn())
    .await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or_default())
}
