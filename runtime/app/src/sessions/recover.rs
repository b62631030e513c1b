//! Passwords: changing a known one and replacing a forgotten one.

use super::{
    Sessions,
    bodies::{Address, ChangePassword, ResetPassword, weak_password},
    endings::Event,
    hours,
    links::Purpose,
    mail::{Link, RESET, Reader},
    throttle::{Mailing, network},
    wrong_credentials,
};
use crate::mail::Template;
use kernel::{Cx, Member, Result, Visitor, jobs};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// The payload of the job that handles a request for a new password.
#[derive(Serialize, Deserialize)]
pub(super) struct Reset {
    network: String,
    email: String,
}

impl Sessions {
    /// Changes the caller's password. It needs no recent sign-in, since the old password is checked. Other devices are
    /// signed out.
    pub async fn change_password(&self, caller: &Member, input: ChangePassword) -> Result<()> {
        let (user, session) = (caller.id(), caller.session());
        let former = self
            .check_own_password(caller, user, session, input.current_password)
            .await?;
        let mut cx = self.cx_of(caller).await?;
        self.refuse_own_names(&mut cx, user, &input.password)
            .await?;
        drop(cx);
        let hasher = &self.0.hasher;
        let hash = hasher.hash(&network(caller.ip), input.password).await?;
        let (former, hash) = (former.as_deref(), hash.as_str());
        self.run_of(caller, move |cx| {
            Box::pin(async move {
                self.lock_account(cx, user).await?;
                self.refuse_ended(cx, session).await?;
                // If the password was changed while this one was hashed, the caller has not given the current one.
                if self.password_hash(cx, user).await?.as_deref() != former {
                    return Err(wrong_credentials());
                }
                self.set_password(cx, user, session, Event::PasswordChanged, hash)
                    .await?;
                self.tell_of_new_password(cx, user).await
            })
        })
        .await
    }

    /// Has a link sent if the address is a member's. The answer is the same for every address, and is given before
    /// anything is sent.
    pub async fn forgot_password(&self, caller: &Visitor, input: Address) -> Result<()> {
        let network = network(caller.ip);
        self.count_mailing(caller.request_id, &network).await?;
        let reset = Reset {
            network,
            email: input.email,
        };
        self.enqueue(RESET, reset, None, caller.request_id).await
    }

    pub(super) async fn send_reset(&self, cx: &mut Cx, reset: &Reset) -> Result<()> {
        let email = reset.email.as_str();
        let allowed = self
            .may_mail(cx, &reset.network, Mailing::ResetPassword, email)
            .await?;
        let member: Option<(Uuid, String, String)> = sqlx::query_as(
            "select id, display_name, locale from app.users where email = $1 and status = 'active'",
        )
        .bind(email)
        .fetch_optional(cx.conn())
        .await?;
        let (true, Some((user, name, locale))) = (allowed, member) else {
            return Ok(());
        };
        let lifetime = self.0.config.reset_lifetime;
        let token = self
            .keep_link(cx, user, None, Purpose::ResetPassword, email, lifetime)
            .await?;
        let values = [("name", name.as_str()), ("hours", &hours(lifetime))];
        let link = Link::Token("reset-password", &token);
        let to = Reader {
            email,
            locale: &locale,
        };
        self.mail(cx, Template::ResetPassword, to, &values, link)
            .await
    }

    /// Sets the password after the link was opened. Every session of the member ends.
    pub async fn reset_password(&self, caller: &Visitor, input: ResetPassword) -> Result<()> {
        let (token, password) = (&input.token, &input.password);
        // Committed at once, so that a link is good for one attempt and no row is locked while the password is hashed.
        let opened = self.run(caller.request_id, move |cx| {
            Box::pin(async move {
                let opened = self.open_link(cx, Purpose::ResetPassword, token).await?;
                // Before the commit: after a refusal, the link is still good.
                self.refuse_own_names(cx, opened.user, password).await?;
                Ok(opened)
            })
        });
        let opened = opened.await?;

        let user = opened.user;
        let hasher = &self.0.hasher;
        let hash = hasher.hash(&network(caller.ip), input.password).await?;
        let (opened, hash) = (&opened, hash.as_str());
        self.run_of_owner(user, caller.request_id, move |cx| {
            Box::pin(async move {
                self.lock_account(cx, user).await?;
                self.is_still_good(cx, opened).await?;
                self.set_password(cx, user, None, Event::PasswordReset, hash)
                    .await?;
                // The owner of the mailbox may sign in at once, however many attempts others have made.
                self.forget_failures(cx, caller, &opened.email).await?;
                self.tell_of_new_password(cx, user).await
            })
        })
        .await
    }

    /// Refuses (422) a password that contains the member's handle or the beginning of their address, as signing up does.
    async fn refuse_own_names(
        &self,
        cx: &mut Cx,
        user: Uuid,
        password: &SecretString,
    ) -> Result<()> {
        let (handle, email): (String, String) =
            sqlx::query_as("select handle, email::text from app.users where id = $1")
                .bind(user)
                .fetch_one(cx.conn())
                .await?;
        let local = email.split('@').next().unwrap_or_default();
        weak_password(password, &[&handle, local])
    }

    pub(super) async fn password_hash(&self, cx: &mut Cx, user: Uuid) -> Result<Option<String>> {
        let hash: Option<Option<String>> =
            sqlx::query_scalar("select password_hash from app.credentials where user_id = $1")
                .bind(user)
                .fetch_optional(cx.conn())
                .await?;
        Ok(hash.flatten())
    }

    /// Sets a password, and ends what the event ends. No other function changes a password.
    async fn set_password(
        &self,
        cx: &mut Cx,
        user: Uuid,
        session: Option<Uuid>,
        event: Event,
        hash: &str,
    ) -> Result<()> {
        sqlx::query(
            "insert into app.credentials (user_id, password_hash, changed_at) values ($1, $2, now())
             on conflict (user_id) do update
             set password_hash = excluded.password_hash, changed_at = excluded.changed_at",
        )
        .bind(user)
        .bind(hash)
        .execute(cx.conn())
        .await?;
        self.end_all(cx, user, session, event).await
    }

    async fn tell_of_new_password(&self, cx: &mut Cx, user: Uuid) -> Result<()> {
        let (name, email, locale): (String, String, String) =
            sqlx::query_as("select display_name, email, locale from app.users where id = $1")
                .bind(user)
                .fetch_one(cx.conn())
                .await?;
        jobs::tell(cx, "sessions.password_changed", ("user", user), json!({})).await?;
        let values = [("name", name.as_str())];
        let link = Link::Page("forgotten-password");
        let to = Reader {
            email: &email,
            locale: &locale,
        };
        self.mail(cx, Template::PasswordChanged, to, &values, link)
            .await
    }
}
