//! Signs a member in with an address and a password, and checks the password of a signed-in member.

use super::{
    Device, Sessions, Signed,
    bodies::{Credentials, Password},
    password::Verdict,
    throttle::network,
    wrong_credentials,
};
use kernel::{Cx, Error, Member, Result, Visitor, problems};
use secrecy::SecretString;
use uuid::Uuid;

impl Sessions {
    pub async fn sign_in(
        &self,
        caller: &Visitor,
        input: Credentials,
        device: Device,
    ) -> Result<Signed> {
        let attempt = self
            .count_sign_in(caller, &input.email, &input.password)
            .await?;

        let mut cx = self.cx(caller.request_id).await?;
        let account: Option<(Uuid, String, Option<String>)> = sqlx::query_as(
            "select u.id, u.status, c.password_hash
             from app.users u left join app.credentials c on c.user_id = u.id
             where u.email = $1 and u.status <> 'archived'",
        )
        .bind(&input.email)
        .fetch_optional(cx.conn())
        .await?;
        // No connection is held while the hash is computed.
        drop(cx);

        let hash = account.as_ref().and_then(|(_, _, hash)| hash.clone());
        let hasher = &self.0.hasher;
        let verdict = hasher
            .verify(&network(caller.ip), input.password, hash)
            .await?;
        let (Some((user, status, former)), Verdict::Right { better_hash }) = (account, verdict)
        else {
            return Err(wrong_credentials());
        };
        if status != "active" {
            return Err(Error::new(&problems::ACCOUNT_SUSPENDED));
        }

        let (attempt, device) = (&attempt, &device);
        let (former, better_hash) = (former.as_deref(), better_hash.as_deref());
        self.run_of_owner(user, caller.request_id, move |cx| {
            Box::pin(async move {
                self.is_still_right(cx, user, former).await?;
                attempt.succeeded(cx).await?;
                self.improve_hash(cx, user, former, better_hash).await?;
                self.begin(cx, user, device).await
            })
        })
        .await
    }

    /// Checks that the account is active and its hash is still the one that was checked. The account stays locked
    /// until the session is stored.
    async fn is_still_right(&self, cx: &mut Cx, user: Uuid, hash: Option<&str>) -> Result<()> {
        match self.hold_account(cx, user).await?.as_deref() {
            Some("active") => {}
            Some("suspended") => return Err(Error::new(&problems::ACCOUNT_SUSPENDED)),
            _ => return Err(wrong_credentials()),
        }
        let same: bool = sqlx::query_scalar(
            "select exists (select from app.credentials where user_id = $1 and password_hash = $2)",
        )
        .bind(user)
        .bind(hash)
        .fetch_one(cx.conn())
        .await?;
        if same {
            Ok(())
        } else {
            Err(wrong_credentials())
        }
    }

    /// Replaces the hash that was checked by a better one of the same password.
    async fn improve_hash(
        &self,
        cx: &mut Cx,
        user: Uuid,
        former: Option<&str>,
        better: Option<&str>,
    ) -> Result<()> {
        let (Some(former), Some(better)) = (former, better) else {
            return Ok(());
        };
        sqlx::query(
            "update app.credentials set password_hash = $3 where user_id = $1 and password_hash = $2",
        )
        .bind(user)
        .bind(former)
        .bind(better)
        .execute(cx.conn())
        .await?;
        Ok(())
    }

    /// Makes the caller's session recent again, as sensitive changes require, after checking the password.
    pub async fn step_up(&self, caller: &Member, input: Password) -> Result<()> {
        let (user, session) = (caller.id(), caller.session());
        self.check_own_password(caller, user, session, input.password)
            .await?;
        self.run_of(caller, move |cx| {
            Box::pin(async move {
                sqlx::query("update app.sessions set authenticated_at = now() where id = $1")
                    .bind(session)
                    .execute(cx.conn())
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Checks the password of a signed-in member, and returns its current hash. Failures are counted per session.
    pub(super) async fn check_own_password(
        &self,
        caller: &Member,
        user: Uuid,
        session: Option<Uuid>,
        password: SecretString,
    ) -> Result<Option<String>> {
        let attempt = self.count_own_password(caller, user, session).await?;
        let mut cx = self.cx_of(caller).await?;
        let hash: Option<String> =
            sqlx::query_scalar("select password_hash from app.credentials where user_id = $1")
                .bind(user)
                .fetch_optional(cx.conn())
                .await?
                .flatten();
        drop(cx);
        let hasher = &self.0.hasher;
        let verdict = hasher
            .verify(&network(caller.ip), password, hash.clone())
            .await?;
        let Verdict::Right { better_hash } = verdict else {
            return Err(wrong_credentials());
        };
        let (attempt, former, better) = (&attempt, hash.as_deref(), better_hash.as_deref());
        self.run_of(caller, move |cx| {
            Box::pin(async move {
                attempt.succeeded(cx).await?;
                self.improve_hash(cx, user, former, better).await
            })
        })
        .await?;
        Ok(better_hash.or(hash))
    }
}
