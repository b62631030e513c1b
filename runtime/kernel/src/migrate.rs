//! Migrates a database to the version of the program, and back.
//!
//! Knows sqlx's migrator and a list of texts; knows no table.

mod session;

use std::borrow::Cow;
use std::time::Duration;

use sha2::{Digest, Sha384};
use sqlx::migrate::{MigrateError, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, SqlSafeStr};

/// One entry of the generated list.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: i64,
    pub description: &'static str,
    /// False: the statement refuses to run inside a transaction.
    pub transaction: bool,
    pub up: &'static str,
    pub down: &'static str,
    /// SHA-384 of `up` in hex, what sqlx keeps in the database.
    pub checksum: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A migration that waits longer for a lock gives up, so that other statements do not queue behind it for long …
    pub lock_timeout: Duration,
    /// … and is retried this often.
    pub attempts: u32,
    pub statement_timeout: Duration,
    /// How long to wait for another run of migrations on the same database.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            lock_timeout: Duration::from_secs(5),
            attempts: 5,
            statement_timeout: Duration::from_secs(60 * 60),
            patience: Duration::from_secs(60),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the database has run migration {0}, which this program does not know: it is older than the database"
    )]
    Ahead(i64),
    #[error(
        "migration {0} is not what the database has run under that number: it was changed afterwards"
    )]
    Edited(i64),
    #[error(
        "the text of migration {0} is not what was generated: was the file changed on the way here?"
    )]
    Corrupt(i64),
    #[error("migration {0} has not run, but {1} has: migrations run in their order")]
    OutOfOrder(i64, i64),
    #[error("there is no migration {0}")]
    Unknown(i64),
    #[error("another run of migrations has been going on for too long")]
    Busy,
    #[error(
        "the role `{0}` is held to row-level security: it would fill no rows and report success; migrate as a superuser, \
         or as a role with BYPASSRLS if no step needs more"
    )]
    Role(String),
    #[error("migration {version}: {source}")]
    Failed { version: i64, source: sqlx::Error },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Migrate(MigrateError),
}

pub type Result<T> = std::result::Result<T, Error>;

/// Runs the pending migrations. Returns their versions, in order.
pub async fn up(
    database: &PgConnectOptions,
    list: &[Migration],
    limits: &Limits,
) -> Result<Vec<i64>> {
    let Some(newest) = list.iter().map(|m| m.version).max() else {
        return Ok(Vec::new());
    };
    up_to(database, list, newest, limits).await
}

pub async fn up_to(
    database: &PgConnectOptions,
    list: &[Migration],
    target: i64,
    limits: &Limits,
) -> Result<Vec<i64>> {
    let migrator = migrator(list)?;
    let mut conn = session::open(database, limits).await?;
    let waiting: Vec<&Migration> = waiting(list, &applied(&mut conn).await?)?
        .into_iter()
        .filter(|m| m.version <= target)
        .collect();
    let mut done = Vec::new();
    for migration in waiting {
        if !migration.transaction {
            session::drop_unfinished_indexes(&mut conn, migration.up).await?;
        }
        let mut attempt = 1;
        while let Err(error) = migrator.run_to(migration.version, &mut conn).await {
            retry(error, attempt, limits).await?;
            attempt += 1;
        }
        tracing::info!(
            version = migration.version,
            what = migration.description,
            "migrated"
        );
        done.push(migration.version);
    }
    conn.close().await?;
    Ok(done)
}

/// Reverts everything above `target` (0: everything). Returns the versions, newest first.
pub async fn down(
    database: &PgConnectOptions,
    list: &[Migration],
    target: i64,
    limits: &Limits,
) -> Result<Vec<i64>> {
    if target != 0 && !list.iter().any(|m| m.version == target) {
        return Err(Error::Unknown(target));
    }
    let migrator = migrator(list)?;
    let mut conn = session::open(database, limits).await?;
    let applied = applied(&mut conn).await?;
    waiting(list, &applied)?;
    let mut done = Vec::new();
    for version in applied
        .iter()
        .rev()
        .map(|a| a.version)
        .filter(|v| *v > target)
    {
        let below = list
            .iter()
            .map(|m| m.version)
            .filter(|v| *v < version)
            .max()
            .unwrap_or(0);
        let mut attempt = 1;
        while let Err(error) = migrator.undo(&mut conn, below).await {
            retry(error, attempt, limits).await?;
            attempt += 1;
        }
        tracing::info!(version, "migration taken back");
        done.push(version);
    }
    conn.close().await?;
    Ok(done)
}

/// The migrations that `up` would run. Changes nothing, so a health check may call it.
pub async fn pending<'a>(
    conn: &mut PgConnection,
    list: &'a [Migration],
) -> Result<Vec<&'a Migration>> {
    let applied = applied(conn).await?;
    waiting(list, &applied)
}

struct Applied {
    version: i64,
    checksum: Vec<u8>,
}

/// The pending migrations, after checking that those that have run are the ones of the list.
fn waiting<'a>(list: &'a [Migration], applied: &[Applied]) -> Result<Vec<&'a Migration>> {
    for run in applied {
        let known = list
            .iter()
            .find(|m| m.version == run.version)
            .ok_or(Error::Ahead(run.version))?;
        if checksum(known)? != run.checksum {
            return Err(Error::Edited(run.version));
        }
    }
    let newest = applied.iter().map(|a| a.version).max().unwrap_or(0);
    let mut waiting: Vec<&Migration> = list
        .iter()
        .filter(|m| !applied.iter().any(|a| a.version == m.version))
        .collect();
    waiting.sort_by_key(|m| m.version);
    match waiting.first() {
        Some(first) if first.version < newest => Err(Error::OutOfOrder(first.version, newest)),
        _ => Ok(waiting),
    }
}

/// The checksum of the text, if it equals the one recorded when the migration was generated.
fn checksum(migration: &Migration) -> Result<Vec<u8>> {
    let digest = Sha384::digest(migration.up).to_vec();
    let written: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if written == migration.checksum {
        Ok(digest)
    } else {
        Err(Error::Corrupt(migration.version))
    }
}

fn migrator(list: &[Migration]) -> Result<Migrator> {
    let mut both = Vec::with_capacity(list.len() * 2);
    for migration in list {
        let entry = |migration_type, sql: &'static str, no_tx| -> Result<_> {
            Ok(sqlx::migrate::Migration {
                version: migration.version,
                description: Cow::Borrowed(migration.description),
                migration_type,
                sql: sql.into_sql_str(),
                checksum: Cow::Owned(checksum(migration)?),
                no_tx,
            })
        };
        both.push(entry(
            MigrationType::ReversibleUp,
            migration.up,
            !migration.transaction,
        )?);
        both.push(entry(MigrationType::ReversibleDown, migration.down, false)?);
    }
    let mut migrator = Migrator::with_migrations(both);
    // sqlx would wait for its lock inside a statement, whose snapshot a concurrent index build would have to wait for
    // in turn. So the lock is taken by trying again and again.
    migrator.set_locking(false);
    Ok(migrator)
}

async fn applied(conn: &mut PgConnection) -> Result<Vec<Applied>> {
    let there: bool =
        sqlx::query_scalar("select to_regclass('public._sqlx_migrations') is not null")
            .fetch_one(&mut *conn)
            .await?;
    if !there {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select version, checksum from public._sqlx_migrations order by version")
            .fetch_all(conn)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(version, checksum)| Applied { version, checksum })
        .collect())
}

/// Only a lock timeout is worth another try.
async fn retry(error: MigrateError, attempt: u32, limits: &Limits) -> Result<()> {
    let waited = match &error {
        MigrateError::ExecuteMigration(source, _) => source
            .as_database_error()
            .and_then(|e| e.code())
            .is_some_and(|code| code == "55P03"),
        _ => false,
    };
    if !waited || attempt >= limits.attempts {
        return Err(match error {
            MigrateError::ExecuteMigration(source, version) => Error::Failed { version, source },
            other => Error::Migrate(other),
        });
    }
    tracing::warn!(attempt, "a migration waited in vain for a lock");
    tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(version: i64, checksum: &'static str) -> Migration {
        Migration {
            version,
            description: "test",
            transaction: true,
            up: "",
            down: "",
            checksum,
        }
    }

    /// The checksum of the empty text.
    const EMPTY: &str = "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b";

    fn run(version: i64) -> Applied {
        Applied {
            version,
            checksum: Sha384::digest("").to_vec(),
        }
    }

    #[test]
    fn what_has_not_run_waits_in_order() {
        let list = [
            migration(2, EMPTY),
            migration(1, EMPTY),
            migration(3, EMPTY),
        ];
        let versions: Vec<i64> = waiting(&list, &[run(1)])
            .unwrap()
            .iter()
            .map(|m| m.version)
            .collect();
        assert_eq!(versions, [2, 3]);
    }

    #[test]
    fn a_database_that_is_ahead_is_refused() {
        assert!(matches!(
            waiting(&[migration(1, EMPTY)], &[run(1), run(2)]),
            Err(Error::Ahead(2))
        ));
    }

    #[test]
    fn a_gap_is_refused() {
        let list = [migration(1, EMPTY), migration(2, EMPTY)];
        assert!(matches!(
            waiting(&list, &[run(2)]),
            Err(Error::OutOfOrder(1, 2))
        ));
    }

    #[test]
    fn a_changed_text_is_refused() {
        let other = Applied {
            version: 1,
            checksum: vec![1],
        };
        assert!(matches!(
            waiting(&[migration(1, EMPTY)], &[other]),
            Err(Error::Edited(1))
        ));
        assert!(matches!(
            migrator(&[migration(1, "00")]),
            Err(Error::Corrupt(1))
        ));
    }
}
