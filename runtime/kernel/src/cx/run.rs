//! A module's transaction, run again when it lost against another.

use super::{Cx, Db};
use crate::{error::Result, journey::try_again, member::Member};
use uuid::Uuid;

impl Db {
    /// Runs `work` in a transaction of the module and commits it. A serialization failure or a deadlock has it run again,
    /// as often as the engine's own journeys: whatever `work` does outside of the database, it does again then.
    ///
    /// ```ignore
    /// db.run("tickets", Some(&member), member.request_id, async |cx| hold(cx, event).await).await
    /// ```
    pub async fn run<T>(
        &self,
        name: &'static str,
        on_behalf_of: Option<&Member>,
        request: Uuid,
        mut work: impl AsyncFnMut(&mut Cx) -> Result<T>,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let mut cx = self.job(name, on_behalf_of, request).await?;
            let outcome = match work(&mut cx).await {
                Ok(done) => cx.commit().await.map(|()| done).map_err(Into::into),
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if try_again(&error, attempt) => attempt += 1,
                outcome => return outcome,
            }
        }
    }
}
