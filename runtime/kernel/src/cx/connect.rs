//! Connection pools, and the settings made on each connection before its first use. Knows no caller.

use crate::config::DbConfig;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, sync::Arc, time::Duration};

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
        .min_connections(if timeout.is_some() { 0 } else { connections })
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move {
                sqlx::raw_sql(sqlx::AssertSqlSafe(settings.as_ref()))
                    .execute(&mut *connection)
                    .await?;
                learn_types(connection).await
            })
        })
        .before_acquire(move |connection, state| {
            Box::pin(async move {
                if state.idle_for > ping_after {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Set after connecting and not as parameters of the connection, which poolers refuse or drop.
fn session_settings(statement_timeout: Option<Duration>) -> String {
    // Policies make plans large: planning a statement takes longer than running it, so each is planned once per
    // connection. JIT compilation pays off even less. Notices concern what callers write, and there may be one for
    // each row.
    let mut text =
        "set plan_cache_mode = force_generic_plan; set jit = off; set client_min_messages = warning"
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
/// (SQLSTATE 26000). So the one such type that is selected is made known beforehand.
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
