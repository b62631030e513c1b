//! Writing by one statement that is a transaction by itself: it sets the caller, makes the change, and is committed.
//!
//! One round trip instead of three. Only for changes that are a single statement: a change with a hook, an idempotency
//! key or something to read afterwards begins a transaction.

use super::{Db, enter::push_condition};
use crate::caller::Caller;
use sqlx::{
    AssertSqlSafe, SqlSafeStr,
    error::BoxDynError,
    postgres::{PgArguments, PgRow},
};

impl Db {
    /// Returns the row that a change of [`crate::resource.Sql`] returns, once it is committed; `None`: no row was
    /// changed. Fails also if a deferred constraint is violated.
    pub(crate) async fn write(
        &self,
        caller: &Caller,
        action: &'static str,
        text: &'static str,
        mut arguments: PgArguments,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let text = match self.context {
            true => {
                let text = with_caller(text, caller, action, &mut arguments);
                AssertSqlSafe(text.map_err(sqlx::Error::Encode)?).into_sql_str()
            }
            false => text.into_sql_str(),
        };
        let mut connection = self.pools.request.acquire().await?;
        sqlx::query_with(text, arguments)
            .fetch_optional(&mut *connection)
            .await
    }
}

/// `text` with `sec.enter` as a condition that names no row: it is evaluated before the first row is read or made (a
/// one-time filter below the change), so that defaults, policies and triggers know the caller.
fn with_caller(
    text: &str,
    caller: &Caller,
    action: &'static str,
    arguments: &mut PgArguments,
) -> Result<String, BoxDynError> {
    let (change, columns) = (text.split_once("returning "))
        .ok_or("a change that gives nothing back cannot tell whether it was made")?;
    let mut whole = String::with_capacity(text.len() + 90);
    whole.push_str(change);
    whole.push_str(match change.starts_with("insert ") {
        true => "where ",
        false => "and ",
    });
    push_condition(&mut whole, caller, action, arguments)?;
    whole.push_str(" returning ");
    whole.push_str(columns);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use uuid::Uuid;

    fn with_caller(text: &str) -> Result<String, BoxDynError> {
        let caller = Caller {
            actor: Actor::Anonymous,
            request_id: Uuid::nil(),
            ip: None,
        };
        super::with_caller(text, &caller, "update", &mut PgArguments::default())
    }

    #[test]
    fn the_condition_stands_before_what_is_given_back() {
        assert_eq!(
            with_caller("insert into app.things (title) select $1 returning id").unwrap(),
            "insert into app.things (title) select $1 where (select sec.enter($1, $2, $3, $4) is not null) returning id"
        );
        assert_eq!(
            with_caller("update app.things set title = $1 where id = $2 returning id").unwrap(),
            "update app.things set title = $1 where id = $2 and (select sec.enter($1, $2, $3, $4) is not null) returning id"
        );
        assert!(with_caller("delete from app.things").is_err());
    }
}
