//! Which member a subject of an external issuer is. Someone new becomes a member on first sight.
//!
//! The issuer is trusted by the operator's setting; an address counts only if it says that it checked it.

use super::{Sessions, bodies::is_handle, sign_up::constraint};
use futures_util::future::BoxFuture;
use kernel::{
    Result,
    auth::{Resolver, external::Identity},
};
use uuid::Uuid;

/// Handles that are tried for a new member, the later ones with digits at the end.
const TRIES: u32 = 5;

impl Resolver for Sessions {
    fn resolve<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<Option<Uuid>>> {
        Box::pin(async move {
            if let Some(user) = self.linked(identity).await? {
                return Ok(Some(user));
            }
            let Some(email) = identity
                .email
                .as_deref()
                .filter(|_| identity.email_verified)
            else {
                return Ok(None);
            };
            let email = email.to_lowercase();
            if let Some(user) = self.link_to_member(identity, &email).await? {
                return Ok(Some(user));
            }
            if !self.0.config.external_sign_up {
                return Ok(None);
            }
            self.make_member(identity, &email).await
        })
    }
}

impl Sessions {
    async fn linked(&self, identity: &Identity) -> Result<Option<Uuid>> {
        let mut cx = self.cx(Uuid::now_v7()).await?;
        Ok(sqlx::query_scalar(
            "select e.user_id from app.external_identities e join app.users u on u.id = e.user_id
             where e.issuer = $1 and e.subject = $2 and u.status <> 'archived'",
        )
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .fetch_optional(cx.conn())
        .await?)
    }

    async fn link_to_member(&self, identity: &Identity, email: &str) -> Result<Option<Uuid>> {
        let mut cx = self.cx(Uuid::now_v7()).await?;
        let user: Option<Uuid> = sqlx::query_scalar(
            "select id from app.users where email = $1 and status <> 'archived'",
        )
        .bind(email)
        .fetch_optional(cx.conn())
        .await?;
        if let Some(user) = user {
            link(&mut cx, identity, user).await?;
            cx.commit().await?;
        }
        Ok(user)
    }

    async fn make_member(&self, identity: &Identity, email: &str) -> Result<Option<Uuid>> {
        let name = identity
            .name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let local = email.split('@').next().unwrap_or_default();
        let name: String = name
            .unwrap_or(local)
            .chars()
            .filter(|c| !c.is_control())
            .take(80)
            .collect();
        for attempt in 0..TRIES {
            let mut cx = self.cx(Uuid::now_v7()).await?;
            let inserted: Result<Uuid, sqlx::Error> = sqlx::query_scalar(
                "insert into app.users (handle, display_name, email) values ($1, $2, $3) returning id",
            )
            .bind(handle(local, attempt))
            .bind(&name)
            .bind(email)
            .fetch_one(cx.conn())
            .await;
            match inserted {
                Ok(user) => {
                    link(&mut cx, identity, user).await?;
                    cx.commit().await?;
                    return Ok(Some(user));
                }
                Err(error) if constraint(&error).is_some_and(|name| name.contains("handle")) => {
                    continue;
                }
                // Another request of the same person was faster.
                Err(error) if constraint(&error).is_some_and(|name| name.contains("email")) => {
                    drop(cx);
                    return self.linked(identity).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

async fn link(cx: &mut kernel::Cx, identity: &Identity, user: Uuid) -> Result<()> {
    sqlx::query(
        "insert into app.external_identities (issuer, subject, user_id) values ($1, $2, $3)
         on conflict (issuer, subject) do nothing",
    )
    .bind(&identity.issuer)
    .bind(&identity.subject)
    .bind(user)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// A handle made of the local part of an address.
fn handle(local: &str, attempt: u32) -> String {
    let lower = local.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut handle: String = words.join("_").chars().take(20).collect();
    if handle.len() < 3 || !is_handle(&handle) {
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
            "an.address.that.is.much.too.long.for.a.handle",
        ] {
            for attempt in 0..2 {
                let handle = handle(local, attempt);
                assert!(
                    is_handle(&handle) && (3..=30).contains(&handle.len()),
                    "{local} gave {handle}"
                );
            }
        }
    }
}
