//! The only way to the database: an actor and an open transaction that knows them.
//!
//! The pools are private. Code that runs SQL asks for a [`Cx`], and the database then holds every statement to the
//! rules of that actor.

mod ask;
pub(crate) mod connect;
mod db;
mod enter;
mod lanes;
mod reader;
mod recurring;
mod run;
mod writer;

pub use db::{Db, PoolState};
pub(crate) use reader::{Question, Reader, Work};
pub use run::{Step, Steps, in_transaction};

use crate::{
    actor::{Actor, Facts},
    caller::Caller,
    error::{Error, Result},
};
use lanes::Seat;
use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, SqlSafeStr, pool::PoolConnection,
    postgres::PgTransactionManager, types::Json,
};
use sqlx_core::transaction::TransactionManager;
use uuid::Uuid;

/// Times a transaction is run in all when the database asks to try again.
pub const ATTEMPTS: u32 = 3;

/// An actor and their transaction. If it is dropped without `commit`, the transaction is rolled back.
pub struct Cx {
    connection: PoolConnection<Postgres>,
    actor: Actor,
    request: Uuid,
    open: bool,
    /// The module whose job this is; `None`: a request.
    module: Option<&'static str>,
    /// Whether jobs were enqueued that become visible when this transaction commits.
    enqueued: bool,
    /// The object that this transaction creates together with objects below it.
    made: Option<Uuid>,
    /// The caller's share of connections for slow work. Given back after the connection.
    seat: Option<Seat>,
}

impl Cx {
    /// `open`: a transaction has begun on the connection.
    fn new(connection: PoolConnection<Postgres>, actor: Actor, request: Uuid, open: bool) -> Self {
        Self {
            connection,
            actor,
            request,
            open,
            module: None,
            enqueued: false,
            made: None,
            seat: None,
        }
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn request_id(&self) -> Uuid {
        self.request
    }

    /// Whether this transaction creates the object, so that objects that are created with it need no look at it.
    pub fn has_made(&self, id: Uuid) -> bool {
        self.made == Some(id)
    }

    pub(crate) fn note_made(&mut self, id: Uuid) {
        self.made = Some(id);
    }

    pub(crate) fn module(&self) -> Option<&'static str> {
        self.module
    }

    /// Continues as another module in the same transaction and returns the module it was before, so that work of two
    /// modules commits or rolls back together. Only a transaction of a module may do this.
    pub async fn work_as(&mut self, name: &'static str) -> Result<&'static str> {
        let Some(before) = self.module else {
            return Err(Error::internal("a request does not work as a module"));
        };
        sqlx::query("select set_config('app.job', $1, true)")
            .bind(name)
            .execute(self.conn())
            .await?;
        self.module = Some(name);
        Ok(before)
    }

    /// The worker of this process looks for new jobs once this is committed.
    pub(crate) fn has_enqueued(&mut self) {
        self.enqueued = true;
    }

    /// What statements run on: `sqlx::query("…").execute(cx.conn())`.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The roles of the actor, as the database sees them in this transaction.
    pub async fn facts(&mut self) -> Result<Facts, sqlx::Error> {
        if self.actor == Actor::Anonymous {
            return Ok(Facts::default());
        }
        let Json(facts) = sqlx::query_scalar("select sec.facts()")
            .fetch_one(self.conn())
            .await?;
        Ok(facts)
    }

    /// A text that the audit log stores with the changes of this transaction.
    pub async fn set_reason(&mut self, reason: &str) -> Result<(), sqlx::Error> {
        sqlx::query("select sec.set_reason($1)")
            .bind(reason)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Deferred constraints are checked here and may refuse.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        if self.open {
            PgTransactionManager::commit(&mut self.connection).await?;
            self.open = false;
            if self.enqueued {
                crate::jobs::wake();
            }
        }
        Ok(())
    }
}

impl Drop for Cx {
    /// The rollback rides on the ping with which the pool takes the connection back.
    fn drop(&mut self) {
        if self.open {
            PgTransactionManager::start_rollback(&mut self.connection);
        }
    }
}

/// A connection without a transaction, for an anonymous caller: no caller is set on it.
fn stranger(connection: PoolConnection<Postgres>, caller: &Caller) -> Cx {
    Cx::new(connection, Actor::Anonymous, caller.request_id, false)
}

async fn open(connection: PoolConnection<Postgres>, text: String, caller: &Caller) -> Result<Cx> {
    let mut entering = Entering(Some(connection));
    let connection = entering.connection();
    if let Err(error) =
        PgTransactionManager::begin(connection, Some(AssertSqlSafe(text).into_sql_str())).await
    {
        // `begin` itself has run when the context is refused
        if sqlx::raw_sql("rollback").execute(connection).await.is_ok() {
            entering.0.take();
        }
        return Err(error.into());
    }
    let connection = entering.0.take().expect("taken once");
    Ok(Cx::new(connection, caller.actor, caller.request_id, true))
}

/// A connection while `begin` runs on it. The driver counts a transaction as open only afterwards: when the future of
/// `begin` is dropped, the server may hold an open transaction with a caller's context that the driver knows nothing
/// of. Such a connection is closed, never returned to the pool.
struct Entering(Option<PoolConnection<Postgres>>);

impl Entering {
    fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("taken only at the end")
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
