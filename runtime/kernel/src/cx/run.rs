//! A module's transaction, which is retried after a conflict with another transaction.

use super::{Cx, Db};
use crate::{actor::Actor, error::Result, journey::try_again, member::Member};
use std::pin::Pin;
use uuid::Uuid;

/// The boxed future of a transaction's work. It borrows the transaction (`'cx`), and may borrow from the code that
/// waits for the transaction (`'env`), which it therefore needs no copies of.
pub type Steps<'cx, 'env, T> = Pin<Box<dyn Step<'cx, 'env, T> + 'cx>>;

/// A future that can be sent to another thread. `Outlives` states that `'env` outlives every `'cx`, which can't be
/// written in the `for<'cx>` of a closure.
pub trait Step<'cx, 'env, T, Outlives = &'cx &'env ()>: Future<Output = T> + Send {}

impl<'cx, 'env, T, F: Future<Output = T> + Send> Step<'cx, 'env, T> for F {}

tokio::task_local! {
    static OPEN: ();
}

/// Whether this task is inside of [`Db::run`], so that waiting for anything but the database would keep a transaction
/// open. Code that calls other services uses it to refuse that.
pub fn in_transaction() -> bool {
    OPEN.try_with(|()| ()).is_ok()
}

impl Db {
    /// Runs `work` in a transaction of the module and commits it. After a serialization failure or a deadlock it is
    /// run again, as often as the engine's own journeys: any effect of `work` outside of the database is then
    /// repeated.
    ///
    /// ```ignore
    /// let cart = &cart;
    /// db.run("tickets", Some(&member), member.request_id, |cx| {
    ///     Box::pin(async move { hold(cx, cart).await })
    /// })
    /// .await
    /// ```
    ///
    /// Not an async closure: the compiler does not see that the future of one can be sent to another thread, which
    /// handlers need.
    pub async fn run<'env, T>(
        &self,
        name: &'static str,
        on_behalf_of: Option<&Member>,
        request: Uuid,
        work: impl for<'cx> FnMut(&'cx mut Cx) -> Steps<'cx, 'env, Result<T>> + Send,
    ) -> Result<T> {
        let actor = on_behalf_of.map_or(Actor::Anonymous, |member| member.caller().actor);
        self.run_as(name, actor, request, work).await
    }

    /// Like [`Db::run`] on behalf of a member without a token, as [`Db::job_of_account`] is like [`Db::job`].
    pub async fn run_of_account<'env, T>(
        &self,
        name: &'static str,
        account: Uuid,
        request: Uuid,
        work: impl for<'cx> FnMut(&'cx mut Cx) -> Steps<'cx, 'env, Result<T>> + Send,
    ) -> Result<T> {
        let actor = Actor::User {
            id: account,
            session: None,
        };
        self.run_as(name, actor, request, work).await
    }

    async fn run_as<'env, T>(
        &self,
        name: &'static str,
        actor: Actor,
        request: Uuid,
        mut work: impl for<'cx> FnMut(&'cx mut Cx) -> Steps<'cx, 'env, Result<T>> + Send,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let mut cx = self.enter_job(name, actor, request).await?;
            let outcome = match OPEN.scope((), work(&mut cx)).await {
                Ok(done) => cx.commit().await.map(|()| done).map_err(Into::into),
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if try_again(&error, attempt) => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// Runs `work` in one read-only transaction of the module whose statements all see the same moment, so that
    /// figures of several statements agree. Since it conflicts with no other transaction, it runs only once.
    pub async fn snapshot<'env, T>(
        &self,
        name: &'static str,
        member: &Member,
        work: impl for<'cx> FnOnce(&'cx mut Cx) -> Steps<'cx, 'env, Result<T>> + Send,
    ) -> Result<T> {
        let mut cx = self.snapshot_of(name, member, member.request_id).await?;
        let shown = OPEN.scope((), work(&mut cx)).await?;
        cx.commit().await?;
        Ok(shown)
    }
}
