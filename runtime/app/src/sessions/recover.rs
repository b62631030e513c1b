//! Passwords: changing a known one, replacing a forgotten one.

use super::{
    Sessions,
    bodies::{Address, ChangePassword, NewPassword},
    endings::Event,
    hours,
    links::Purpose,
    throttle::{Mailing, network},
    wrong_credentials,
};
use crate::mail::Template;
use kernel::{Cx, Member, Result, Visitor};
use secrecy::ExposeSecret;
use uuid::Uuid;

impl Sessions {
    /// Knowing the old password is what makes this recent. Other devices are signed out.
    pub async fn change_password(&self, caller: &Member, input: ChangePassword) -> Result<()> {
        let (user, session) = (caller.id(), caller.session());
        let former = self
            .check_own_password(caller, user, session, input.current_password)
            .await?;
        let hasher = &self.0.hasher;
        let hash = hasher.hash(&network(caller.ip), input.password).await?;
        let mut cx = self.cx_of(caller).await?;
        self.lock_account(&mut cx, user).await?;
        // Somebody may have set another one while this one was hashed; then the current one was not given.
        if self.password_hash(&mut cx, user).await? != former {
            return Err(wrong_credentials());
        }
        self.set_password(&mut cx, user, session, Event::PasswordChanged, &hash)
            .await?;
        cx.commit().await?;
        self.tell_of_new_password(caller.request_id, user);
        Ok(())
    }

    /// Sends a link, if the address is a member's. The answer is the same, and waits for nothing.
    pub fn forgot_password(&self, caller: &Visitor, input: Address) {
        let sessions = self.clone();
        let (request, network) = (caller.request_id, network(caller.ip));
        self.0.background.spawn("password reset", async move {
            sessions.send_reset(request, &network, &input.email).await
        });
    }

    async fn send_reset(&self, request: Uuid, network: &str, email: &str) -> Result<()> {
        let mut cx = self.cx(request).await?;
        let allowed = self
            .may_mail(&mut cx, network, Mailing::ResetPassword, email)
            .await?;
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
            .keep_link(&mut cx, user, None, Purpose::ResetPassword, email, lifetime)
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
        let opened = self
            .open_link(&mut cx, Purpose::ResetPassword, &input.token)
            .await?;
        // Committed at once: a link is good for one try, and no row stays locked while hashing.
        cx.commit().await?;

        let user = opened.user;
        let hasher = &self.0.hasher;
        let hash = hasher.hash(&network(caller.ip), input.password).await?;
        let mut cx = self.cx_of_account(user, caller.request_id).await?;
        self.lock_account(&mut cx, user).await?;
        self.is_still_good(&mut cx, &opened).await?;
        self.set_password(&mut cx, user, None, Event::PasswordReset, &hash)
            .await?;
        // Whoever has the mailbox is let in at once, however often strangers have guessed.
        self.forget_failures(&mut cx, caller, &opened.email).await?;
        cx.commit().await?;
        self.tell_of_new_password(caller.request_id, user);
        Ok(())
    }

    pub(super) async fn password_hash(&self, cx: &mut Cx, user: Uuid) -> Result<Option<String>> {
        let hash: Option<Option<String>> =
            sqlx::query_scalar("select password_hash from app.credentials where user_id = $1")
                .bind(user)
                .fetch_optional(cx.conn())
                .await?;
        Ok(hash.flatten())
    }

    /// The only way to another password: with it ends what the event ends.
    async fn set_password(
        &self,
        cx: &mut Cx,
        user: Uuid,
        session: Option<Uuid>,
        event: Event,
        hash: &str,
    ) -> Result<()> {
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
        self.end_all(cx, user, session, event).await
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
}
