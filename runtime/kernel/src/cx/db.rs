//! The pools of connections, and the transactions that begin on them: for requests, for searches, for modules.

use super::{
    Cx,
    connect::{self, pool},
    enter::{enter, is_name, push_uuid},
    lanes::Lane,
    open,
    recurring::Recurring,
    stranger,
};
use crate::{
    actor::Actor,
    caller::Caller,
    config::DbConfig,
    error::{Error, Result},
    member::Member,
};
use secrecy::ExposeSecret;
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use std::{fmt::Write, sync::Arc};
use uuid::Uuid;

/// Handle on the pools. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pub(super) pools: Arc<Pools>,
    /// False: the caller is not made known to the database. See [`Db::without_context`].
    pub(super) context: bool,
}

pub(super) struct Pools {
    pub(super) request: PgPool,
    /// For searches, which may take long: they wait for each other instead of delaying other requests.
    pub(super) search: PgPool,
    job: Option<PgPool>,
    /// Like `job`, for figures that members ask for, which may take long.
    figure: Option<PgPool>,
    /// Limits how many request connections the lists of one caller can use at a time.
    pub(super) lists: Arc<Lane>,
    pub(super) searches: Arc<Lane>,
    figures: Arc<Lane>,
    pub(super) recurring: Recurring,
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
                recurring: Recurring::new(),
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

    pub(super) async fn begin_read_on(
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

    pub(super) async fn enter_job(
        &self,
        name: &'static str,
        actor: Actor,
        request: Uuid,
    ) -> Result<Cx> {
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

    /// Whether requests can be answered: both logins are let in, and the database takes writes. For `/readyz`.
    pub async fn ready(&self) -> Result<(), String> {
        let says = |error: sqlx::Error| error.to_string();
        let mut writes = takes_writes(&self.pools.request).await.map_err(says)?;
        if let Some(pool) = &self.pools.job {
            writes &= match takes_writes(pool).await {
                // All of them are in use, so the login works.
                Err(sqlx::Error::PoolTimedOut) => true,
                answer => answer.map_err(says)?,
            };
        }
        writes
            .then_some(())
            .ok_or_else(|| "it is read only".to_owned())
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

/// A standby, or a primary that has become one, does not. Its connections are replaced, so that they lead to the new
/// primary.
async fn takes_writes(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let text = "select pg_catalog.current_setting('transaction_read_only')::boolean";
    let is_read_only: bool = sqlx::query_scalar(text)
        .fetch_one(&mut *pool.acquire().await?)
        .await?;
    if is_read_only {
        connect::replace();
    }
    Ok(!is_read_only)
}
