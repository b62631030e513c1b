//! A superuser's connection to the database of a test, which another look of the same test can use again.
//!
//! A new connection takes PostgreSQL ten times as long as a short statement, and compiles the functions of all triggers
//! anew; a test looks into its database some twenty times.

use futures_util::stream::{self, BoxStream, StreamExt};
use sqlx::{
    Connection, Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    postgres::{PgConnectOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use std::{
    future::{self, Future},
    ops::{Deref, DerefMut},
    pin::Pin,
    sync::{Arc, Mutex},
};

type Pending<'e, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'e>>;

/// Connections that wait for the next look into the same database.
#[derive(Clone, Default)]
pub struct Spare(Arc<Mutex<Vec<PgConnection>>>);

/// To which no rules apply. When it is dropped, it is kept for the next one, unless it may hold something: after
/// anything but single statements that change nothing of the session, such as `begin`, it is closed.
#[derive(Debug)]
pub struct Superuser {
    /// `None` only while it is dropped.
    conn: Option<PgConnection>,
    spare: Spare,
    is_as_new: bool,
}

impl Spare {
    pub async fn take(&self, options: &PgConnectOptions) -> Superuser {
        let waiting = self.0.lock().expect("a list").pop();
        let conn = match waiting {
            // Some tests end all sessions.
            Some(mut conn) => conn.ping().await.is_ok().then_some(conn),
            None => None,
        };
        let conn = match conn {
            Some(conn) => conn,
            None => PgConnection::connect_with(options).await.expect("connect"),
        };
        Superuser {
            conn: Some(conn),
            spare: self.clone(),
            is_as_new: true,
        }
    }
}

impl std::fmt::Debug for Spare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spare")
    }
}

impl Superuser {
    pub async fn close(mut self) -> Result<(), sqlx::Error> {
        let conn = self.conn.take();
        conn.expect("a connection").close().await
    }

    /// The connection for functions that leave nothing in its session.
    pub fn looking(&mut self) -> &mut PgConnection {
        self.conn.as_mut().expect("a connection")
    }

    fn run(&mut self, sql: &SqlStr) -> &mut PgConnection {
        self.is_as_new &= leaves_nothing(sql.as_str());
        self.conn.as_mut().expect("a connection")
    }
}

impl Drop for Superuser {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take()
            && self.is_as_new
        {
            self.spare.0.lock().expect("a list").push(conn);
        }
    }
}

impl Deref for Superuser {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.conn.as_ref().expect("a connection")
    }
}

/// What runs on the connection itself is not seen here, so it is not used again.
impl DerefMut for Superuser {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.is_as_new = false;
        self.conn.as_mut().expect("a connection")
    }
}

impl<'c> Executor<'c> for &'c mut Superuser {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        mut query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match query.take_arguments() {
            Ok(arguments) => {
                let sql = query.sql();
                self.run(&sql).fetch_many((sql, arguments))
            }
            Err(error) => stream::once(future::ready(Err(sqlx::Error::Encode(error)))).boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, mut query: E) -> Pending<'e, Option<PgRow>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match query.take_arguments() {
            Ok(arguments) => {
                let sql = query.sql();
                self.run(&sql).fetch_optional((sql, arguments))
            }
            Err(error) => Box::pin(future::ready(Err(sqlx::Error::Encode(error)))),
        }
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> Pending<'e, PgStatement>
    where
        'c: 'e,
    {
        self.run(&sql).prepare_with(sql, parameters)
    }
}

/// Whether a session is as before after this statement: no transaction, setting, lock or temporary table is left.
fn leaves_nothing(sql: &str) -> bool {
    let sql = sql.trim().trim_end_matches(';').to_ascii_lowercase();
    let first = sql.split_whitespace().next().unwrap_or_default();
    let is_known = [
        "select", "with", "insert", "update", "delete", "truncate", "alter", "create", "drop",
        "grant", "revoke", "analyze",
    ]
    .contains(&first);
    // More than one statement may be hidden behind a semicolon, of a text as well; then it is not used again.
    let leaves = [";", "set_config", "advisory", "temp", "notify"];
    is_known && !leaves.iter().any(|word| sql.contains(word))
}

#[test]
fn a_session_that_may_hold_something_is_not_used_again() {
    for sql in [
        "select 1",
        " insert into app.users (handle) values ($1)",
        "alter table app.users disable trigger all;",
    ] {
        assert!(leaves_nothing(sql), "{sql}");
    }
    for sql in [
        "begin",
        "set role culturepass_app",
        "select pg_advisory_lock(1)",
        "select set_config('a.b', '1', false)",
        "create temp table a (b int)",
        "select 1; begin",
        "listen a",
        "lock table app.users",
        "do $$ begin perform set_config('a.b', '1', false); end $$",
        "explain analyze select 1",
        "",
    ] {
        assert!(!leaves_nothing(sql), "{sql}");
    }
}

#[tokio::test]
async fn a_superusers_connection_is_used_again_unless_it_may_hold_something() {
    let database = super::Database::new(super::database::Content::Empty).await;
    let session = "select pg_backend_pid()";
    let mut first = database.superuser().await;
    let pid: i32 = sqlx::query_scalar(session)
        .fetch_one(&mut first)
        .await
        .expect("a pid");
    drop(first);
    let mut second = database.superuser().await;
    let same: i32 = sqlx::query_scalar(session)
        .fetch_one(&mut second)
        .await
        .expect("a pid");
    assert_eq!(same, pid);
    sqlx::query("begin")
        .execute(&mut second)
        .await
        .expect("begin");
    drop(second);
    let mut third = database.superuser().await;
    let other: i32 = sqlx::query_scalar(session)
        .fetch_one(&mut third)
        .await
        .expect("a pid");
    assert_ne!(other, pid);
}
