//! Finds the member that a subject of an external issuer belongs to. A new person becomes a member at the first
//! request.
//!
//! The operator's setting decides which issuer is trusted; an address counts only if the issuer says that it has
//! verified it. Tokens of an issuer work within a session here, like our own tokens: when the session ends, they are
//! refused from the next request on.

use super::{Sessions, handles::is_reserved};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use generated::user::constraint;
use kernel::{
    Cx, Error, Result,
    auth::{
        Resolver,
        external::{Identity, Known},
    },
    error::violated,
    input::{Format, is_line, line_of},
    problems,
};
use uuid::Uuid;

/// How many handles are tried for a new member. All but the first have digits at the end.
const TRIES: u32 = 5;

impl Resolver for Sessions {
    fn resolve<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<Option<Known>>> {
        Box::pin(async move {
            let email = identity
                .email
                .as_deref()
                .filter(|_| identity.email_verified);
            // In the form in which addresses are stored. What is no address for us signs nobody in.
            let email = email.and_then(|email| Format::Email.read(email));
            // A second round in case another request has created the member at the same time.
            for _ in 0..2 {
                if let Some(user) = self.linked(identity).await? {
                    return self.let_in(identity, user, None).await;
                }
                let Some(email) = &email else {
                    return Ok(None);
                };
                if let Some(user) = self.member_with(email).await? {
                    return self.let_in(identity, user, Some(email)).await;
                }
                if !self.0.config.external_sign_up {
                    return Ok(None);
                }
                if let Some(user) = self.make_member(identity, email).await? {
                    return self.let_in(identity, user, Some(email)).await;
                }
            }
            Ok(None)
        })
    }
}

impl Sessions {
    async fn linked(&self, identity: &Identity) -> Result<Option<Uuid>> {
        let mut cx = self.cx(Uuid::now_v7()).await?;
        Ok(sqlx::query_scalar(
            "select e.user_id from app.external_identities e join app.users u on u.id = e.user_id
             where e.issuer = $1 and e.subject = $2 and e.unlinked_at is null and u.status <> 'archived'",
        )
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .fetch_optional(cx.conn())
        .await?)
    }

    async fn member_with(&self, email: &str) -> Result<Option<Uuid>> {
        let mut cx = self.cx(Uuid::now_v7()).await?;
        Ok(
            sqlx::query_scalar(
                "select id from app.users where email = $1 and status <> 'archived'",
            )
            .bind(email)
            .fetch_optional(cx.conn())
            .await?,
        )
    }

    /// Links the subject to the member if `email` is given, which is the verified address by which the member was
    /// found, and returns the subject's session, which may be new. None for a token that was issued before the
    /// account's sign-ins were ended.
    async fn let_in(
        &self,
        identity: &Identity,
        user: Uuid,
        email: Option<&str>,
    ) -> Result<Option<Known>> {
        let Some(issued_at) = DateTime::from_timestamp(identity.issued_at, 0) else {
            return Ok(None);
        };
        let session = self.run_of_owner(user, Uuid::now_v7(), move |cx| {
            Box::pin(self.let_in_since(cx, identity, user, email, issued_at))
        });
        let session = session.await?;
        Ok(session.map(|session| Known { user, session }))
    }

    /// The session of a token that was issued then, if it lets the member in.
    async fn let_in_since(
        &self,
        cx: &mut Cx,
        identity: &Identity,
        user: Uuid,
        email: Option<&str>,
        issued_at: DateTime<Utc>,
    ) -> Result<Option<Uuid>> {
        match self.hold_account(cx, user).await?.as_deref() {
            Some("active") => {}
            Some("suspended") => return Err(Error::new(&problems::ACCOUNT_SUSPENDED)),
            _ => return Ok(None),
        }
        let ended: bool = sqlx::query_scalar(
            "select exists (select from app.credentials where user_id = $1 and valid_from > $2)",
        )
        .bind(user)
        .bind(issued_at)
        .fetch_one(cx.conn())
        .await?;
        if ended {
            return Ok(None);
        }
        if let Some(email) = email
            && !link(cx, identity, user, email, issued_at).await?
        {
            return Ok(None);
        }
        let session = self.session_of(cx, identity, user, issued_at).await?;
        match (session, email) {
            // Nothing is stored, so that the identity is not linked by a token that is not good any more.
            (None, Some(_)) => Err(Error::new(&problems::INVALID_TOKEN)),
            (session, _) => Ok(session),
        }
    }

    /// The session that this token works in. If it was ended, only a token that was issued later begins a new one;
    /// None otherwise.
    async fn session_of(
        &self,
        cx: &mut Cx,
        identity: &Identity,
        user: Uuid,
        issued_at: DateTime<Utc>,
    ) -> Result<Option<Uuid>> {
        // Locked until the session is stored, so that concurrent first requests create only one.
        let id: Option<Uuid> = sqlx::query_scalar(
            "select id from app.external_identities
             where issuer = $1 and subject = $2 and user_id = $3 and unlinked_at is null for update",
        )
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .bind(user)
        .fetch_optional(cx.conn())
        .await?;
        let Some(id) = id else { return Ok(None) };
        // Updated once an hour at most, because every change adds an entry to the audit log.
        sqlx::query(
            "update app.external_identities set last_used_at = now() where id = $1 and last_used_at < now() - interval '1 hour'",
        )
        .bind(id)
        .execute(cx.conn())
        .await?;
        let at_issuer = identity.session.as_deref();
        let at_issuer = at_issuer.filter(|at| (1..=255).contains(&at.len()) && is_line(at));
        // A session that was unused for a while has the reason `expired`. That does not invalidate a token that is
        // still valid, so a new session begins.
        let last: Option<(Uuid, Option<DateTime<Utc>>, bool)> = sqlx::query_as(
            "select id, revoked_at, revoked_because is not distinct from 'expired' from app.sessions
             where external_identity_id = $1 and issuer_session is not distinct from $2
             order by created_at desc, id desc limit 1",
        )
        .bind(id)
        .bind(at_issuer)
        .fetch_optional(cx.conn())
        .await?;
        let expires_at = DateTime::from_timestamp(identity.expires_at, 0).unwrap_or(issued_at);
        match last {
            Some((session, None, _)) => {
                sqlx::query(
                    "update app.sessions set expires_at = $2 where id = $1 and expires_at < $2",
                )
                .bind(session)
                .bind(expires_at)
                .execute(cx.conn())
                .await?;
                Ok(Some(session))
            }
            Some((_, Some(revoked_at), false)) if revoked_at > issued_at => Ok(None),
            _ => Ok(Some(
                sqlx::query_scalar(
                    "insert into app.sessions
                       (user_id, external_identity_id, issuer_session, authenticated_at, expires_at)
                     values ($1, $2, $3, least($4, now() - interval '1 second'), $5) returning id",
                )
                .bind(user)
                .bind(id)
                .bind(at_issuer)
                .bind(issued_at)
                .bind(expires_at)
                .fetch_one(cx.conn())
                .await?,
            )),
        }
    }

    async fn make_member(&self, identity: &Identity, email: &str) -> Result<Option<Uuid>> {
        let local = email.split('@').next().unwrap_or_default();
        let name = identity.name.as_deref().and_then(|name| line_of(name, 80));
        let name = name.unwrap_or_else(|| local.to_owned());
        for attempt in 0..TRIES {
            let (handle, name) = (&handle(local, attempt), &name);
            let made = self.run(Uuid::now_v7(), move |cx| {
                Box::pin(make_named(cx, handle, name, email))
            });
            match made.await? {
                Made::Member(user) => return Ok(Some(user)),
                Made::HandleTaken => {}
                // A concurrent request of the same person has created the member.
                Made::AddressTaken => return Ok(None),
            }
        }
        Ok(None)
    }
}

enum Made {
    Member(Uuid),
    HandleTaken,
    AddressTaken,
}

async fn make_named(cx: &mut Cx, handle: &str, name: &str, email: &str) -> Result<Made> {
    let inserted: Result<Uuid, sqlx::Error> = sqlx::query_scalar(
        "insert into app.users (handle, display_name, email) values ($1, $2, $3) returning id",
    )
    .bind(handle)
    .bind(name)
    .bind(email)
    .fetch_one(cx.conn())
    .await;
    let user = match inserted {
        Ok(user) => user,
        Err(error) => {
            return match violated(&error) {
                Some(constraint::HANDLE_KEY) => Ok(Made::HandleTaken),
                Some(constraint::EMAIL_KEY) => Ok(Made::AddressTaken),
                _ => Err(error.into()),
            };
        }
    };
    // Without a password, and with nothing ended so far. The row must exist, since the database sets its `valid_from`
    // when the account ends.
    sqlx::query("insert into app.credentials (user_id, valid_from) values ($1, 'epoch')")
        .bind(user)
        .execute(cx.conn())
        .await?;
    // All pending sign-ups with the address become void.
    sqlx::query("delete from app.sign_ups where email = $1")
        .bind(email)
        .execute(cx.conn())
        .await?;
    Ok(Made::Member(user))
}

/// Links a subject to a member. Returns false if it is linked to another member, or was unlinked after the token was
/// issued.
async fn link(
    cx: &mut Cx,
    identity: &Identity,
    user: Uuid,
    email: &str,
    issued_at: DateTime<Utc>,
) -> Result<bool> {
    let linked: Option<Uuid> = sqlx::query_scalar(
        "insert into app.external_identities as e (issuer, subject, user_id, email) values ($1, $2, $3, $4)
         on conflict (issuer, subject) do update
         set user_id = excluded.user_id, email = excluded.email, unlinked_at = null
         where (e.unlinked_at is not null and e.unlinked_at <= $5)
            or (e.user_id = excluded.user_id and e.unlinked_at is null)
            or (select u.status = 'archived' from app.users u where u.id = e.user_id)
         returning id",
    )
    .bind(&identity.issuer)
    .bind(&identity.subject)
    .bind(user)
    .bind(email)
    .bind(issued_at)
    .fetch_optional(cx.conn())
    .await?;
    Ok(linked.is_some())
}

/// Derives a handle from the local part of an address. Later attempts add random digits.
fn handle(local: &str, attempt: u32) -> String {
    let lower = local.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut handle: String = words.join("_").chars().take(20).collect();
    if handle.len() < 3 || !Format::Handle.accepts(&handle) || is_reserved(&handle) {
        handle.insert_str(0, "m_");
    }
    if handle.len() < 3 {
        handle.push_str("ember");
    }
    if attempt > 0 {
        handle.push_str(&format!("_{}", Uuid::new_v4().as_u128() % 10_000));
    }
    handle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_gives_a_handle() {
        for local in [
            "ana",
            "Ana.Costa+x",
            "9",
            "99ers",
            "",
            "josé",
            "a",
            "admin",
            "support.team",
            "an.address.that.is.much.too.long.for.a.handle",
        ] {
            for attempt in 0..2 {
                let handle = handle(local, attempt);
                assert!(
                    Format::Handle.accepts(&handle)
                        && !is_reserved(&handle)
                        && (3..=30).contains(&handle.len()),
                    "{local} gave {handle}"
                );
            }
        }
    }
}
