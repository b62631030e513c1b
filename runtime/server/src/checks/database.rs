//! What is checked in the database before the server answers requests: both logins have the right roles, and the schema
//! enforces its rules.

use anyhow::{Context, Result, bail};
use generated::migrations::MIGRATIONS;
use kernel::{config::DbConfig, migrate};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, Connection, PgConnection, Row, postgres::PgConnectOptions};

/// What is wrong in the catalogue of a database: one row per finding.
pub const CATALOGUE: &str = include_str!("catalogue.sql");

/// Fails with the first thing that is not as it has to be.
pub async fn database(config: &DbConfig) -> Result<()> {
    let (requests, jobs) =
        tokio::try_join!(request_role(&config.url), job_role(config.job_url.as_ref()))?;
    if jobs.is_some_and(|jobs| jobs != requests) {
        bail!(
            "APP_DATABASE_URL and JOB_DATABASE_URL lead to different databases: members would sign in to one of them, and \
             work in the other"
        );
    }
    Ok(())
}

/// What tells one database from all others.
type Place = (i64, String);

async fn place(connection: &mut PgConnection) -> Result<Place> {
    let place = sqlx::query_as(
        "select oid::bigint, pg_postmaster_start_time()::text from pg_database where datname = current_database()",
    );
    Ok(place.fetch_one(connection).await?)
}

async fn request_role(url: &SecretString) -> Result<Place> {
    let setting = "APP_DATABASE_URL";
    sessions(url, setting).await?;
    let mut connection = connect(url, setting).await?;
    login(&mut connection, setting, "culturepass_app").await?;
    migrations(&mut connection).await?;
    clock(&mut connection).await?;
    let place = place(&mut connection).await?;
    let findings: Vec<String> = sqlx::query_scalar(CATALOGUE)
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    if !findings.is_empty() {
        bail!(
            "the database does not hold the server's roles to its rules; it was changed by hand, or is not the one that \
             was migrated:\n  {}",
            findings.join("\n  ")
        );
    }
    Ok(place)
}

/// A larger difference than tokens tolerate: those of this server would be refused by others, or the other way round.
const CLOCKS_DIFFER: f64 = 5.0;

async fn clock(connection: &mut PgConnection) -> Result<()> {
    let there: f64 = sqlx::query_scalar("select extract(epoch from clock_timestamp())::float8")
        .fetch_one(connection)
        .await?;
    let seconds = chrono::Utc::now().timestamp_millis() as f64 / 1e3 - there;
    if seconds.abs() > CLOCKS_DIFFER {
        tracing::warn!(
            seconds,
            "the clock of this server is not that of the database; keep both in step (NTP)"
        );
    }
    Ok(())
}

async fn job_role(url: Option<&SecretString>) -> Result<Option<Place>> {
    let Some(url) = url else { return Ok(None) };
    let setting = "JOB_DATABASE_URL";
    sessions(url, setting).await?;
    let mut connection = connect(url, setting).await?;
    login(&mut connection, setting, "culturepass_job").await?;
    let place = place(&mut connection).await?;
    connection.close().await?;
    Ok(Some(place))
}

/// A pooler that gives each transaction another session would run a statement that was prepared for one request as
/// another one, with whatever values fit it.
async fn sessions(url: &SecretString, setting: &'static str) -> Result<()> {
    let mut one = connect(url, setting).await?;
    let mut other = connect(url, setting).await?;
    let before = session(&mut one).await?;
    // Keeps the session that such a pooler would give to the next one who asks.
    sqlx::raw_sql("begin").execute(&mut other).await?;
    let (there, after) = (session(&mut other).await?, session(&mut one).await?);
    sqlx::raw_sql("rollback").execute(&mut other).await?;
    one.close().await?;
    other.close().await?;
    if before == there || before != after {
        bail!(
            "{setting} leads to a pooler that gives each transaction another session, but statements are prepared once \
             per session: use `pool_mode = session`, or no pooler"
        );
    }
    Ok(())
}

/// Which process of the database answers. Without a prepared statement, on which such a pooler may stumble.
async fn session(connection: &mut PgConnection) -> Result<i32> {
    let row = sqlx::raw_sql("select pg_backend_pid()")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

async fn connect(url: &SecretString, setting: &'static str) -> Result<PgConnection> {
    let options: PgConnectOptions = url.expose_secret().parse().context(setting)?;
    options
        .disable_statement_logging()
        .connect()
        .await
        .with_context(|| format!("{setting}: the database can't be reached"))
}

/// A login that can bypass row-level security may not answer requests. Neither may that of the other role, which has
/// other rights.
async fn login(connection: &mut PgConnection, setting: &str, intended: &str) -> Result<()> {
    let (role, superuser, bypasses, owns, fits): (String, bool, bool, bool, bool) = sqlx::query_as(
        "select r.rolname::text, r.rolsuper, r.rolbypassrls,
                exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                        where n.nspname in ('app', 'audit', 'jobs', 'requests', 'counters') and pg_has_role(r.oid, c.relowner, 'member')),
                exists (select 1 from pg_roles i where i.rolname = $1 and pg_has_role(r.oid, i.oid, 'member'))
         from pg_roles r where r.rolname = current_user",
    )
    .bind(intended)
    .fetch_one(connection)
    .await?;
    let why = match (superuser, bypasses, owns) {
        (true, _, _) => "is a superuser",
        (_, true, _) => "bypasses row-level security",
        (_, _, true) => "owns tables, or may become who does",
        _ if !fits => bail!("{setting} is the login of {role}; it has to be that of {intended}"),
        _ => return Ok(()),
    };
    bail!(
        "{setting}: the role {role} {why}, so no rule of the database would hold it; use the logins that \
         `culturepass migrate roles` writes"
    )
}

async fn migrations(connection: &mut PgConnection) -> Result<()> {
    let pending = match migrate::pending(connection, MIGRATIONS).await {
        // While a release is rolled out, or taken back, processes of the former one start again.
        Err(migrate::Error::Ahead(version)) => {
            tracing::warn!(
                version,
                "the database has run a migration that this program does not know: it is older than the database"
            );
            return Ok(());
        }
        pending => pending.context("the state of the migrations")?,
    };
    match pending.first() {
        None => Ok(()),
        Some(first) => bail!(
            "the database is behind this program by {} migrations, from {} on; run `culturepass migrate up`",
            pending.len(),
            first.version
        ),
    }
}
