//! A member's sessions: looking at them, ending them.

use super::{Sessions, bodies::Session};
use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Member, Result};
use uuid::Uuid;

/// In the order of [`Session`]'s fields.
type Row = (
    Uuid,
    DateTime<Utc>,
    DateTime<Utc>,
    DateTime<Utc>,
    Option<String>,
    Option<String>,
    bool,
);

impl From<Row> for Session {
    fn from(
        (id, authenticated_at, last_used_at, expires_at, ip_address, user_agent, current): Row,
    ) -> Self {
        Self {
            id,
            authenticated_at,
            last_used_at,
            expires_at,
            ip_address,
            user_agent,
            current,
        }
    }
}

impl Sessions {
    pub async fn sessions(&self, caller: &Member) -> Result<Vec<Session>> {
        let mut cx = self.cx_of(caller).await?;
        let rows: Vec<Row> = sqlx::query_as(
            "select s.id, s.authenticated_at, greatest(s.authenticated_at, max(r.used_at)) as last_used_at,
                    s.expires_at, s.ip_address, s.user_agent, coalesce(s.id = $2, false)
             from app.sessions s left join app.refresh_tokens r on r.session_id = s.id
             where s.user_id = $1 and s.revoked_at is null and s.expires_at > $3
             group by s.id
             having max(r.expires_at) > $3
             order by last_used_at desc, s.id
             limit 100",
        )
        .bind(caller.id())
        .bind(caller.session())
        .bind(self.0.clock.now())
        .fetch_all(cx.conn())
        .await?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    /// Ends one session of the caller. One that ended before is ended still.
    pub async fn end(&self, caller: &Member, id: Uuid) -> Result<()> {
        let mut cx = self.cx_of(caller).await?;
        let found: Option<Uuid> = sqlx::query_scalar(
            "update app.sessions set revoked_at = coalesce(revoked_at, $3),
                    revoked_because = coalesce(revoked_because, 'signed_out')
             where id = $1 and user_id = $2 returning id",
        )
        .bind(id)
        .bind(caller.id())
        .bind(self.0.clock.now())
        .fetch_optional(cx.conn())
        .await?;
        found.ok_or_else(Error::not_found)?;
        cx.commit().await?;
        Ok(())
    }

    /// Ends the session of this request.
    pub async fn sign_out(&self, caller: &Member) -> Result<()> {
        match caller.session() {
            Some(session) => self.end(caller, session).await,
            // An issuer's token: its session is not ours to end.
            None => Ok(()),
        }
    }

    pub async fn sign_out_everywhere(&self, caller: &Member) -> Result<()> {
        let mut cx = self.cx_of(caller).await?;
        self.revoke(&mut cx, caller.id(), None, "signed_out_everywhere")
            .await?;
        cx.commit().await?;
        Ok(())
    }

    /// Ends all sessions of a member but one.
    pub(super) async fn revoke(
        &self,
        cx: &mut Cx,
        user: Uuid,
        except: Option<Uuid>,
        because: &'static str,
    ) -> Result<()> {
        sqlx::query(
            "update app.sessions set revoked_at = $3, revoked_because = $4
             where user_id = $1 and revoked_at is null and id is distinct from $2",
        )
        .bind(user)
        .bind(except)
        .bind(self.0.clock.now())
        .bind(because)
        .execute(cx.conn())
        .await?;
        Ok(())
    }
}
