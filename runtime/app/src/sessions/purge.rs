//! Deletes what can't be used any more.

use super::Sessions;
use crate::clock;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Cx, Result};
use uuid::Uuid;

/// The retention time of ended sessions, for investigations of stolen accounts.
const KEPT: TimeDelta = TimeDelta::days(30);

/// The number of rows that are deleted in one transaction.
const DELETED_AT_ONCE: i64 = 5_000;

impl Sessions {
    /// Deletes what has expired by the database's clock. Returns the number of deleted rows.
    pub(super) async fn purge_now(&self) -> Result<u64> {
        let mut cx = self.cx(Uuid::now_v7()).await?;
        let now = clock::of_database(&mut cx).await?;
        drop(cx);
        self.purge(now).await
    }

    /// Deletes what has expired at `now`. Returns the number of deleted rows.
    pub async fn purge(&self, now: DateTime<Utc>) -> Result<u64> {
        let unused =
            now - TimeDelta::from_std(self.0.config.idle_lifetime).unwrap_or(TimeDelta::MAX);
        // What depends on a session ends with it, so sessions that can't be used any more are ended first.
        self.run(Uuid::now_v7(), move |cx| {
            Box::pin(end_expired(cx, now, unused))
        })
        .await?;
        let (mut gone, mut failed) = (0, None);
        for (text, before) in [
            (
                "delete from app.sign_ups where id = any (array(
                   select id from app.sign_ups where expires_at <= $1 limit $2)) and expires_at <= $1",
                now,
            ),
            (
                "delete from app.email_tokens where id = any (array(
                   select id from app.email_tokens where expires_at <= $1 limit $2)) and expires_at <= $1",
                now,
            ),
            (
                "delete from app.refresh_tokens where id = any (array(
                   select id from app.refresh_tokens where expires_at <= $1 limit $2)) and expires_at <= $1",
                now,
            ),
            (
                "delete from app.throttles where id = any (array(
                   select id from app.throttles where counted_from <= $1 limit $2)) and counted_from <= $1",
                now - TimeDelta::days(1),
            ),
            (
                "delete from app.refresh_tokens where id = any (array(
                   select r.id from app.refresh_tokens r join app.sessions s on s.id = r.session_id
                   where s.revoked_at <= $1 limit $2))",
                now - KEPT,
            ),
            (
                "delete from app.sessions where id = any (array(
                   select s.id from app.sessions s where s.revoked_at <= $1
                     and not exists (select from app.email_tokens t where t.session_id = s.id) limit $2))",
                now - KEPT,
            ),
        ] {
            // A failing statement does not prevent the others.
            match self.delete(text, before).await {
                Ok(deleted) => gone += deleted,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(gone), Err)
    }

    /// In transactions of limited size: after an attack, or a time without a worker, there are millions of rows, more
    /// than one attempt of the job could delete at once. What it has deleted stays deleted.
    async fn delete(&self, text: &'static str, before: DateTime<Utc>) -> Result<u64> {
        let mut gone = 0;
        loop {
            let deleted = self.run(Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let done = sqlx::query(text)
                        .bind(before)
                        .bind(DELETED_AT_ONCE)
                        .execute(cx.conn());
                    Ok(done.await?.rows_affected())
                })
            });
            let deleted = deleted.await?;
            gone += deleted;
            if deleted < DELETED_AT_ONCE.unsigned_abs() {
                return Ok(gone);
            }
        }
    }
}

/// Ends the sessions that have expired at `now`, and those of which no refresh token is left since before `unused`.
async fn end_expired(cx: &mut Cx, now: DateTime<Utc>, unused: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "update app.sessions s set revoked_at = $1, revoked_because = 'expired'
         where s.revoked_at is null and (s.expires_at <= $1 or (
           s.external_identity_id is null
           and not exists (select from app.refresh_tokens r where r.session_id = s.id and r.expires_at > $1)
           and s.created_at <= $2))",
    )
    .bind(now)
    .bind(unused)
    .execute(cx.conn())
    .await?;
    Ok(())
}
