//! Questions of code about access rules: what the policies would decide about one row.
//!
//! A module bypasses the rules for members, so it asks about them when it works for a member: `sec.may_<entity>` and
//! `sec.holds_<entity>` are generated from the same rules as the policies.

use super::Cx;
use crate::{
    error::{Error, Result},
    resource::Resource,
};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

impl Cx {
    /// Whether the actor may do this to the row: `read`, `update`, `archive`, `restore`, `suspend`, `unsuspend` or the
    /// verb of a transition. Without an actor, the question is about an anonymous caller.
    pub async fn may(&mut self, entity: &Resource, action: &'static str, id: Uuid) -> Result<bool> {
        self.ask("may", entity, action, id).await
    }

    /// Whether the actor sees the row and this condition of its `access:` holds for it: `staff`, `guest`, …
    pub async fn holds(
        &mut self,
        entity: &Resource,
        condition: &'static str,
        id: Uuid,
    ) -> Result<bool> {
        self.ask("holds", entity, condition, id).await
    }

    /// Fails as the engine would: 404 for a row that the actor does not see, 401 or 403 for one that they may not
    /// change.
    pub async fn require(
        &mut self,
        entity: &Resource,
        action: &'static str,
        id: Uuid,
    ) -> Result<()> {
        if self.may(entity, action, id).await? {
            return Ok(());
        }
        let seen = action != "read" && self.may(entity, "read", id).await?;
        Err(match (seen, self.actor.user()) {
            (false, _) => Error::not_found(),
            (true, None) => Error::unauthenticated(),
            (true, Some(_)) => Error::forbidden(),
        })
    }

    async fn ask(
        &mut self,
        question: &'static str,
        entity: &Resource,
        what: &'static str,
        id: Uuid,
    ) -> Result<bool> {
        let text = format!("select sec.{question}_{}($1, $2)", entity.name);
        let asked = sqlx::query_scalar(AssertSqlSafe(text)).bind(id).bind(what);
        Ok(asked.fetch_one(self.conn()).await?)
    }
}
