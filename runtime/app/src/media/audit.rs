//! Compares rows and files: finds files without a row, and served pictures that lack files.
//!
//! The result is only reported: after restoring a backup, people have to decide what happens to leftovers.

use super::{Media, PARTS, away};
use crate::module::Module;
use futures_util::TryStreamExt;
use kernel::Result;
use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};
use storage::{Key, Listed};
use uuid::Uuid;

/// Files younger than this are ignored, since their upload may still be in progress.
const YOUNG: Duration = Duration::from_secs(3600);

/// The maximum number of files checked in a transaction.
const AT_ONCE: usize = 500;

/// The result of the comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The number of files, without the empty files that block the URLs of finished uploads.
    pub files: usize,
    /// Paths of files without a row.
    pub orphans: Vec<String>,
    /// Ids of served pictures that lack a file.
    pub missing: Vec<Uuid>,
}

impl Media {
    pub async fn audit(&self) -> Result<Audit> {
        let young = SystemTime::now() - YOUNG;
        let mut audit = Audit::default();
        // The number of served files by storage key.
        let mut served = HashMap::<Uuid, usize>::new();
        for folder in [Key::INCOMING, Key::PICTURES, Key::WITHHELD] {
            let listed = self.storage.list(folder).map_err(away)?;
            let mut batches = listed.try_chunks(AT_ONCE);
            loop {
                let batch = match batches.try_next().await {
                    Ok(Some(batch)) => batch,
                    Ok(None) => break,
                    Err(error) => return Err(away(error.1)),
                };
                audit.files += batch.iter().filter(|one| one.bytes > 0).count();
                if folder == Key::PICTURES {
                    for id in batch.iter().filter_map(|one| one.id) {
                        *served.entry(id).or_default() += 1;
                    }
                }
                let old: Vec<Listed> = batch
                    .into_iter()
                    .filter(|one| one.modified < young)
                    .collect();
                let orphans = self.without_row(folder, old).await?;
                audit
                    .orphans
                    .extend(orphans.into_iter().map(|one| one.path));
            }
        }
        audit.missing = self.without_files(&served).await?;
        if !audit.orphans.is_empty() || !audit.missing.is_empty() {
            tracing::error!(
                orphans = audit.orphans.len(),
                missing = audit.missing.len(),
                an_orphan = audit.orphans.first(),
                "files and pictures do not belong together"
            );
        }
        Ok(audit)
    }

    /// The files that belong neither to a picture nor to a pending upload.
    pub(super) async fn without_row(
        &self,
        folder: &'static str,
        listed: Vec<Listed>,
    ) -> Result<Vec<Listed>> {
        let ids: &Vec<Uuid> = &listed.iter().filter_map(|one| one.id).collect();
        let is_incoming = folder == Key::INCOMING;
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let known: Vec<Uuid> = sqlx::query_scalar(
                    "select m.storage_key from app.media m
                     where not $2 and m.storage_key = any($1) and m.purged_at is null
                     union all
                     select case when $2 then u.id else u.storage_key end from app.media_uploads u
                     where u.state = 'pending' and (case when $2 then u.id else u.storage_key end) = any($1)",
                )
                .bind(ids)
                .bind(is_incoming)
                .fetch_all(cx.conn())
                .await?;
                Ok(known)
            })
        });
        let known = run.await?;
        let orphans =
            (listed.into_iter()).filter(|one| one.id.is_none_or(|id| !known.contains(&id)));
        Ok(orphans.collect())
    }

    async fn without_files(&self, served: &HashMap<Uuid, usize>) -> Result<Vec<Uuid>> {
        let mut missing = Vec::new();
        let mut after = Uuid::nil();
        loop {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
                        "select m.id, m.storage_key from app.media m
                         where m.id > $1 and m.status = 'active' and app.is_served(m.id) order by m.id limit 500",
                    )
                    .bind(after)
                    .fetch_all(cx.conn())
                    .await?;
                    Ok(rows)
                })
            });
            let rows = run.await?;
            let Some((last, _)) = rows.last() else {
                return Ok(missing);
            };
            after = *last;
            for (id, key) in rows {
                let listed = served.get(&key).copied().unwrap_or_default();
                if listed < PARTS.len() && self.lacks(key).await? {
                    missing.push(id);
                }
            }
        }
    }

    /// Whether a file is missing. Checked again, since it may have been written while the store was listed.
    async fn lacks(&self, key: Uuid) -> Result<bool> {
        for part in PARTS {
            let size = self.storage.size(&Key::picture(key, part)).await;
            if size.map_err(away)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
