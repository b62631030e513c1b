//! The connection that runs migrations: its role, its time limits, its lock.
//!
//! A separate connection, so that a lock or a changed time limit ends with it.

use super::{Error, Limits, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use std::time::Duration;

/// Takes the lock that only one process migrating this database can hold.
pub async fn open(database: &PgConnectOptions, limits: &Limits) -> Result<PgConnection> {
    let mut conn = connect(database, limits).await?;
    may_migrate(&mut conn).await?;
    lock(&mut conn, limits).await?;
    Ok(conn)
}

/// A concurrent index build that fails leaves an invalid index behind, which still occupies its name. Only what this
/// migration builds is dropped: another index may be one that somebody else is building at the moment.
pub async fn drop_unfinished_indexes(conn: &mut PgConnection, migration: &str) -> Result<()> {
    let left: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, format('%I.%I', n.nspname, c.relname) from pg_index i \
         join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace \
         where not i.indisvalid and n.nspname not like 'pg\\_%'",
    )
    .fetch_all(&mut *conn)
    .await?;
    let word = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    for (name, index) in left {
        if !migration.split(word).any(|found| found == name) {
            continue;
        }
        let sql = format!("drop index concurrently {index}");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

async fn connect(database: &PgConnectOptions, limits: &Limits) -> Result<PgConnection> {
    let options = database
        .clone()
        .application_name("migrate")
        .disable_statement_logging();
    let mut conn = options.connect().await?;
    // Set by statements, because poolers refuse or drop parameters of the connection.
    let settings = format!(
        "set lock_timeout = {}; set statement_timeout = {}; set idle_in_transaction_session_timeout = 0; set search_path = public",
        limits.lock_timeout.as_millis(),
        limits.statement_timeout.as_millis()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(settings))
        .execute(&mut conn)
        .await?;
    Ok(conn)
}

async fn may_migrate(conn: &mut PgConnection) -> Result<()> {
    let (role, free): (String, bool) =
        sqlx::query_as("select current_user::text, rolsuper or rolbypassrls from pg_roles where rolname = current_user")
            .fetch_one(conn)
            .await?;
    if free { Ok(()) } else { Err(Error::Role(role)) }
}

/// `migrate` as a number. Advisory locks are per database, so other databases are not affected.
const LOCK: i64 = 0x006d_6967_7261_7465;

async fn lock(conn: &mut PgConnection, limits: &Limits) -> Result<()> {
    let start = std::time::Instant::now();
    loop {
        let got: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *conn)
            .await?;
        if got {
            return Ok(());
        }
        if start.elapsed() > limits.patience {
            return Err(Error::Busy);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
