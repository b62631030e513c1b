//! From an address and a password to a session; and proving the password again.

use super::{
    Device, Sessions, Signed,
    bodies::{Credentials, Password},
    throttle::{self, Limit},
    too_many, wrong_credentials,
};
use kernel::{Error, Member, Result, Visitor, problems};
use secrecy::SecretString;
use uuid::Uuid;

impl Sessions {
    pub async fn sign_in(
        &self,
        caller: &Visitor,
        input: Credentials,
        device: Device,
    ) -> Result<Signed> {
        let counters = self.count_attempt(caller, &input.email).await?;

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
        let right = self.0.hasher.verify(input.password, hash).await?;
        let Some((user, status, _)) = account.filter(|_| right) else {
            return Err(wrong_credentials());
        };
        if status != "active" {
            return Err(Error::new(&problems::ACCOUNT_SUSPENDED));
        }

        let mut cx = self.cx_of_account(user, caller.request_id).await?;
        throttle::forget(&mut cx, &counters).await?;
        let signed = self.begin(&mut cx, user, &device).await?;
        cx.commit().await?;
        Ok(signed)
    }

    /// Makes the caller's session recent again, which sensitive changes ask for.
    pub async fn step_up(&self, caller: &Member, input: Password) -> Result<()> {
        self.check_own_password(caller, input.password).await?;
        let mut cx = self.cx_of(caller).await?;
        sqlx::query("update app.sessions set authenticated_at = $2 where id = $1")
            .bind(caller.session())
            .bind(self.0.clock.now())
            .execute(cx.conn())
            .await?;
        cx.commit().await?;
        Ok(())
    }

    /// The password of somebody who is signed in. Wrong ones count like failures to sign in.
    pub(super) async fn check_own_password(
        &self,
        caller: &Member,
        password: SecretString,
    ) -> Result<()> {
        let mut cx = self.cx_of(caller).await?;
        let (email, hash): (String, Option<String>) = sqlx::query_as(
            "select u.email, c.password_hash
             from app.users u left join app.credentials c on c.user_id = u.id where u.id = $1",
        )
        .bind(caller.id())
        .fetch_one(cx.conn())
        .await?;
        drop(cx);
        let counters = self.count_attempt(&caller.visitor(), &email).await?;
        if !self.0.hasher.verify(password, hash).await? {
            return Err(wrong_credentials());
        }
        let mut cx = self.cx_of(caller).await?;
        throttle::forget(&mut cx, &counters).await?;
        cx.commit().await?;
        Ok(())
    }

    /// Counts an attempt for this account, from this address and from anywhere. Returns the counters that
    /// a success sets back.
    async fn count_attempt(&self, caller: &Visitor, email: &str) -> Result<Vec<String>> {
        let config = &self.0.config;
        let now = self.0.clock.now();
        let ip = caller.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let here = self.0.key.throttle("password-from", &[email, &ip]);
        let anywhere = self.0.key.throttle("password", &[email]);
        let window = config.failure_window;

        let mut cx = self.cx(caller.request_id).await?;
        // The narrow counter first: who is stopped by it does not lock others out of the account.
        let mut wait = throttle::count(
            &mut cx,
            &here,
            Limit {
                attempts: config.failures_per_address,
                window,
            },
            now,
        )
        .await?;
        if wait.is_none() {
            let limit = Limit {
                attempts: config.failures_per_account,
                window,
            };
            wait = throttle::count(&mut cx, &anywhere, limit, now).await?;
        }
        cx.commit().await?;
        match wait {
            Some(seconds) => Err(too_many(seconds)),
            None => Ok(vec![here, anywhere]),
        }
    }
}
