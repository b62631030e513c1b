//! A member's address: changing it needs a recent sign-in and a click on a link sent to the new one.

use super::{
    Sessions,
    bodies::{Address, ConfirmEmail},
    endings::Event,
    hours,
    links::Purpose,
    post::{CHANGE, Link},
    throttle::{Mailing, network},
};
use crate::mail::Template;
use generated::user::constraint;
use kernel::{Cx, Error, Member, Result, Visitor, error::violated, problems};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A wish for another address as it waits to be looked at.
#[derive(Serialize, Deserialize)]
pub(super) struct Change {
    network: String,
    user: Uuid,
    session: Option<Uuid>,
    email: String,
}

impl Sessions {
    /// Whether the new address is a member's already is not told here; its mailbox is.
    pub async fn change_email(&self, caller: &Member, input: Address) -> Result<()> {
        let (user, session) = (caller.id(), caller.session());
        self.require_recent(caller, user, session).await?;
        let change = Change {
            network: network(caller.ip),
            user,
            session,
            email: input.email,
        };
        self.enqueue(CHANGE, change, Some(user), caller.request_id)
            .await
    }

    pub(super) async fn send_change(&self, cx: &mut Cx, change: &Change) -> Result<()> {
        let (user, session, email) = (change.user, change.session, change.email.as_str());
        let allowed = self
            .may_mail(cx, &change.network, Mailing::ChangeEmail, email)
            .await?;
        if !allowed {
            return Ok(());
        }
        if self.is_member(cx, email).await? {
            let link = Link::Page("forgotten-password");
            return self
                .mail(cx, Template::AlreadyMember, email, &[], link)
                .await;
        }
        // Whoever was signed out since then gets no link.
        self.hold_account(cx, user).await?;
        let live: bool = sqlx::query_scalar(
            "select exists (select from app.sessions where id = $1 and revoked_at is null)",
        )
        .bind(session)
        .fetch_one(cx.conn())
        .await?;
        if !live {
            return Ok(());
        }
        let (name, handle): (String, String) =
            sqlx::query_as("select display_name, handle from app.users where id = $1")
                .bind(user)
                .fetch_one(cx.conn())
                .await?;
        let lifetime = self.0.config.sign_up_lifetime;
        let token = self
            .keep_link(cx, user, session, Purpose::ChangeEmail, email, lifetime)
            .await?;
        let values = [
            ("name", name.as_str()),
            ("handle", handle.as_str()),
            ("hours", &hours(lifetime)),
        ];
        let link = Link::Token("confirm-email", &token);
        self.mail(cx, Template::ConfirmEmail, email, &values, link)
            .await
    }

    /// The link was opened. The old address is told, so that a thief can't take an account quietly.
    ///
    /// Not one route with the link after signing up: who expects that one would give the account of whoever asked for
    /// this one their address.
    pub async fn confirm_email(&self, caller: &Visitor, input: ConfirmEmail) -> Result<()> {
        let mut cx = self.cx(caller.request_id).await?;
        let opened = self
            .open_link(&mut cx, Purpose::ChangeEmail, &input.token)
            .await?;
        let (user, email) = (opened.user, opened.email);
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
            .map_err(|error| match violated(&error) {
                Some(constraint::EMAIL_KEY) => Error::new(&problems::CONFLICT)
                    .detail("This address belongs to another account.")
                    .because(error),
                _ => error.into(),
            })?;
        self.end_all(&mut cx, user, opened.session, Event::AddressChanged)
            .await?;
        // Nobody becomes a member with it any more.
        sqlx::query("delete from app.sign_ups where email = $1")
            .bind(&email)
            .execute(cx.conn())
            .await?;
        let values = [("name", name.as_str()), ("email", &email)];
        let link = Link::Page("help");
        self.mail(&mut cx, Template::EmailChanged, &old, &values, link)
            .await?;
        cx.commit().await?;
        Ok(())
    }

    /// 401 unless the caller proved their password a short while ago. A token of an issuer proves none.
    pub(super) async fn require_recent(
        &self,
        caller: &Member,
        user: Uuid,
        session: Option<Uuid>,
    ) -> Result<()> {
        let mut cx = self.cx_of(caller).await?;
        let is_recent: bool = sqlx::query_scalar(
            "select exists (select from app.sessions where id = $1 and user_id = $2
               and (external_identity_id is null or authenticated_at > created_at)
               and authenticated_at >= now() - make_interval(secs => $3))",
        )
        .bind(session)
        .bind(user)
        .bind(self.0.config.recent.as_secs_f64())
        .fetch_one(cx.conn())
        .await?;
        match is_recent {
            true => Ok(()),
            false => Err(Error::new(&problems::STEP_UP)),
        }
    }
}
