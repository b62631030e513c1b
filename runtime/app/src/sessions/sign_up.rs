//! From a wish to a member: the address is proven before there is an account.

use super::{
    Sessions, after,
    bodies::{MailedToken, SignUp},
    hours, secret, throttle,
};
use crate::mail::Template;
use kernel::{Cx, Error, Result, Visitor, problems};
use secrecy::ExposeSecret;
use uuid::Uuid;

impl Sessions {
    /// Says the same for addresses that are members and for those that are not. What is done about it
    /// happens after the answer.
    pub async fn sign_up(&self, caller: &Visitor, input: SignUp) -> Result<()> {
        let mut cx = self.cx(caller.request_id).await?;
        // Handles are public anyway.
        let taken: bool = sqlx::query_scalar(
            "select exists (select 1 from app.users where handle = $1 and status <> 'archived')",
        )
        .bind(&input.handle)
        .fetch_one(cx.conn())
        .await?;
        drop(cx);
        if taken {
            return Err(handle_taken());
        }
        let password_hash = self.0.hasher.hash(input.password.clone()).await?;
        let sessions = self.clone();
        let request = caller.request_id;
        self.0.background.spawn("sign-up", async move {
            sessions.invite(request, input, password_hash).await
        });
        Ok(())
    }

    async fn invite(&self, request: Uuid, input: SignUp, password_hash: String) -> Result<()> {
        let mut cx = self.cx(request).await?;
        if !self.may_mail(&mut cx, &input.email).await? {
            cx.commit().await?;
            return Ok(());
        }
        if self.is_member(&mut cx, &input.email).await? {
            cx.commit().await?;
            let link = self.page("forgotten-password");
            return self
                .mail(Template::AlreadyMember, &input.email, &[("link", &link)])
                .await;
        }
        let token = secret::random();
        sqlx::query(
            "insert into app.sign_ups
               (token_hash, email, handle, display_name, password_hash, locale, timezone, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(secret::digest(token.expose_secret()))
        .bind(&input.email)
        .bind(&input.handle)
        .bind(&input.display_name)
        .bind(&password_hash)
        .bind(&input.locale)
        .bind(&input.timezone)
        .bind(after(self.0.clock.now(), self.0.config.sign_up_lifetime))
        .execute(cx.conn())
        .await?;
        cx.commit().await?;
        let link = self.link("verify-email", token.expose_secret());
        let hours = hours(self.0.config.sign_up_lifetime);
        let values = [
            ("name", input.display_name.as_str()),
            ("link", &link),
            ("hours", &hours),
        ];
        self.mail(Template::ConfirmSignUp, &input.email, &values)
            .await
    }

    /// The link of a mail was opened: makes the member, or gives a member the new address.
    pub async fn verify_email(&self, caller: &Visitor, input: MailedToken) -> Result<()> {
        let mut cx = self.cx(caller.request_id).await?;
        let hash = secret::digest(input.token.expose_secret());
        let wish: Option<Row> = sqlx::query_as(
            "delete from app.sign_ups where token_hash = $1 and expires_at > $2
             returning email, handle, display_name, password_hash, locale, timezone",
        )
        .bind(&hash)
        .bind(self.0.clock.now())
        .fetch_optional(cx.conn())
        .await?;
        let Some(wish) = wish.map(Wish::from) else {
            drop(cx);
            return self.confirm_new_email(caller, &hash).await;
        };
        let user = self.insert_member(&mut cx, &wish).await?;
        sqlx::query(
            "insert into app.credentials (user_id, password_hash, changed_at) values ($1, $2, $3)",
        )
        .bind(user)
        .bind(&wish.password_hash)
        .bind(self.0.clock.now())
        .execute(cx.conn())
        .await?;
        // Other wishes for the address, whoever had them, are void now.
        sqlx::query("delete from app.sign_ups where email = $1")
            .bind(&wish.email)
            .execute(cx.conn())
            .await?;
        throttle::forget(&mut cx, &[self.0.key.throttle("mail", &[&wish.email])]).await?;
        cx.commit().await?;
        Ok(())
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
        inserted.map_err(|error| match constraint(&error) {
            Some(name) if name.contains("handle") => handle_taken().because(error),
            // Who opened the link owns the address, so this tells them nothing new.
            Some(name) if name.contains("email") => Error::new(&problems::CONFLICT)
                .detail("This address is a member already. Sign in.")
                .because(error),
            _ => error.into(),
        })
    }

    pub(super) async fn is_member(&self, cx: &mut Cx, email: &str) -> Result<bool> {
        Ok(sqlx::query_scalar(
            "select exists (select 1 from app.users where email = $1 and status <> 'archived')",
        )
        .bind(email)
        .fetch_one(cx.conn())
        .await?)
    }

    /// A page of the web app without a token.
    pub(super) fn page(&self, page: &str) -> String {
        format!("{}/{page}", self.0.config.link_base.trim_end_matches('/'))
    }
}

struct Wish {
    email: String,
    handle: String,
    display_name: String,
    password_hash: String,
    locale: Option<String>,
    timezone: Option<String>,
}

type Row = (
    String,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
);

impl From<Row> for Wish {
    fn from((email, handle, display_name, password_hash, locale, timezone): Row) -> Self {
        Self {
            email,
            handle,
            display_name,
            password_hash,
            locale,
            timezone,
        }
    }
}

fn handle_taken() -> Error {
    let item = kernel::problem::Item::body("/handle", "conflict", "is taken; choose another");
    Error::new(&problems::CONFLICT).item(item)
}

pub(super) fn constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}
