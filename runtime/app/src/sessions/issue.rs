//! Begins a session: stores its row and its first refresh token, and issues an access token.

use super::{Sessions, secret};
use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Result, jobs};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;
use std::net::IpAddr;
use utoipa::ToSchema;
use uuid::Uuid;

/// Address and program from which a member signs in, for the list of sessions.
#[derive(Clone, Debug, Default)]
pub struct Device {
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct Signed {
    /// For `Authorization: Bearer …`.
    pub access_token: String,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(example = 600)]
    pub expires_in: u64,
    /// Valid for one use at `POST /auth/refresh`, which returns the next one.
    pub refresh_token: String,
    /// When the refresh token expires if it is not used.
    pub refresh_expires_at: DateTime<Utc>,
    pub session_id: Uuid,
    pub user_id: Uuid,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed")
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Begins a new session for this member.
    pub(super) async fn begin(&self, cx: &mut Cx, user: Uuid, device: &Device) -> Result<Signed> {
        let agent = device
            .user_agent
            .as_deref()
            .map(|agent| agent.chars().take(300).collect::<String>());
        let (session, expires_at, is_new_device): (Uuid, DateTime<Utc>, bool) = sqlx::query_as(
            "insert into app.sessions (user_id, authenticated_at, expires_at, ip_address, user_agent)
             values ($1, now(), now() + make_interval(secs => $2), $3, nullif($4, ''))
             returning id, expires_at, exists (select from app.sessions x where x.user_id = $1)
               and not exists (select from app.sessions x where x.user_id = $1 and x.user_agent is not distinct from nullif($4, ''))",
        )
        .bind(user)
        .bind(self.0.config.session_lifetime.as_secs_f64())
        .bind(device.ip.map(|ip| ip.to_string()))
        .bind(agent)
        .fetch_one(cx.conn())
        .await?;
        if is_new_device {
            // Members are notified of a sign-in from a new device, which may be an intruder's.
            let about = ("session", session);
            jobs::tell(cx, "sessions.signed_in", about, json!({})).await?;
        }
        let token = secret::random();
        let refresh_expires_at = self.keep_refresh(cx, session, &token, expires_at).await?;
        self.signed(user, session, token, refresh_expires_at)
    }

    /// Stores a refresh token of this session. Returns when it expires.
    pub(super) async fn keep_refresh(
        &self,
        cx: &mut Cx,
        session: Uuid,
        token: &SecretString,
        session_expires_at: DateTime<Utc>,
    ) -> Result<DateTime<Utc>> {
        let kept = sqlx::query_scalar(
            "insert into app.refresh_tokens (session_id, token_hash, expires_at)
             values ($1, $2, least(now() + make_interval(secs => $3), $4)) returning expires_at",
        )
        .bind(session)
        .bind(secret::digest(token.expose_secret()))
        .bind(self.0.config.idle_lifetime.as_secs_f64())
        .bind(session_expires_at)
        .fetch_one(cx.conn());
        Ok(kept.await?)
    }

    /// The answer to the client, with a new access token.
    pub(super) fn signed(
        &self,
        user: Uuid,
        session: Uuid,
        refresh_token: SecretString,
        refresh_expires_at: DateTime<Utc>,
    ) -> Result<Signed> {
        let issued = self
            .0
            .tokens
            .issue_until(
                user,
                session,
                self.0.clock.now().timestamp(),
                refresh_expires_at.timestamp(),
            )
            .map_err(Error::internal)?;
        Ok(Signed {
            access_token: issued.token,
            token_type: "Bearer",
            expires_in: issued.expires_in,
            refresh_token: refresh_token.expose_secret().to_owned(),
            refresh_expires_at,
            session_id: session,
            user_id: user,
        })
    }

    /// Begins a session for the member with this address without a password. For development tools only: no route of
    /// the server leads here.
    pub async fn impersonate(&self, email: &str) -> Result<Option<Signed>> {
        let request = Uuid::now_v7();
        let mut cx = self.cx(request).await?;
        let user: Option<Uuid> =
            sqlx::query_scalar("select id from app.users where email = $1 and status = 'active'")
                .bind(email)
                .fetch_optional(cx.conn())
                .await?;
        drop(cx);
        let Some(user) = user else { return Ok(None) };
        let device = &Device::default();
        let signed = self.run_of_owner(user, request, move |cx| {
            Box::pin(self.begin(cx, user, device))
        });
        Ok(Some(signed.await?))
    }
}
