//! Single-use links in emails. Each stores a digest of what it was issued for: the address, the password hash and the
//! time when sign-ins were last ended. If any of these changes, in whatever way, the link is void.

use super::{
    Sessions,
    secret::{self, Mailed},
};
use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Result, problems};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Row, postgres::PgRow};
use std::time::Duration;
use uuid::Uuid;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    ResetPassword,
    ChangeEmail,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
        }
    }
}

/// A link that was opened and is valid.
pub(super) struct Opened {
    pub user: Uuid,
    /// The address that it was sent to.
    pub email: String,
    /// The session that asked for it. None: it was asked for without signing in.
    pub session: Option<Uuid>,
    issued_for: String,
}

/// The state of an account that a link depends on.
struct State {
    email: String,
    password_hash: Option<String>,
    valid_from: Option<DateTime<Utc>>,
}

impl State {
    fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            email: row.try_get("email")?,
            password_hash: row.try_get("password_hash")?,
            valid_from: row.try_get("valid_from")?,
        })
    }
}

impl Sessions {
    /// Stores a token for a link. A new link for a password leaves earlier ones valid: otherwise a stranger could void
    /// a member's link by asking for another one.
    pub(super) async fn keep_link(
        &self,
        cx: &mut Cx,
        user: Uuid,
        session: Option<Uuid>,
        purpose: Purpose,
        email: &str,
        lifetime: Duration,
    ) -> Result<Mailed> {
        let token = Mailed::fresh(&self.0.key);
        if purpose == Purpose::ChangeEmail {
            sqlx::query("delete from app.email_tokens where user_id = $1 and purpose = $2")
                .bind(user)
                .bind(purpose.word())
                .execute(cx.conn())
                .await?;
        }
        self.hold_account(cx, user).await?;
        let issued_for = self.issued_for_now(cx, user).await?;
        sqlx::query(
            "insert into app.email_tokens (user_id, session_id, purpose, token_hash, email, issued_for, expires_at)
             values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))",
        )
        .bind(user)
        .bind(session)
        .bind(purpose.word())
        .bind(token.digest())
        .bind(email)
        .bind(issued_for)
        .bind(lifetime.as_secs_f64())
        .execute(cx.conn())
        .await?;
        Ok(token)
    }

    /// Uses up a link. Fails if it is not valid.
    pub(super) async fn open_link(
        &self,
        cx: &mut Cx,
        purpose: Purpose,
        token: &SecretString,
    ) -> Result<Opened> {
        let digest = secret::digest(token.expose_secret());
        // The account before its link, as whatever ends links does: the two could deadlock otherwise. What the link
        // depends on is read by another statement, because this one may have waited for a change of it.
        sqlx::query(
            "select from app.users u where u.id = (select t.user_id from app.email_tokens t where t.token_hash = $1)
             for update",
        )
        .bind(&digest)
        .execute(cx.conn())
        .await?;
        let found = sqlx::query(
            "select t.id, t.user_id, t.session_id, t.email::text as sent_to, t.issued_for,
                    u.email::text as email, c.password_hash, c.valid_from
             from app.email_tokens t
             join app.users u on u.id = t.user_id
             left join app.credentials c on c.user_id = u.id
             where t.token_hash = $1 and t.purpose = $2 and t.used_at is null and t.expires_at > now()
               and u.status = 'active'
             for update of t",
        )
        .bind(&digest)
        .bind(purpose.word())
        .fetch_optional(cx.conn())
        .await?;
        let found = found.ok_or_else(bad_link)?;
        let issued_for: String = found.try_get("issued_for")?;
        if issued_for != self.issued_for(&State::of(&found)?) {
            return Err(bad_link());
        }
        sqlx::query("update app.email_tokens set used_at = now() where id = $1")
            .bind(found.try_get::<Uuid, _>("id")?)
            .execute(cx.conn())
            .await?;
        let sent_to: String = found.try_get("sent_to")?;
        mail_arrived(cx, &sent_to).await?;
        Ok(Opened {
            user: found.try_get("user_id")?,
            email: sent_to,
            session: found.try_get("session_id")?,
            issued_for,
        })
    }

    /// Checks the link once more after it was used up, when its effect takes place later. Fails if the account has
    /// changed since.
    pub(super) async fn is_still_good(&self, cx: &mut Cx, opened: &Opened) -> Result<()> {
        if self.issued_for_now(cx, opened.user).await? == opened.issued_for {
            Ok(())
        } else {
            Err(bad_link())
        }
    }

    async fn issued_for_now(&self, cx: &mut Cx, user: Uuid) -> Result<String> {
        let row = sqlx::query(
            "select u.email::text as email, c.password_hash, c.valid_from
             from app.users u left join app.credentials c on c.user_id = u.id where u.id = $1",
        )
        .bind(user)
        .fetch_one(cx.conn())
        .await?;
        Ok(self.issued_for(&State::of(&row)?))
    }

    fn issued_for(&self, state: &State) -> String {
        let moment = state.valid_from.map(|time| time.timestamp_micros());
        self.0.key.issued_for(&[
            &state.email,
            state.password_hash.as_deref().unwrap_or_default(),
            &moment.unwrap_or_default().to_string(),
        ])
    }
}

/// Somebody has opened a link that was mailed to this address, so mail arrives there. If it came back before, from a full
/// or closed mailbox, the member gets mail again.
pub(super) async fn mail_arrived(cx: &mut Cx, email: &str) -> Result<()> {
    sqlx::query("select app.mail_arrived($1)")
        .bind(email)
        .execute(cx.conn())
        .await?;
    Ok(())
}

pub(super) fn bad_link() -> Error {
    Error::new(&problems::GONE)
        .detail("The link has been used, has expired or is not valid. Ask for a new one.")
}
