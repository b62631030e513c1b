//! A member's identities at external issuers: listing and unlinking them.

use super::{
    Sessions,
    bodies::{ExternalIdentity, IdentityList},
    endings::Event,
};
use kernel::{Error, Member, Result, problems};
use uuid::Uuid;

impl Sessions {
    pub async fn identities(&self, caller: &Member) -> Result<IdentityList> {
        let user = caller.id();
        let mut cx = self.cx_of(caller).await?;
        let data: Vec<ExternalIdentity> = sqlx::query_as(
            "select id, issuer, email::text, created_at, last_used_at from app.external_identities
             where user_id = $1 and unlinked_at is null order by created_at, id limit 100",
        )
        .bind(user)
        .fetch_all(cx.conn())
        .await?;
        let has_password = self.password_hash(&mut cx, user).await?.is_some();
        Ok(IdentityList { data, has_password })
    }

    /// Unlinks an identity. Refused for members without a password, who could not sign in any more; they can set one
    /// by a link to their address, like a forgotten one. Members with a password must have proven it recently.
    pub async fn unlink(&self, caller: &Member, id: Uuid) -> Result<()> {
        let (user, session) = (caller.id(), caller.session());
        let mut cx = self.cx_of(caller).await?;
        let linked: Option<Uuid> = sqlx::query_scalar(
            "select id from app.external_identities where id = $1 and user_id = $2 and unlinked_at is null",
        )
        .bind(id)
        .bind(user)
        .fetch_optional(cx.conn())
        .await?;
        let linked = linked.ok_or_else(Error::not_found)?;
        if self.password_hash(&mut cx, user).await?.is_none() {
            return Err(Error::new(&problems::STATE).detail(
                "Without it there would be no way to sign in. Choose a password first: \
                 `POST /auth/forgot-password` sends a link.",
            ));
        }
        drop(cx);
        self.require_recent(caller, user, session).await?;
        self.run_of(caller, move |cx| {
            Box::pin(async move {
                self.lock_account(cx, user).await?;
                self.refuse_ended(cx, session).await?;
                let event = Event::IdentityUnlinked(linked);
                self.end_all(cx, user, session, event).await
            })
        })
        .await
    }
}
