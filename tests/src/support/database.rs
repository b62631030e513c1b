//! A database of its own for each test: a copy of a template that is made once per state of the migrations.
//!
//! `TEST_DATABASE_URL` names a superuser of a cluster that may be littered, such as `script/postgres.sh` starts.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::str::FromStr;

/// Dropped with the value.
pub struct Database {
    /// Sees and may do everything; for fixtures and for looking.
    pub superuser: PgPool,
    /// As requests connect.
    pub app: PgPool,
    /// As modules connect.
    pub job: PgPool,
    name: String,
}

pub async fn database() -> Database {
    let scripts = scripts();
    let mut cluster = connect(None).await;
    let template = template(&mut cluster, &scripts).await;
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    run(&mut cluster, format!("create database {name} template {template}")).await;
    Database {
        superuser: pool(&name, None).await,
        app: pool(&name, Some("culturepass_app")).await,
        job: pool(&name, Some("culturepass_job")).await,
        name,
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = self.name.clone();
        // The test's runtime is about to end and takes no more work.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut cluster = connect(None).await;
                run(&mut cluster, format!("drop database if exists {name} with (force)")).await;
            });
            std::io::Result::Ok(())
        });
        // A database that stays behind is no reason to hide why a test failed.
        let _ = dropped.join();
    }
}

/// All migrations in their order.
fn scripts() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.to_string_lossy().ends_with(".up.sql"))
        .collect();
    files.sort();
    files.iter().map(|path| std::fs::read_to_string(path).expect("a migration")).collect::<Vec<_>>().join("\n")
}

/// The name of a database with these scripts applied. Tests that start together wait for the first of them.
async fn template(cluster: &mut PgConnection, scripts: &str) -> String {
    let mut hasher = DefaultHasher::new();
    scripts.hash(&mut hasher);
    let hash = hasher.finish();
    let name = format!("template_{hash:016x}");
    run(cluster, format!("select pg_advisory_lock({})", hash as i64)).await;
    let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&name)
        .fetch_one(&mut *cluster)
        .await
        .expect("pg_database can be read");
    if !there {
        let unfinished = format!("{name}_new");
        run(cluster, format!("drop database if exists {unfinished}")).await;
        run(cluster, format!("create database {unfinished}")).await;
        let mut fresh = connect(Some(&unfinished)).await;
        run(&mut fresh, scripts.to_owned()).await;
        fresh.close().await.expect("nobody else is connected to the template");
        run(cluster, format!("alter database {unfinished} rename to {name}")).await;
    }
    run(cluster, format!("select pg_advisory_unlock({})", hash as i64)).await;
    name
}

fn options(database: Option<&str>) -> PgConnectOptions {
    let url = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL names a superuser of a test cluster");
    let options = PgConnectOptions::from_str(&url).expect("TEST_DATABASE_URL is a PostgreSQL URL");
    match database {
        Some(name) => options.database(name),
        None => options,
    }
}

async fn connect(database: Option<&str>) -> PgConnection {
    options(database).connect().await.expect("the cluster of TEST_DATABASE_URL answers")
}

async fn run(connection: &mut PgConnection, sql: String) {
    let start: String = sql.chars().take(80).collect();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_or_else(|e| panic!("{start}: {e}"));
}

async fn pool(database: &str, role: Option<&'static str>) -> PgPool {
    PgPoolOptions::new()
        .max_connections(4)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if let Some(role) = role {
                    sqlx::raw_sql(AssertSqlSafe(format!("set role {role}"))).execute(connection).await?;
                }
                Ok(())
            })
        })
        .connect_with(options(Some(database)))
        .await
        .expect("the test's database answers")
}
