//! A member's sessions: listing and ending them.

use super::{Sessions, bodies::Session, endings::Event};
use chrono::{DateTime, Utc};
use kernel::{
    Error, Member, Result,
    own::{List, Page},
};
use uuid::Uuid;

static LIST: List = List::new("my-sessions", 20, &[]);

impl Sessions {
    /// Lists the caller's sessions, the one used last first.
    pub async fn sessions(&self, caller: &Member, query: Option<&str>) -> Result<Page<Session>> {
        let asked = LIST.read(query, &self.0.cursors, caller)?;
        let after: Option<(DateTime<Utc>, Uuid)> = asked.after()?;
        let mut cx = self.cx_of(caller).await?;
        let rows: Vec<Session> = sqlx::query_as(
            "select id, authenticated_at, last_used_at, expires_at, ip_address, user_agent, identity_id, is_current
             from (
               select s.id, s.authenticated_at, greatest(s.authenticated_at, max(r.used_at)) as last_used_at,
                      s.expires_at, s.ip_address, s.user_agent, s.external_identity_id as identity_id,
                      coalesce(s.id = $2, false) as is_current
               from app.sessions s left join app.refresh_tokens r on r.session_id = s.id
               where s.user_id = $1 and s.revoked_at is null and s.expires_at > now()
               group by s.id
               having max(r.expires_at) > now() or s.external_identity_id is not null
             ) as live
             where $3::timestamptz is null or (last_used_at, id) < ($3, $4::uuid)
             order by last_used_at desc, id desc
             limit $5",
        )
        .bind(caller.id())
        .bind(caller.session())
        .bind(after.map(|(used_at, _)| used_at))
        .bind(after.map(|(_, id)| id))
        .bind(asked.rows())
        .fetch_all(cx.conn())
        .await?;
        Ok(asked.page(rows, |session| {
            (session.last_used_at.to_rfc3339(), session.id)
        }))
    }

    /// Ends one session of the caller. Succeeds for a session that has ended before.
    pub async fn end(&self, caller: &Member, id: Uuid) -> Result<()> {
        let user = caller.id();
        self.run_of(caller, move |cx| {
            Box::pin(async move {
                let found: Option<Uuid> = sqlx::query_scalar(
                    "select id from app.sessions where id = $1 and user_id = $2",
                )
                .bind(id)
                .bind(user)
                .fetch_optional(cx.conn())
                .await?;
                let found = found.ok_or_else(Error::not_found)?;
                self.end_all(cx, user, Some(found), Event::SignedOut).await
            })
        })
        .await
    }

    /// Ends the session of this request.
    pub async fn sign_out(&self, caller: &Member) -> Result<()> {
        match caller.session() {
            Some(session) => self.end(caller, session).await,
            // Does not occur: every accepted token belongs to a session.
            None => Ok(()),
        }
    }

    pub async fn sign_out_everywhere(&self, caller: &Member) -> Result<()> {
        let (user, session) = (caller.id(), caller.session());
        self.run_of(caller, move |cx| {
            Box::pin(self.end_all(cx, user, session, Event::SignedOutEverywhere))
        })
        .await
    }
}
