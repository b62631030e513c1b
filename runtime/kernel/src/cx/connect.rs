//! Connection pools, and the settings made on each connection before its first use. Knows no caller.

use crate::config::DbConfig;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Since when connections are replaced by new ones. `None`: they stay.
static REPLACED: Mutex<Option<Instant>> = Mutex::new(None);

/// While the whole database is read only, connecting anew does not help, so it is not done all the time.
const REPLACED_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// Connections that are open now are closed before their next use, because they lead to a database that takes no writes
/// any more: after a failover they may still lead to the former primary, or to a standby.
pub(crate) fn replace() {
    let mut since = REPLACED.lock().unwrap_or_else(PoisonError::into_inner);
    if since.is_none_or(|at| at.elapsed() >= REPLACED_AT_MOST_EVERY) {
        *since = Some(Instant::now());
    }
}

/// `timeout` is the statement timeout, if it differs from that of the role.
pub fn pool(
    config: &DbConfig,
    url: &str,
    name: &str,
    connections: u32,
    timeout: Option<Duration>,
) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .statement_cache_capacity(config.statement_cache)
        .application_name(name)
        .disable_statement_logging();
    let settings: Arc<str> = session_settings(timeout).into();
    let ping_after = config.ping_after_idle;
    Ok(PgPoolOptions::new()
        // Pools with a timeout of their own are for occasional statements.
        .min_connections(if config.opened_at_once && timeout.is_none() {
            connections
        } else {
            0
        })
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move {
                learn_types(connection).await?;
                sqlx::raw_sql(sqlx::AssertSqlSafe(settings.as_ref()))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .before_acquire(move |connection, state| {
            Box::pin(async move {
                if is_replaced(state.age) {
                    return Ok(false);
                }
                if state.idle_for > ping_after {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Whether a connection that was opened this long ago is to be replaced.
fn is_replaced(age: Duration) -> bool {
    let since = *REPLACED.lock().unwrap_or_else(PoisonError::into_inner);
    since.is_some_and(|at| age > at.elapsed())
}

/// Set after connecting and not as parameters of the connection, which poolers refuse or drop.
fn session_settings(statement_timeout: Option<Duration>) -> String {
    // Policies make plans large: planning a statement takes longer than running it, so each is planned once per
    // connection. JIT compilation pays off even less. Notices concern what callers write, and there may be one for
    // each row. The search path is that of the functions: those of checks have none of their own, and PostgreSQL would
    // plan them again whenever a request inserts a row itself and then through a function, or the other way round.
    let mut text = "set plan_cache_mode = force_generic_plan; set jit = off; set client_min_messages = warning; \
                    set search_path = pg_catalog, pg_temp"
        .to_owned();
    if let Some(timeout) = statement_timeout {
        text.push_str(&format!(
            "; set statement_timeout = {}",
            timeout.as_millis()
        ));
    }
    text
}

/// The driver looks up unknown types between preparing an unnamed statement and running it, which loses the statement
/// (SQLSTATE 26000). So the one such type that is selected is made known beforehand. The driver names it as PostgreSQL
/// does, without its schema only while that is in the search path.
async fn learn_types(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let question = "select to_regtype('public.geography') is not null";
    if sqlx::query_scalar(question)
        .fetch_one(&mut *connection)
        .await?
    {
        sqlx::query("select null::public.geography")
            .execute(connection)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_from_before_a_failover_are_replaced_once() {
        let hour = Duration::from_secs(60 * 60);
        assert!(!is_replaced(hour));
        replace();
        assert!(is_replaced(hour));
        assert!(!is_replaced(Duration::ZERO), "a new connection stays");
        let first = *REPLACED.lock().expect("no panic");
        replace();
        assert_eq!(*REPLACED.lock().expect("no panic"), first);
    }
}
