//! Databases to test on: a copy of a template for each test, made in a fraction of a second, dropped when another one
//! is made.
//!
//! Not at the end of the test: `drop database` waits until every session of the cluster has answered a signal, and one
//! that is being opened answers none. A pool of the ending test may be opening one, in the very thread that would wait:
//! it took PostgreSQL a minute to give that session up, in which no test could begin or end.
//!
//! `TEST_DATABASE_URL` is a superuser's URL of a PostgreSQL that may be littered; `script/test` starts one.

use super::sample;
use crate::rules::world;
use generated::migrations::MIGRATIONS;
use kernel::migrate::{self, Limits};
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Password of both roles in tests.
const PASSWORD: &str = "test";

/// Which entities have no row of the demonstration.
const FILLED: &str = "create schema tests; create table tests.filled (entity text primary key)";

/// What a database starts with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Empty,
    /// Countries and cities.
    Reference,
    /// The demonstration world as well, with many sales and quotes that were never made through a module.
    Demo,
    /// The demonstration world as `seed demo` makes it.
    Shown,
    /// Of that fewer rows, where there are thousands.
    Sample,
}

pub struct Database {
    name: String,
    admin: PgConnectOptions,
    /// Is called like the database: while it is open, the database is in use.
    _owner: PgConnection,
}

impl Database {
    pub async fn new(content: Content) -> Self {
        let admin = admin();
        let template = template(&admin, content).await;
        let name = format!("t_{}", Uuid::new_v4().simple());
        let owner = connect(&admin.clone().application_name(&name)).await;
        let mut conn = connect(&admin).await;
        // Two sessions cannot copy one template at the same time.
        sqlx::query("select pg_advisory_lock(7262)")
            .execute(&mut conn)
            .await
            .expect("lock");
        sweep(&mut conn).await;
        execute(
            &mut conn,
            format!("create database {name} template {template} strategy file_copy"),
        )
        .await;
        conn.close().await.expect("close");
        Self {
            name,
            admin,
            _owner: owner,
        }
    }

    /// A connection that no rule holds back.
    pub async fn superuser(&self) -> PgConnection {
        connect(&self.admin.clone().database(&self.name)).await
    }

    /// A connection of the request role, for statements that no server would send.
    pub async fn request_role(&self) -> PgConnection {
        connect(
            &self
                .admin
                .clone()
                .database(&self.name)
                .username("culturepass_app")
                .password(PASSWORD),
        )
        .await
    }

    /// The same of the job role, before it says for which module it works.
    pub async fn job_role(&self) -> PgConnection {
        let options = self.admin.clone().database(&self.name);
        connect(&options.username("culturepass_job").password(PASSWORD)).await
    }

    pub fn url(&self, role: &str) -> String {
        format!(
            "postgres://{role}:{PASSWORD}@{}:{}/{}",
            self.admin.get_host(),
            self.admin.get_port(),
            self.name
        )
    }

    /// For tests in which one member creates more than any would in a day.
    pub async fn lift_quotas(&self) {
        let mut conn = self.superuser().await;
        execute(
            &mut conn,
            "do $$ declare t record; begin
               for t in select tgrelid::regclass as name, tgname from pg_trigger where tgfoid = 'requests.count_created'::regproc loop
                 execute format('alter table %s disable trigger %I', t.name, t.tgname);
               end loop;
             end $$"
                .to_owned(),
        )
        .await;
    }

    /// Of its owner, for subcommands that migrate and seed.
    pub fn owner_url(&self) -> String {
        let admin = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL");
        let (server, _) = admin.rsplit_once('/').expect("a URL with a database");
        format!("{server}/{}", self.name)
    }

    /// For tools that connect by themselves.
    pub fn superuser_options(&self) -> PgConnectOptions {
        self.admin.clone().database(&self.name)
    }

    /// Entities that the demonstration has no rows of: those that are there were drawn for tests.
    pub async fn filled(&self) -> BTreeSet<String> {
        let names: Vec<String> = sqlx::query_scalar("select entity from tests.filled")
            .fetch_all(&mut self.superuser().await)
            .await
            .expect("what was noted");
        names.into_iter().collect()
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Drops what ended tests have left.
async fn sweep(conn: &mut PgConnection) {
    let left: Vec<String> = sqlx::query_scalar(
        "select d.datname::text from pg_database d
         where d.datname ^@ 't_' and not exists (select from pg_stat_activity a where a.application_name = d.datname)",
    )
    .fetch_all(&mut *conn)
    .await
    .expect("databases");
    for name in left {
        execute(conn, format!("drop database if exists {name} with (force)")).await;
    }
}

fn admin() -> PgConnectOptions {
    let url =
        std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is missing: run script/test");
    url.parse().expect("TEST_DATABASE_URL")
}

/// Made once per state of the migrations, by whichever test comes first.
async fn template(admin: &PgConnectOptions, content: Content) -> String {
    let state = MIGRATIONS
        .last()
        .map_or("none", |last| &last.checksum[..12]);
    let kind = match content {
        Content::Empty => "empty",
        Content::Reference => "reference",
        Content::Demo => "demo",
        Content::Shown => "shown",
        Content::Sample => "sample",
    };
    let name = format!("template_{kind}_{state}");
    let mut conn = connect(admin).await;
    sqlx::query("select pg_advisory_lock(7261)")
        .execute(&mut conn)
        .await
        .expect("lock");
    let there: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut conn)
            .await
            .expect("look");
    if !there {
        let draft = format!("{name}_draft");
        execute(
            &mut conn,
            format!("drop database if exists {draft} with (force)"),
        )
        .await;
        execute(&mut conn, format!("create database {draft}")).await;
        let options = admin.clone().database(&draft);
        migrate::up(&options, MIGRATIONS, &Limits::default())
            .await
            .expect("migrate");
        fill(&options, content).await;
        for role in ["culturepass_app", "culturepass_job"] {
            execute(
                &mut conn,
                format!("alter role {role} login password '{PASSWORD}'"),
            )
            .await;
        }
        execute(
            &mut conn,
            format!("alter database {draft} rename to {name}"),
        )
        .await;
    }
    conn.close().await.expect("close");
    name
}

async fn fill(options: &PgConnectOptions, content: Content) {
    if content == Content::Empty {
        return;
    }
    let mut conn = connect(options).await;
    server::seed::reference::load(&mut conn)
        .await
        .expect("reference data");
    if content == Content::Shown {
        server::seed::demo::load(&mut conn)
            .await
            .expect("demonstration data");
    }
    if matches!(content, Content::Demo | Content::Sample) {
        server::seed::demo::load_with(&mut conn, &sample::SOLD)
            .await
            .expect("demonstration data");
    }
    if matches!(content, Content::Demo | Content::Sample) {
        // Rows whose files are nowhere: the demonstration's own are sent while a server runs.
        let pictures = include_str!("../../sql/pictures.sql");
        execute(&mut conn, pictures.to_owned()).await;
        // Before there is more: what stays depends on the demonstration alone.
        if content == Content::Sample {
            sample::thin(&mut conn).await;
        }
        let people: Vec<Uuid> = PEOPLE.iter().map(|person| person.id).collect();
        let filled = world::fill_empty(&mut conn, super::model(), &people).await;
        execute(&mut conn, FILLED.to_owned()).await;
        sqlx::query("insert into tests.filled select unnest($1::text[])")
            .bind(filled)
            .execute(&mut conn)
            .await
            .expect("noted");
    }
    execute(&mut conn, "vacuum (full, analyze)".to_owned()).await;
    conn.close().await.expect("close");
}

async fn connect(options: &PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(options)
        .await
        .expect("PostgreSQL of TEST_DATABASE_URL")
}

async fn execute(conn: &mut PgConnection, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}
