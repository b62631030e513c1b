//! A member's sessions: looking at them, ending them.

use super::{Sessions, bodies::Session, endings::Event};
use chrono::{DateTime, Utc};
use kernel::{Caller, Error, Result};
use uuid::Uuid;

/// In the order of [`Session`]'s fields.
type Row = (
    Uuid,
    DateTime<Utc>,
    DateTime<Utc>,
    DateTime<Utc>,
    Option<String>,
    Option<String>,
    Option<Uuid>,
    bool,
);

impl From<Row> for Session {
    fn from(
        (
            id,
            authenticated_at,
            last_used_at,
            expires_at,
            ip_address,
            user_agent,
            identity_id,
            current,
        ): Row,
    ) -> Self {
        Self {
            id,
            authenticated_at,
            last_used_at,
            expires_at,
            ip_address,
            user_agent,
            identity_id,
            current,
        }
    }
}

impl Sessions {
    pub async fn sessions(&self, caller: &Caller) -> Result<Vec<Session>> {
        let (user, session) = self.signed_in(caller).await?;
        let mut cx = self.cx(Some(user), caller.request_id).await?;
        let rows: Vec<Row> = sqlx::query_as(
            "select s.id, s.authenticated_at, greatest(s.authenticated_at, max(r.used_at)) as last_used_at,
                    s.expires_at, s.ip_address, s.user_agent, s.external_identity_id, coalesce(s.id = $2, false)
             from app.sessions s left join app.refresh_tokens r on r.session_id = s.id
             where s.user_id = $1 and s.revoked_at is null and s.expires_at > $3
             group by s.id
             having max(r.expires_at) > $3 or s.external_identity_id is not null
             order by last_used_at desc, s.id
             limit 100",
        )
        .bind(user)
        .bind(session)
        .bind(self.0.clock.now())
        .fetch_all(cx.conn())
        .await?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    /// Ends one session of the caller. One that ended before is ended still.
    pub async fn end(&self, caller: &Caller, id: Uuid) -> Result<()> {
        let (user, _) = self.signed_in(caller).await?;
        let mut cx = self.cx(Some(user), caller.request_id).await?;
        let found: Option<Uuid> =
            sqlx::query_scalar("select id from app.sessions where id = $1 and user_id = $2")
                .bind(id)
                .bind(user)
                .fetch_optional(cx.conn())
                .await?;
        let found = found.ok_or_else(Error::not_found)?;
        self.end_all(&mut cx, user, Some(found), Event::SignedOut)
            .await?;
        cx.commit().await?;
        Ok(())
    }

    /// Ends the session of this request.
    pub async fn sign_out(&self, caller: &Caller) -> Result<()> {
        match self.signed_in(caller).await? {
            (_, Some(session)) => self.end(caller, session).await,
            // Every token that is accepted has one.
            (_, None) => Ok(()),
        }
    }

    pub async fn sign_out_everywhere(&self, caller: &Caller) -> Result<()> {
        let (user, session) = self.signed_in(caller).await?;
        let mut cx = self.cx(Some(user), caller.request_id).await?;
        self.end_all(&mut cx, user, session, Event::SignedOutEverywhere)
            .await?;
        cx.commit().await?;
        Ok(())
    }
}
