//! Passwords: changing a known one, replacing a forgotten one.

use super::{
    Sessions, after,
    bodies::{Address, ChangePassword, NewPassword},
    hours, secret,
};
use crate::mail::Template;
use kernel::{Cx, Error, Member, Result, Visitor, problems};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

impl Sessions {
    /// Knowing the old password is what makes this recent. Other devices are signed out.
    pub async fn change_password(&self, caller: &Member, input: ChangePassword) -> Result<()> {
        let user = caller.id();
        self.check_own_password(caller, input.current_password)
            .await?;
        let hash = self.0.hasher.hash(input.password).await?;
        let mut cx = self.cx_of(caller).await?;
        self.set_password(&mut cx, user, &hash).await?;
        self.revoke(&mut cx, user, caller.session(), "password_changed")
            .await?;
        cx.commit().await?;
        self.tell_of_new_password(caller.request_id, user);
        Ok(())
    }

    /// Sends a link, if the address is a member's. The answer is the same, and waits for nothing.
    pub fn forgot_password(&self, caller: &Visitor, input: Address) {
        let sessions = self.clone();
        let request = caller.request_id;
        self.0.background.spawn("password reset", async move {
            sessions.send_reset(request, &input.email).await
        });
    }

    async fn send_reset(&self, request: Uuid, email: &str) -> Result<()> {
        let mut cx = self.cx(request).await?;
        let allowed = self.may_mail(&mut cx, email).await?;
        let member: Option<(Uuid, String)> = sqlx::query_as(
            "select id, display_name from app.users where email = $1 and status = 'active'",
        )
        .bind(email)
        .fetch_optional(cx.conn())
        .await?;
        cx.commit().await?;
        let (true, Some((user, name))) = (allowed, member) else {
            return Ok(());
        };

        let mut cx = self.cx_of_account(user, request).await?;
        let lifetime = self.0.config.reset_lifetime;
        let token = self
            .keep_mailed(&mut cx, user, "reset_password", email, lifetime)
            .await?;
        cx.commit().await?;
        let link = self.link("reset-password", token.expose_secret());
        self.mail(
            Template::ResetPassword,
            email,
            &[
                ("name", &name),
                ("link", &link),
                ("hours", &hours(lifetime)),
            ],
        )
        .await
    }

    /// The link was opened. Every session of the member ends.
    pub async fn reset_password(&self, caller: &Visitor, input: NewPassword) -> Result<()> {
        let mut cx = self.cx(caller.request_id).await?;
        let hash = secret::digest(input.token.expose_secret());
        let user = self.use_mailed(&mut cx, "reset_password", &hash).await?;
        // Committed at once: a link is good for one try, and no row stays locked while hashing.
        cx.commit().await?;
        let Some((user, _)) = user else {
            return Err(bad_link());
        };

        let password_hash = self.0.hasher.hash(input.password).await?;
        let mut cx = self.cx_of_account(user, caller.request_id).await?;
        self.set_password(&mut cx, user, &password_hash).await?;
        self.revoke(&mut cx, user, None, "password_reset").await?;
        cx.commit().await?;
        self.tell_of_new_password(caller.request_id, user);
        Ok(())
    }

    async fn set_password(&self, cx: &mut Cx, user: Uuid, hash: &str) -> Result<()> {
        sqlx::query(
            "insert into app.credentials (user_id, password_hash, changed_at) values ($1, $2, $3)
             on conflict (user_id) do update
             set password_hash = excluded.password_hash, changed_at = excluded.changed_at",
        )
        .bind(user)
        .bind(hash)
        .bind(self.0.clock.now())
        .execute(cx.conn())
        .await?;
        Ok(())
    }

    fn tell_of_new_password(&self, request: Uuid, user: Uuid) {
        let sessions = self.clone();
        self.0.background.spawn("password notice", async move {
            let mut cx = sessions.cx_of_account(user, request).await?;
            let (name, email): (String, String) =
                sqlx::query_as("select display_name, email from app.users where id = $1")
                    .bind(user)
                    .fetch_one(cx.conn())
                    .await?;
            drop(cx);
            let link = sessions.page("forgotten-password");
            sessions
                .mail(
                    Template::PasswordChanged,
                    &email,
                    &[("name", &name), ("link", &link)],
                )
                .await
        });
    }

    /// Remembers a token for a link in a mail; earlier links for the same purpose are void.
    pub(super) async fn keep_mailed(
        &self,
        cx: &mut Cx,
        user: Uuid,
        purpose: &'static str,
        email: &str,
        lifetime: std::time::Duration,
    ) -> Result<SecretString> {
        let token = secret::random();
        sqlx::query("delete from app.email_tokens where user_id = $1 and purpose = $2")
            .bind(user)
            .bind(purpose)
            .execute(cx.conn())
            .await?;
        sqlx::query(
            "insert into app.email_tokens (user_id, purpose, token_hash, email, expires_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(user)
        .bind(purpose)
        .bind(secret::digest(token.expose_secret()))
        .bind(email)
        .bind(after(self.0.clock.now(), lifetime))
        .execute(cx.conn())
        .await?;
        Ok(token)
    }

    /// Whose link this is, and for which address. It is used up.
    pub(super) async fn use_mailed(
        &self,
        cx: &mut Cx,
        purpose: &'static str,
        hash: &str,
    ) -> Result<Option<(Uuid, String)>> {
        Ok(sqlx::query_as(
            "update app.email_tokens t set used_at = $3
             where t.token_hash = $1 and t.purpose = $2 and t.used_at is null and t.expires_at > $3
               and exists (select 1 from app.users u where u.id = t.user_id and u.status = 'active')
             returning t.user_id, t.email",
        )
        .bind(hash)
        .bind(purpose)
        .bind(self.0.clock.now())
        .fetch_optional(cx.conn())
        .await?)
    }
}

pub(super) fn bad_link() -> Error {
    Error::new(&problems::GONE)
        .detail("The link was used already, has expired, or never was. Ask for a new one.")
}
