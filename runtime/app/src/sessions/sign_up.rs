//! Sign-up: the address is proven before an account is created, and the person who proves it sets the password.
//!
//! A pending sign-up stores nothing that a stranger could use later. If there are several for one address, each of
//! their links works: it creates the account for the owner of the mailbox, under the name that they confirm.

use super::{
    Sessions,
    bodies::{SignUp, VerifyEmail, weak_password},
    hours,
    links::{bad_link, mail_arrived},
    mail::{INVITE, Link, Reader},
    secret::{self, Mailed},
    throttle::{Mailing, network},
};
use crate::mail::Template;
use generated::user::constraint;
use kernel::{Cx, Error, Result, Visitor, error::violated, problems};
use macros::Entity;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The payload of the job that handles a sign-up.
#[derive(Serialize, Deserialize)]
pub(super) struct Invitation {
    network: String,
    email: String,
    handle: String,
    display_name: String,
    locale: Option<String>,
    timezone: Option<String>,
}

impl Sessions {
    /// Accepts a sign-up. The answer is the same whether or not the address is a member's; everything else is done by
    /// a job after the answer.
    /// `accepted` is the language that the caller's program asks for; the member's unless the body says another.
    pub async fn sign_up(
        &self,
        caller: &Visitor,
        input: SignUp,
        accepted: Option<String>,
    ) -> Result<()> {
        let mut cx = self.cx(caller.request_id).await?;
        let taken = self.is_taken(&mut cx, &input.handle).await?;
        drop(cx);
        if taken {
            return Err(handle_taken());
        }
        let network = network(caller.ip);
        self.count_mailing(caller.request_id, &network).await?;
        let invitation = Invitation {
            network,
            email: input.email,
            handle: input.handle,
            display_name: input.display_name,
            locale: input.locale.or(accepted),
            timezone: input.timezone,
        };
        self.enqueue(INVITE, invitation, None, caller.request_id)
            .await
    }

    /// May be revealed, because handles are public.
    async fn is_taken(&self, cx: &mut Cx, handle: &str) -> Result<bool> {
        Ok(sqlx::query_scalar(
            "select exists (select 1 from app.users where handle = $1 and status <> 'archived')",
        )
        .bind(handle)
        .fetch_one(cx.conn())
        .await?)
    }

    pub(super) async fn invite(&self, cx: &mut Cx, input: &Invitation) -> Result<()> {
        let allowed = self
            .may_mail(cx, &input.network, Mailing::SignUp, &input.email)
            .await?;
        if !allowed {
            return Ok(());
        }
        if self.tell_member(cx, &input.email).await? {
            return Ok(());
        }
        let token = Mailed::fresh(&self.0.key);
        sqlx::query(
            "insert into app.sign_ups
               (token_hash, email, handle, display_name, locale, timezone, expires_at)
             values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))",
        )
        .bind(token.digest())
        .bind(&input.email)
        .bind(&input.handle)
        .bind(&input.display_name)
        .bind(&input.locale)
        .bind(&input.timezone)
        .bind(self.0.config.sign_up_lifetime.as_secs_f64())
        .execute(cx.conn())
        .await?;
        let hours = hours(self.0.config.sign_up_lifetime);
        // Without the name: whoever typed the address may not be its owner, and could send advertisements to everybody.
        let values = [("handle", input.handle.as_str()), ("hours", &hours)];
        let link = Link::Token("verify-email", &token);
        let to = Reader {
            email: &input.email,
            locale: input.locale.as_deref().unwrap_or("en"),
        };
        self.mail(cx, Template::ConfirmSignUp, to, &values, link)
            .await
    }

    /// Creates the member after the link was opened.
    pub async fn verify_email(&self, caller: &Visitor, input: VerifyEmail) -> Result<()> {
        let mut cx = self.cx(caller.request_id).await?;
        let digest = secret::digest(input.token.expose_secret());
        let wish = self.wish(&mut cx, &digest).await?;
        drop(cx);
        let mut wish = wish.ok_or_else(bad_link)?;
        wish.handle = input.handle.unwrap_or(wish.handle);
        wish.display_name = input.display_name.unwrap_or(wish.display_name);
        let password = input.password;
        let local = wish.email.split('@').next().unwrap_or_default();
        weak_password(&password, &[&wish.handle, local])?;
        let hasher = &self.0.hasher;
        let hash = hasher.hash(&network(caller.ip), password).await?;

        let (digest, wish, hash) = (&digest, &wish, &hash);
        self.run(caller.request_id, move |cx| {
            Box::pin(self.make_wished(cx, digest, wish, hash))
        })
        .await
    }

    async fn make_wished(&self, cx: &mut Cx, digest: &str, wish: &Wish, hash: &str) -> Result<()> {
        // All pending sign-ups with the address become void. This one must still be among them.
        let used: Vec<String> =
            sqlx::query_scalar("delete from app.sign_ups where email = $1 returning token_hash")
                .bind(&wish.email)
                .fetch_all(cx.conn())
                .await?;
        if !used.iter().any(|used| used == digest) {
            return Err(bad_link());
        }
        mail_arrived(cx, &wish.email).await?;
        let user = self.insert_member(cx, wish).await?;
        // Nothing was ended yet, so tokens that an issuer has issued before are valid.
        sqlx::query(
            "insert into app.credentials (user_id, password_hash, changed_at, valid_from)
             values ($1, $2, now(), 'epoch')",
        )
        .bind(user)
        .bind(hash)
        .execute(cx.conn())
        .await?;
        Ok(())
    }

    async fn wish(&self, cx: &mut Cx, digest: &str) -> Result<Option<Wish>> {
        Ok(sqlx::query_as(
            "select email::text, handle, display_name, locale, timezone from app.sign_ups
             where token_hash = $1 and expires_at > now()",
        )
        .bind(digest)
        .fetch_optional(cx.conn())
        .await?)
    }

    async fn insert_member(&self, cx: &mut Cx, wish: &Wish) -> Result<Uuid> {
        let inserted = sqlx::query_scalar(
            "insert into app.users (handle, display_name, email, locale, timezone)
             values ($1, $2, $3, coalesce($4, 'en'), coalesce($5, 'UTC')) returning id",
        )
        .bind(&wish.handle)
        .bind(&wish.display_name)
        .bind(&wish.email)
        .bind(&wish.locale)
        .bind(&wish.timezone)
        .fetch_one(cx.conn())
        .await;
        inserted.map_err(|error| match violated(&error) {
            Some(constraint::HANDLE_KEY) => handle_taken().because(error),
            // The opened link proves the address, so this reveals nothing to others.
            Some(constraint::EMAIL_KEY) => Error::new(&problems::CONFLICT)
                .detail("This address belongs to a member. Sign in instead.")
                .because(error),
            _ => error.into(),
        })
    }

    /// Tells the member with this address, if there is one, that somebody else wanted to use it. The mail is in the
    /// member's language, not in that of whoever typed the address.
    pub(super) async fn tell_member(&self, cx: &mut Cx, email: &str) -> Result<bool> {
        let locale: Option<String> = sqlx::query_scalar(
            "select locale from app.users where email = $1 and status <> 'archived'",
        )
        .bind(email)
        .fetch_optional(cx.conn())
        .await?;
        if let Some(locale) = &locale {
            let link = Link::Page("forgotten-password");
            let to = Reader { email, locale };
            self.mail(cx, Template::AlreadyMember, to, &[], link)
                .await?;
        }
        Ok(locale.is_some())
    }
}

/// A pending sign-up. The query selects the columns in this order.
#[derive(Entity)]
struct Wish {
    email: String,
    handle: String,
    display_name: String,
    locale: Option<String>,
    timezone: Option<String>,
}

fn handle_taken() -> Error {
    let item = kernel::problem::Item::body("/handle", "conflict", "is taken; choose another");
    Error::new(&problems::CONFLICT).item(item)
}
