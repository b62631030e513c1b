//! Databases for tests: each test gets a copy of a template, which is made in a fraction of a second. Databases of
//! ended tests are dropped when the next one is made.
//!
//! They are not dropped at the end of the test, since `drop database` waits until every session of the cluster has
//! answered a signal, which a session does not do while its connection is being opened. The pool of the ending test
//! may be opening one in the very thread that would wait: it took PostgreSQL a minute to give such a session up,
//! during which no test could begin or end.
//!
//! `TEST_DATABASE_URL` is the URL of a superuser of a PostgreSQL server on which databases may be left behind;
//! `script/test` starts one.

use super::{
    sample,
    superuser::{Spare, Superuser},
};
use crate::rules::world;
use generated::migrations::MIGRATIONS;
use kernel::migrate::{self, Limits};
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The password of both roles in tests.
const PASSWORD: &str = "test";

/// A table of the entities of which the demonstration data have no rows.
const FILLED: &str = "create schema tests; create table tests.filled (entity text primary key)";

/// The initial contents of a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Empty,
    /// Countries and cities.
    Reference,
    /// The demonstration data, and many sales and quotes that no module has made.
    Demo,
    /// The demonstration data as `seed demo` makes it.
    Shown,
    /// The demonstration data with fewer rows in tables that have thousands.
    Sample,
}

pub struct Database {
    name: String,
    admin: PgConnectOptions,
    /// A connection whose application name is the database's name: as long as it is open, the database is not dropped.
    _owner: PgConnection,
    spare: Spare,
}

impl Database {
    pub async fn new(content: Content) -> Self {
        let admin = admin();
        let template = template(&admin, content).await;
        let name = format!("t_{}", Uuid::new_v4().simple());
        let owner = connect(&admin.clone().application_name(&name)).await;
        let mut conn = connect(&admin).await;
        // Two sessions can't copy the same template at the same time.
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
        // As `culturepass migrate up` does; a copy does not have the privileges of its template.
        execute(
            &mut conn,
            format!("revoke temporary on database {name} from public"),
        )
        .await;
        conn.close().await.expect("close");
        Self {
            name,
            admin,
            _owner: owner,
            spare: Spare::default(),
        }
    }

    /// A superuser's connection, to which no rules apply.
    pub async fn superuser(&self) -> Superuser {
        let options = self.admin.clone().database(&self.name);
        self.spare.take(&options).await
    }

    /// Connections of a superuser that are used again: a new one compiles the functions of all triggers.
    pub fn superusers(&self) -> PgPool {
        PgPool::connect_lazy_with(self.admin.clone().database(&self.name))
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

    /// A connection of the job role, before it has entered a module.
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

    /// Removes all quotas, for tests in which a member creates more rows than are allowed in a day.
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

    /// The URL of the database's owner, for subcommands that migrate and seed.
    pub fn owner_url(&self) -> String {
        let admin = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL");
        let (server, _) = admin.rsplit_once('/').expect("a URL with a database");
        format!("{server}/{}", self.name)
    }

    /// Options of a superuser's connection, for tools that connect themselves.
    pub fn superuser_options(&self) -> PgConnectOptions {
        self.admin.clone().database(&self.name)
    }

    /// The entities of which the demonstration data have no rows: their rows were generated for tests.
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

/// Drops the databases of ended tests.
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

/// The name of the template with these contents. It is made once for each state of the migrations, by the first test
/// that needs it.
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
        // Rows of pictures without files: the demonstration's own pictures are uploaded while a server runs.
        let pictures = include_str!("../../sql/pictures.sql");
        execute(&mut conn, pictures.to_owned()).await;
        // Before other rows are added, so that the remaining rows depend on the demonstration data only.
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
        execute(&mut conn, include_str!("../../sql/ranked.sql").to_owned()).await;
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
