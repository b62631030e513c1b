//! Throwing away what can't be used any more.

use super::Sessions;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::Result;
use uuid::Uuid;

/// Ended sessions are kept this long, to be able to look into a theft.
const KEPT: TimeDelta = TimeDelta::days(30);

impl Sessions {
    /// How many rows went.
    pub async fn purge(&self, now: DateTime<Utc>) -> Result<u64> {
        let mut cx = self.cx(Uuid::now_v7()).await?;
        let mut gone = 0;
        for (text, before) in [
            ("delete from app.sign_ups where expires_at <= $1", now),
            ("delete from app.email_tokens where expires_at <= $1", now),
            ("delete from app.refresh_tokens where expires_at <= $1", now),
            (
                "delete from app.throttles where counted_from <= $1",
                now - TimeDelta::days(1),
            ),
            (
                "delete from app.refresh_tokens r using app.sessions s
                 where s.id = r.session_id and (s.expires_at <= $1 or s.revoked_at <= $1)",
                now - KEPT,
            ),
            (
                "delete from app.sessions where expires_at <= $1 or revoked_at <= $1",
                now - KEPT,
            ),
        ] {
            gone += sqlx::query(text)
                .bind(before)
                .execute(cx.conn())
                .await?
                .rows_affected();
        }
        cx.commit().await?;
        Ok(gone)
    }
}
