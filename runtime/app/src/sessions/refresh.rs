//! Exchanges a refresh token for the next pair of tokens. Each can be used once; a token that comes back later counts
//! as stolen.

use super::{Sessions, Signed, bodies::RefreshToken, endings::Event, secret};
use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Result, Visitor, problems};
use macros::Entity;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// A token with its session and member. The query selects the columns in this order.
#[derive(Entity)]
struct Found {
    id: Uuid,
    /// Whether token and session have not expired, by the database's clock, which has also set their times: by the
    /// clock of another server a repeated request could look like a theft.
    is_in_time: bool,
    session: Uuid,
    session_expires_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
    user: Uuid,
    status: String,
}

/// What has become of a token.
enum Exchange {
    /// The next refresh token of this member's session expires then.
    Next {
        user: Uuid,
        session: Uuid,
        expires_at: DateTime<Utc>,
    },
    /// It was used before; the session was ended.
    Reused { session: Uuid },
}

impl Sessions {
    pub async fn refresh(&self, caller: &Visitor, input: RefreshToken) -> Result<Signed> {
        let token = input.refresh_token.expose_secret();
        let next = self.0.key.next_refresh(token);
        let exchanged = self.run(caller.request_id, |cx| {
            Box::pin(self.exchange(cx, token, &next))
        });
        match exchanged.await? {
            Exchange::Next {
                user,
                session,
                expires_at,
            } => self.signed(user, session, next, expires_at),
            Exchange::Reused { session } => {
                tracing::warn!(%session, "a used refresh token came back; the session was revoked");
                Err(Error::new(&problems::SESSION_REVOKED))
            }
        }
    }

    async fn exchange(&self, cx: &mut Cx, token: &str, next: &SecretString) -> Result<Exchange> {
        let Found {
            id,
            is_in_time,
            session,
            session_expires_at,
            revoked_at,
            user,
            status,
        } = found(cx, token).await?.ok_or_else(refused)?;
        // A suspended account's sessions are ended as well; the suspension is the reason to report.
        if status != "active" {
            return Err(Error::new(&problems::ACCOUNT_SUSPENDED));
        }
        if revoked_at.is_some() {
            return Err(Error::new(&problems::SESSION_REVOKED));
        }
        if !is_in_time {
            return Err(refused());
        }

        // Of concurrent requests one updates the row; the others wait here, and then find the token used.
        let used: Option<Uuid> = sqlx::query_scalar(
            "update app.refresh_tokens set used_at = now() where id = $1 and used_at is null returning id",
        )
        .bind(id)
        .fetch_optional(cx.conn())
        .await?;
        let expires_at = match used {
            Some(_) => Some(
                self.keep_refresh(cx, session, next, session_expires_at)
                    .await?,
            ),
            None => self.repeated(cx, id, next.expose_secret()).await?,
        };
        let Some(expires_at) = expires_at else {
            self.end_all(cx, user, Some(session), Event::TokenReused)
                .await?;
            return Ok(Exchange::Reused { session });
        };
        Ok(Exchange::Next {
            user,
            session,
            expires_at,
        })
    }

    /// Whether this is a repetition of the request that used the token, whose answer may have been lost. It then gets
    /// the same answer: returns when the next token expires, as long as that one is unused. Otherwise None.
    async fn repeated(&self, cx: &mut Cx, id: Uuid, next: &str) -> Result<Option<DateTime<Utc>>> {
        Ok(sqlx::query_scalar(
            "select n.expires_at
             from app.refresh_tokens n join app.refresh_tokens r on r.id = $2
             where n.token_hash = $1 and n.session_id = r.session_id and n.used_at is null
               and r.used_at >= now() - make_interval(secs => $3)",
        )
        .bind(secret::digest(next))
        .bind(id)
        .bind(self.0.config.refresh_overlap.as_secs_f64())
        .fetch_optional(cx.conn())
        .await?)
    }
}

async fn found(cx: &mut Cx, token: &str) -> Result<Option<Found>> {
    Ok(sqlx::query_as(
        "select r.id, r.expires_at > now() and s.expires_at > now() as is_in_time, s.id as session,
                s.expires_at as session_expires_at, s.revoked_at,
                u.id as \"user\", u.status
         from app.refresh_tokens r
         join app.sessions s on s.id = r.session_id
         join app.users u on u.id = s.user_id
         where r.token_hash = $1",
    )
    .bind(secret::digest(token))
    .fetch_optional(cx.conn())
    .await?)
}

fn refused() -> Error {
    Error::new(&problems::INVALID_TOKEN).detail("The refresh token is not valid. Sign in again.")
}
