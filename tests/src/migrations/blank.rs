//! An empty database, which is dropped at the end.
//!
//! Not a copy of a template, because templates are made by the migrations that are tested here.

use kernel::migrate::Limits;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use std::time::Duration;

use crate::support::catalogue::catalogue;

pub struct Blank {
    name: String,
    admin: PgConnectOptions,
}

impl Blank {
    pub async fn new() -> Blank {
        let url = std::env::var("TEST_DATABASE_URL")
            .expect("TEST_DATABASE_URL is missing: run script/test");
        let admin: PgConnectOptions = url.parse().expect("TEST_DATABASE_URL");
        let name = format!("m_{}", uuid::Uuid::new_v4().simple());
        run(
            &mut connect(&admin).await,
            &format!("create database {name}"),
        )
        .await;
        Blank { name, admin }
    }

    pub fn options(&self) -> PgConnectOptions {
        self.admin.clone().database(&self.name)
    }

    pub async fn connect(&self) -> PgConnection {
        connect(&self.options()).await
    }

    pub async fn run(&self, sql: &str) {
        run(&mut self.connect().await, sql).await;
    }

    pub async fn text(&self, sql: &str) -> String {
        let found: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut self.connect().await)
            .await
            .expect(sql);
        found.unwrap_or_default()
    }

    pub async fn catalogue(&self) -> Vec<String> {
        catalogue(&mut self.connect().await).await
    }
}

impl Drop for Blank {
    fn drop(&mut self) {
        let (name, admin) = (self.name.clone(), self.admin.clone());
        let drop = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            runtime.block_on(async {
                run(
                    &mut connect(&admin).await,
                    &format!("drop database if exists {name} with (force)"),
                )
                .await;
            });
        });
        let _ = drop.join();
    }
}

/// Short limits, because nobody else uses these databases.
pub fn limits() -> Limits {
    Limits {
        lock_timeout: Duration::from_secs(2),
        attempts: 1,
        ..Limits::default()
    }
}

async fn connect(options: &PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(options)
        .await
        .expect("PostgreSQL of TEST_DATABASE_URL")
}

async fn run(conn: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await {
        panic!("{error}\n{sql}");
    }
}
