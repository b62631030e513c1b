//! The only way to the database: an actor and an open transaction that knows them.
//!
//! The pools are private. Code that runs SQL asks for a [`Cx`], and the database then holds every statement to the
//! rules of that actor.

mod ask;
mod connect;
mod enter;
mod lanes;
mod reader;
mod run;
mod writer;

pub(crate) use reader::{Question, Reader, Work};
pub use run::{Step, Steps, in_transaction};

use crate::{
    actor::{Actor, Facts},
    caller::Caller,
    config::DbConfig,
    error::{Error, Result},
    member::Member,
};
use connect::pool;
use enter::{enter, is_name, push_uuid};
use lanes::{Lane, Seat};
use secrecy::ExposeSecret;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, SqlSafeStr, pool::PoolConnection,
    postgres::PgTransactionManager, types::Json,
};
use sqlx_core::transaction::TransactionManager;
use std::{fmt::Write, sync::Arc};
use uuid::Uuid;

/// Times a transaction is run in all when the database asks to try again.
pub const ATTEMPTS: u32 = 3;

/// Handle on the pools. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pools: Arc<Pools>,
    /// False: the caller is not made known to the database. See [`Db::without_context`].
    context: bool,
}

struct Pools {
    request: PgPool,
    /// For searches, which may take long: they wait for each other instead of delaying other requests.
    search: PgPool,
    job: Option<PgPool>,
    /// Like `job`, for figures that members ask for, which may take long.
    figure: Option<PgPool>,
    /// Limits how many request connections the lists of one caller can use at a time.
    lists: Arc<Lane>,
    searches: Arc<Lane>,
    figures: Arc<Lane>,
}

/// Figures for `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    pub open: u32,
    pub idle: usize,
}

impl Db {
    /// Returns without waiting for a connection; `/readyz` reports when the database can be reached.
    pub fn connect(config: &DbConfig) -> Result<Self, sqlx::Error> {
        let url = config.url.expose_secret();
        let request = pool(config, url, "request", config.connections, None)?;
        let search = pool(
            config,
            url,
            "search",
            config.search_connections,
            Some(config.search_timeout),
        )?;
        let job_url = config.job_url.as_ref().map(|url| url.expose_secret());
        let job = job_url
            .map(|url| pool(config, url, "job", config.job_connections, None))
            .transpose()?;
        let (figures, timeout) = (config.figure_connections, Some(config.figure_timeout));
        let figure = job_url
            .map(|url| pool(config, url, "figure", figures, timeout))
            .transpose()?;
        Ok(Self {
            pools: Arc::new(Pools {
                request,
                search,
                job,
                figure,
                lists: Lane::of(config.connections, config.acquire_timeout),
                searches: Lane::of(config.search_connections, config.acquire_timeout),
                figures: Lane::of(config.figure_connections, config.acquire_timeout),
            }),
            context: true,
        })
    }

    /// The engine without transactions and without telling the database who is asking, to measure what it costs by
    /// itself: every statement runs alone. Only for a database whose tables have no policies; with policies every
    /// caller is treated as anonymous.
    pub fn without_context(self) -> Self {
        Self {
            context: false,
            ..self
        }
    }

    /// A transaction for reading as this caller with several statements. It counts in the caller's share of
    /// connections, as lists do. Anonymous callers need no context and get no transaction.
    pub async fn begin_read(&self, caller: &Caller) -> Result<Cx> {
        let seat = self.pools.lists.enter(caller).await?;
        let connection = self.pools.request.acquire().await?;
        let mut cx = self.begin_read_on(connection, caller, "read").await?;
        cx.seat = Some(seat);
        Ok(cx)
    }

    /// For reading on behalf of a member who is identified by a secret of theirs (such as a calendar address) instead
    /// of a token. The database checks that the account is good; the calling code must have checked the secret.
    /// `tests/src/house.rs` lists who may call this.
    pub async fn begin_read_of_account(&self, account: Uuid, request: Uuid) -> Result<Cx> {
        let actor = Actor::User {
            id: account,
            session: None,
        };
        let caller = Caller {
            actor,
            ..Caller::anonymous(request)
        };
        self.begin_read(&caller).await
    }

    /// For a module's search: like [`Db::begin_read`], but on the search connections, in the caller's share of them
    /// and with their shorter statement timeout.
    pub async fn begin_search(&self, caller: &Caller) -> Result<Cx> {
        let seat = self.pools.searches.enter(caller).await?;
        let connection = self.pools.search.acquire().await?;
        let mut cx = self.begin_read_on(connection, caller, "read").await?;
        cx.seat = Some(seat);
        Ok(cx)
    }

    async fn begin_read_on(
        &self,
        connection: PoolConnection<Postgres>,
        caller: &Caller,
        action: &'static str,
    ) -> Result<Cx> {
        if caller.actor == Actor::Anonymous {
            return Ok(stranger(connection, caller));
        }
        let text = enter("begin read only", caller, action);
        open(connection, text, caller).await
    }

    /// For writing as this caller; policies hold the transaction to `action`.
    pub async fn begin_write(&self, caller: &Caller, action: &'static str) -> Result<Cx> {
        if !is_name(action) {
            return Err(Error::internal(format!("not an action name: {action}")));
        }
        if !self.context {
            let connection = self.pools.request.acquire().await?;
            return Ok(stranger(connection, caller));
        }
        let text = enter("begin", caller, action);
        open(self.pools.request.acquire().await?, text, caller).await
    }

    /// For a module's own work: the tables it declares in `app.yaml`, for a member if there is one.
    pub async fn job(
        &self,
        name: &'static str,
        on_behalf_of: Option<&Member>,
        request: Uuid,
    ) -> Result<Cx> {
        let actor = on_behalf_of.map_or(Actor::Anonymous, |member| member.caller().actor);
        self.enter_job(name, actor, request).await
    }

    /// For work on behalf of a member without a token: a person who has just proven a password or a mailbox, or the
    /// member on whose behalf a job runs. The database checks that the account is active; the calling code must ensure
    /// that it is the right account. `tests/src/house.rs` lists the callers of this function.
    pub async fn job_of_account(
        &self,
        name: &'static str,
        account: Uuid,
        request: Uuid,
    ) -> Result<Cx> {
        let actor = Actor::User {
            id: account,
            session: None,
        };
        self.enter_job(name, actor, request).await
    }

    /// A read-only snapshot for figures that a module shows to a member: all statements see the database as it was at
    /// the first one. Figures may cover very many rows, so they run on connections of their own with a share for each
    /// caller, and sign-in and orders never wait for them.
    pub(crate) async fn snapshot_of(
        &self,
        name: &'static str,
        member: &Member,
        request: Uuid,
    ) -> Result<Cx> {
        let begin = "begin isolation level repeatable read read only";
        let seat = self.pools.figures.enter(member.caller()).await?;
        let pool = self.pools.figure.as_ref();
        let actor = member.caller().actor;
        let mut cx = self.enter_job_by(begin, pool, name, actor, request).await?;
        cx.seat = Some(seat);
        Ok(cx)
    }

    async fn enter_job(&self, name: &'static str, actor: Actor, request: Uuid) -> Result<Cx> {
        let pool = self.pools.job.as_ref();
        self.enter_job_by("begin", pool, name, actor, request).await
    }

    async fn enter_job_by(
        &self,
        begin: &'static str,
        pool: Option<&PgPool>,
        name: &'static str,
        actor: Actor,
        request: Uuid,
    ) -> Result<Cx> {
        let Some(pool) = pool else {
            return Err(Error::internal("no login for the job role is configured"));
        };
        if !is_name(name) {
            return Err(Error::internal(format!("not a module name: {name}")));
        }
        let mut text = String::with_capacity(200);
        text.push_str(begin);
        text.push_str("; select sec.enter_job('");
        text.push_str(name);
        text.push_str("', ");
        push_uuid(&mut text, actor.user());
        text.push_str(", ");
        push_uuid(&mut text, actor.session());
        let _ = write!(text, ", '{request}')");
        let caller = Caller {
            actor,
            request_id: request,
            ip: None,
        };
        let mut cx = open(pool.acquire().await?, text, &caller).await?;
        cx.module = Some(name);
        Ok(cx)
    }

    /// A connection of the job role without a module: policies show it no rows. For the functions of the job queue,
    /// each of which is a transaction by itself.
    pub(crate) async fn queue(&self) -> Result<PoolConnection<Postgres>> {
        match &self.pools.job {
            Some(pool) => Ok(pool.acquire().await?),
            None => Err(Error::internal("no login for the job role is configured")),
        }
    }

    /// Whether the database can be reached. For `/readyz`.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        self.pools.request.acquire().await?.ping().await
    }

    pub fn state(&self) -> PoolState {
        PoolState {
            open: self.pools.request.size(),
            idle: self.pools.request.num_idle(),
        }
    }

    /// Closes all connections. To be called after the last request.
    pub async fn close(&self) {
        self.pools.request.close().await;
        self.pools.search.close().await;
        for pool in [&self.pools.job, &self.pools.figure].into_iter().flatten() {
            pool.close().await;
        }
    }
}

/// A connection without a transaction, for an anonymous caller: no caller is set on it.
fn stranger(connection: PoolConnection<Postgres>, caller: &Caller) -> Cx {
    Cx {
        connection,
        actor: Actor::Anonymous,
        request: caller.request_id,
        open: false,
        module: None,
        enqueued: false,
        made: None,
        seat: None,
    }
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
    Ok(Cx {
        connection,
        actor: caller.actor,
        request: caller.request_id,
        open: true,
        module: None,
        enqueued: false,
        made: None,
        seat: None,
    })
}

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
