//! Changes of a member's email address. A change needs a recent sign-in, and a click on the link that is sent to the
//! new address.

use super::{
    Sessions,
    bodies::{Address, ConfirmEmail},
    endings::Event,
    hours,
    links::Purpose,
    mail::{CHANGE, Link, Reader},
    throttle::{Mailing, network},
};
use crate::mail::Template;
use generated::user::constraint;
use kernel::{Cx, Error, Member, Result, Visitor, error::violated, problems};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The payload of the job that handles a requested change of address.
#[derive(Serialize, Deserialize)]
pub(super) struct Change {
    network: String,
    user: Uuid,
    session: Option<Uuid>,
    email: String,
}

impl Sessions {
    /// Requests a change of address. Whether the new address belongs to a member is only revealed in an email to that
    /// address.
    pub async fn change_email(&self, caller: &Member, input: Address) -> Result<()> {
        let (user, session) = (caller.id(), caller.session());
        self.require_recent(caller, user, session).await?;
        let network = network(caller.ip);
        self.count_mailing(caller.request_id, &network).await?;
        let change = Change {
            network,
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
        if self.tell_member(cx, email).await? {
            return Ok(());
        }
        // No link if the session was ended since the request.
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
        let (handle, locale): (String, String) =
            sqlx::query_as("select handle, locale from app.users where id = $1")
                .bind(user)
                .fetch_one(cx.conn())
                .await?;
        let lifetime = self.0.config.sign_up_lifetime;
        let token = self
            .keep_link(cx, user, session, Purpose::ChangeEmail, email, lifetime)
            .await?;
        // Without the name of the account: the address may be anybody's, and the name could be an advertisement.
        let values = [("handle", handle.as_str()), ("hours", &hours(lifetime))];
        let link = Link::Token("confirm-email", &token);
        let to = Reader {
            email,
            locale: &locale,
        };
        self.mail(cx, Template::ConfirmEmail, to, &values, link)
            .await
    }

    /// Changes the address after the link was opened. The old address is notified, so that a thief can't take over an
    /// account unnoticed.
    ///
    /// Not the same route as the link of a sign-up: a person who has signed up and opens a link of this kind instead
    /// would give their address to the account of another member, who asked for that change.
    pub async fn confirm_email(&self, caller: &Visitor, input: ConfirmEmail) -> Result<()> {
        let token = &input.token;
        self.run(caller.request_id, move |cx| {
            Box::pin(self.change_address(cx, token))
        })
        .await
    }

    async fn change_address(&self, cx: &mut Cx, token: &SecretString) -> Result<()> {
        let opened = self.open_link(cx, Purpose::ChangeEmail, token).await?;
        let (user, email) = (opened.user, opened.email);
        let (name, old, locale): (String, String, String) = sqlx::query_as(
            "select display_name, email, locale from app.users where id = $1 for update",
        )
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
        self.end_all(cx, user, opened.session, Event::AddressChanged)
            .await?;
        // Pending sign-ups with this address become void.
        sqlx::query("delete from app.sign_ups where email = $1")
            .bind(&email)
            .execute(cx.conn())
            .await?;
        let values = [("name", name.as_str()), ("email", &email)];
        let link = Link::Page("help");
        let to = Reader {
            email: &old,
            locale: &locale,
        };
        self.mail(cx, Template::EmailChanged, to, &values, link)
            .await
    }

    /// Fails with 401 unless the caller has proven their password recently in this session. A token of an external
    /// issuer doesn't prove it.
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
