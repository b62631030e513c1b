//! A member's address: changing it needs a recent sign-in and a click on a link sent to the new one.

use super::{Sessions, bodies::Address, hours, recover::bad_link, sign_up::constraint};
use crate::mail::Template;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Error, Member, Result, Visitor, problems};
use secrecy::ExposeSecret;
use uuid::Uuid;

impl Sessions {
    /// Whether the new address is a member's already is not told here; its mailbox is.
    pub async fn change_email(&self, caller: &Member, input: Address) -> Result<()> {
        self.require_recent(caller).await?;
        let user = caller.id();
        let sessions = self.clone();
        let request = caller.request_id;
        self.0.background.spawn("change of address", async move {
            sessions.send_change(request, user, &input.email).await
        });
        Ok(())
    }

    async fn send_change(&self, request: Uuid, user: Uuid, email: &str) -> Result<()> {
        let mut cx = self.cx_of_account(user, request).await?;
        let allowed = self.may_mail(&mut cx, email).await?;
        let member = self.is_member(&mut cx, email).await?;
        if !allowed || member {
            cx.commit().await?;
            if allowed {
                let link = self.page("forgotten-password");
                self.mail(Template::AlreadyMember, email, &[("link", &link)])
                    .await?;
            }
            return Ok(());
        }
        let name: String = sqlx::query_scalar("select display_name from app.users where id = $1")
            .bind(user)
            .fetch_one(cx.conn())
            .await?;
        let lifetime = self.0.config.sign_up_lifetime;
        let token = self
            .keep_mailed(&mut cx, user, "change_email", email, lifetime)
            .await?;
        cx.commit().await?;
        let link = self.link("verify-email", token.expose_secret());
        self.mail(
            Template::ConfirmEmail,
            email,
            &[
                ("name", &name),
                ("link", &link),
                ("hours", &hours(lifetime)),
            ],
        )
        .await
    }

    /// The link was opened. The old address is told, so that a thief can't take an account quietly.
    pub(super) async fn confirm_new_email(&self, caller: &Visitor, hash: &str) -> Result<()> {
        let mut cx = self.cx(caller.request_id).await?;
        let Some((user, email)) = self.use_mailed(&mut cx, "change_email", hash).await? else {
            return Err(bad_link());
        };
        let (name, old): (String, String) =
            sqlx::query_as("select display_name, email from app.users where id = $1 for update")
                .bind(user)
                .fetch_one(cx.conn())
                .await?;
        sqlx::query("update app.users set email = $2 where id = $1")
            .bind(user)
            .bind(&email)
            .execute(cx.conn())
            .await
            .map_err(|error| match constraint(&error) {
                Some(name) if name.contains("email") => Error::new(&problems::CONFLICT)
                    .detail("This address belongs to another account.")
                    .because(error),
                _ => error.into(),
            })?;
        cx.commit().await?;
        let sessions = self.clone();
        self.0.background.spawn("address notice", async move {
            let link = sessions.page("help");
            let values = [("name", name.as_str()), ("email", &email), ("link", &link)];
            sessions.mail(Template::EmailChanged, &old, &values).await
        });
        Ok(())
    }

    /// 401 unless the caller proved their password a short while ago.
    pub(super) async fn require_recent(&self, caller: &Member) -> Result<()> {
        let mut cx = self.cx_of(caller).await?;
        let authenticated_at: Option<DateTime<Utc>> = sqlx::query_scalar(
            "select authenticated_at from app.sessions where id = $1 and user_id = $2",
        )
        .bind(caller.session())
        .bind(caller.id())
        .fetch_optional(cx.conn())
        .await?;
        let recent = TimeDelta::from_std(self.0.config.recent).unwrap_or_default();
        match authenticated_at {
            Some(at) if self.0.clock.now() - at <= recent => Ok(()),
            _ => Err(Error::new(&problems::STEP_UP)),
        }
    }
}
