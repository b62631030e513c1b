//! Reading without a transaction around several statements: each statement tells the database who the caller is, and
//! then reads.
//!
//! One round trip instead of three (context, statement, rollback). A statement by itself is a transaction, so
//! what `sec.enter` says ends with it, as it does with a transaction that was begun.

use super::{Cx, Db, enter::push_condition, lanes::Seat};
use crate::{
    actor::Actor,
    caller::Caller,
    error::{Error, Result},
};
use sqlx::{
    AssertSqlSafe, Postgres, SqlSafeStr,
    error::BoxDynError,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
};
use std::borrow::Cow;

/// A connection for one caller's reading. Code that needs several statements to see the same moment
/// [begins](Reader::begin).
pub(crate) struct Reader {
    db: Db,
    connection: PoolConnection<Postgres>,
    caller: Caller,
    /// The action that the reading is for; it decides whether archived rows are shown to callers who may restore them.
    action: &'static str,
    /// Declared last, so that it is given back after the connection.
    seat: Option<Seat>,
}

/// What a caller's share of connections depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// By id: always short.
    One,
    List,
    /// Words, places, counts.
    Search,
}

/// A `select` with its arguments.
pub(crate) struct Question {
    pub text: Cow<'static, str>,
    pub arguments: PgArguments,
    /// Whether the statement is worth a place in the cache of prepared statements even if it is asked only once.
    pub keep: bool,
}

impl Db {
    /// A reader for this caller, usually for a single statement.
    pub(crate) async fn read(&self, caller: &Caller, work: Work) -> Result<Reader> {
        self.reader(caller, work, "read").await
    }

    /// A reader for archived rows that this caller may restore.
    pub(crate) async fn read_archived(&self, caller: &Caller) -> Result<Reader> {
        self.reader(caller, Work::List, "restore").await
    }

    async fn reader(&self, caller: &Caller, work: Work, action: &'static str) -> Result<Reader> {
        let (pool, seat) = match work {
            Work::One => (&self.pools.request, None),
            Work::List => (
                &self.pools.request,
                Some(self.pools.lists.enter(caller).await?),
            ),
            Work::Search => (
                &self.pools.search,
                Some(self.pools.searches.enter(caller).await?),
            ),
        };
        Ok(Reader {
            db: self.clone(),
            connection: pool.acquire().await?,
            caller: *caller,
            action,
            seat,
        })
    }
}

impl Reader {
    pub async fn fetch(&mut self, question: Question) -> Result<Vec<PgRow>> {
        let Question {
            text,
            mut arguments,
            keep,
        } = question;
        let text = match self.caller.actor {
            Actor::Anonymous => text,
            Actor::User { .. } => {
                let text = with_caller(&text, &self.caller, self.action, &mut arguments);
                text.map_err(Error::internal)?.into()
            }
        };
        let keep = keep || self.db.pools.recurring.again(&text);
        let text = match text {
            Cow::Borrowed(text) => text.into_sql_str(),
            Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
        };
        let query = sqlx::query_with(text, arguments);
        Ok(query
            .persistent(keep)
            .fetch_all(&mut *self.connection)
            .await?)
    }

    /// Begins a transaction on the same connection, for several statements.
    pub async fn begin(self) -> Result<Cx> {
        let mut cx = self
            .db
            .begin_read_on(self.connection, &self.caller, self.action)
            .await?;
        cx.seat = self.seat;
        Ok(cx)
    }
}

/// `text` with `sec.enter` as a condition that names no row: it is evaluated before the first row of any table is read
/// (a one-time filter on top of the plan). Conditions of policies on the caller are evaluated when a row first needs
/// them; any earlier, they would see an anonymous caller.
fn with_caller(
    text: &str,
    caller: &Caller,
    action: &'static str,
    arguments: &mut PgArguments,
) -> Result<String, BoxDynError> {
    let mut whole = String::with_capacity(text.len() + 120);
    whole.push_str("select answer.* from (");
    whole.push_str(text);
    whole.push_str(") as answer where ");
    push_condition(&mut whole, caller, action, arguments)?;
    Ok(whole)
}
