//! Two databases with the same 100,000 rows: as generated, and one without policies and audit for the plain servers.

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::{fs, path::Path, process::Command};
use uuid::Uuid;

pub const SECURED: &str = "bench_secured";
pub const PLAIN: &str = "bench_plain";
const PASSWORD: &str = "bench";
const CITIES: i32 = 50;
/// Callers of each kind: as many as there are connections.
const CALLERS: i32 = 32;

/// The id of row `:n`, computed because pgbench can count but not choose from a list.
pub const ID: &str = "('01900000-0000-7000-8000-' || lpad(to_hex(:n::int), 12, '0'))::uuid";

/// A caller of the secured servers.
#[derive(Clone, Copy)]
pub struct Caller {
    pub user: Uuid,
    pub session: Uuid,
}

pub struct Prepared {
    /// Administrators of all cities.
    pub of_all: Vec<Caller>,
    /// The administrator of a single city.
    pub of_one: Vec<Caller>,
    /// Members without a role.
    pub of_none: Vec<Caller>,
    pub postmaster: u32,
}

/// `admin` is the URL of a superuser and must end with the name of a database.
pub async fn prepare(admin: &str, rows: i32, files: &Path) -> Result<Prepared> {
    let mut conn = PgConnection::connect(admin)
        .await
        .context("BENCH_DATABASE_URL")?;
    let postmaster = postmaster(&mut conn).await?;
    for database in [PLAIN, SECURED] {
        run(
            &mut conn,
            format!("drop database if exists {database} with (force)"),
        )
        .await?;
    }
    run(&mut conn, format!("create database {SECURED}")).await?;
    let status = Command::new(binary("culturepass")?)
        .args(["migrate", "up"])
        .env("DATABASE_URL", on(admin, SECURED))
        .env("CULTUREPASS_ENV", "development")
        .status()?;
    ensure!(status.success(), "migrating failed");
    let mut secured = PgConnection::connect(&on(admin, SECURED)).await?;
    fill(&mut secured, rows).await?;
    let of_all = callers(&mut secured, "bench_all_%").await?;
    let of_one = callers(&mut secured, "bench_one").await?;
    let of_none = callers(&mut secured, "bench_none_%").await?;
    widen_quotas(&mut secured).await?;
    write_files(&mut secured, files).await?;
    secured.close().await?;
    run(
        &mut conn,
        format!("create database {PLAIN} template {SECURED}"),
    )
    .await?;
    for role in ["culturepass_app", "culturepass_job"] {
        run(
            &mut conn,
            format!("alter role {role} login password '{PASSWORD}'"),
        )
        .await?;
    }
    strip(&mut PgConnection::connect(&on(admin, PLAIN)).await?).await?;
    for database in [PLAIN, SECURED] {
        run(
            &mut PgConnection::connect(&on(admin, database)).await?,
            "vacuum analyze".into(),
        )
        .await?;
    }
    Ok(Prepared {
        of_all,
        of_one,
        of_none,
        postmaster,
    })
}

/// The URL of a role on one of the databases.
pub fn url(admin: &str, role: &str, database: &str) -> String {
    let host = admin
        .rsplit_once('@')
        .map_or("127.0.0.1:5432/postgres", |(_, host)| host);
    on(&format!("postgres://{role}:{PASSWORD}@{host}"), database)
}

/// Restores the initial state: deletes created rows, and cleans up what updates have left behind.
pub async fn tidy(admin: &str, database: &str) -> Result<()> {
    let mut conn = PgConnection::connect(&on(admin, database)).await?;
    let created = "set session_replication_role = replica;
         delete from app.institutions where slug not like 'institution-%';
         delete from counters.institutions n where not exists (select from app.institutions i where i.id = n.id)";
    run(&mut conn, created.into()).await?;
    run(&mut conn, "vacuum analyze app.institutions".into()).await?;
    run(&mut conn, "checkpoint".into()).await
}

/// The position of the write-ahead log in bytes.
pub async fn wal_bytes(admin: &str) -> Result<f64> {
    let mut conn = PgConnection::connect(admin).await?;
    let text = "select (pg_current_wal_insert_lsn() - '0/0')::float8";
    Ok(sqlx::query_scalar(text).fetch_one(&mut conn).await?)
}

/// Switches full page writes off or on: the first change of a page after a checkpoint logs the whole page, which would
/// distort the cost of a change.
pub async fn without_page_images(admin: &str, without: bool) -> Result<()> {
    let mut conn = PgConnection::connect(admin).await?;
    let text = match without {
        true => "alter system set full_page_writes = off",
        false => "alter system reset full_page_writes",
    };
    run(&mut conn, text.into()).await?;
    run(&mut conn, "select pg_reload_conf()".into()).await
}

/// The number of likes, at least one.
pub async fn likes(admin: &str) -> Result<f64> {
    let mut conn = PgConnection::connect(&on(admin, SECURED)).await?;
    let text = "select greatest(count(*), 1)::float8 from app.likes";
    Ok(sqlx::query_scalar(text).fetch_one(&mut conn).await?)
}

pub async fn without_likes(admin: &str) -> Result<()> {
    let mut conn = PgConnection::connect(&on(admin, SECURED)).await?;
    let text =
        "truncate app.likes; update counters.events set like_count = 0 where like_count <> 0";
    run(&mut conn, text.into()).await?;
    run(
        &mut conn,
        "vacuum analyze app.likes, counters.events, audit.audit_logs".into(),
    )
    .await
}

/// Writes a file with all ids and their versions, for updates.
pub async fn write_versions(admin: &str, database: &str, files: &Path) -> Result<()> {
    let mut conn = PgConnection::connect(&on(admin, database)).await?;
    let rows = sqlx::query("select id || ' ' || version from app.institutions order by random()")
        .fetch_all(&mut conn)
        .await?;
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    fs::write(files.join("versions.txt"), lines.join("\n") + "\n")?;
    Ok(())
}

pub fn binary(name: &str) -> Result<std::path::PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(
        path.exists(),
        "{} is missing: cargo build --release",
        path.display()
    );
    Ok(path)
}

/// The URL of the same login on another database.
pub fn on(url: &str, database: &str) -> String {
    let base = url.rsplit_once('/').map_or(url, |(base, _)| base);
    format!("{base}/{database}")
}

async fn fill(conn: &mut PgConnection, rows: i32) -> Result<()> {
    let id = ID.replace(":n", "n");
    let text = format!(
        "alter table app.institutions disable trigger institutions_audit;
         insert into app.countries (code, name, currency, default_locale) values ('LI', 'Benchland', 'EUR', 'en');
         insert into app.cities (name, slug, timezone, location, country_id)
           select 'City ' || n, 'city-' || n, 'UTC', st_setsrid(st_makepoint(n, n), 4326)::geography, c.id
           from generate_series(0, {CITIES} - 1) n, app.countries c;
         insert into app.users (handle, display_name, email)
           select 'bench_' || n, 'Bench', n || '@example.org' from (
             select 'one' as n union all select kind || '_' || n from unnest('{{all,none}}'::text[]) kind, generate_series(1, {CALLERS}) n
           ) names;
         insert into app.role_assignments (role, user_id, scope_type, scope_id, state)
           select 'cityAdmin', u.id, 'city', c.id, 'accepted' from app.users u, app.cities c
           where u.handle like 'bench_all_%' or (u.handle = 'bench_one' and c.slug = 'city-1');
         insert into app.sessions (user_id, expires_at) select id, now() + interval '1 day' from app.users;
         insert into app.institutions (id, name, slug, type, description, website, contact_email, location, city_id)
           select {id}, 'Institution ' || n, 'institution-' || n, 'council', repeat('Open on weekdays, closed in August. ', 18),
             'https://example.org/' || n, 'office' || n || '@example.org',
             st_setsrid(st_makepoint(n % 170, n % 80), 4326)::geography, c.id
           from generate_series(1, {rows}) n join app.cities c on c.slug = 'city-' || (n % ({CITIES} - 1) + 1);
         alter table app.institutions enable trigger institutions_audit;
         alter table app.events disable trigger events_audit;
         insert into app.events (title, slug, description, starts_at, ends_at, timezone, state, city_id, host_type, host_id)
           select 'Event ' || n, 'event-' || n, repeat('Open on weekdays, closed in August. ', 18), now() + n * interval '1 minute',
             now() + n * interval '1 minute' + interval '2 hours', 'UTC', 'published', i.city_id, 'institution', i.id
           from generate_series(1, least({rows}, 50000)) n join app.institutions i on i.id = {id};
         alter table app.events enable trigger events_audit;"
    );
    run(conn, text).await
}

async fn callers(conn: &mut PgConnection, handles: &str) -> Result<Vec<Caller>> {
    let sessions: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select s.user_id, s.id from app.sessions s join app.users u on u.id = s.user_id where u.handle like $1",
    )
    .bind(handles)
    .fetch_all(conn)
    .await?;
    ensure!(!sessions.is_empty(), "nobody is called {handles}");
    let callers = (sessions.into_iter()).map(|(user, session)| Caller { user, session });
    Ok(callers.collect())
}

/// Raises quotas, since a few callers create all rows here: quotas are still counted, but never exhausted.
async fn widen_quotas(conn: &mut PgConnection) -> Result<()> {
    let text = r"do $$ declare t record; begin
          for t in
            select tgrelid::regclass as of, tgname as name, pg_get_triggerdef(oid) as made
            from pg_trigger where tgfoid = 'requests.count_created'::regproc
          loop
            execute format('drop trigger %I on %s', t.name, t.of);
            execute regexp_replace(t.made, '''\d+''\)$', '''1000000000'')');
          end loop; end $$";
    run(conn, text.into()).await
}

/// Removes policies, guards and audit, for the servers without security.
async fn strip(conn: &mut PgConnection) -> Result<()> {
    let text = "do $$ declare o record; begin
          for o in select c.oid::regclass t from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind = 'r' loop
            execute format('alter table %s disable row level security', o.t);
          end loop;
          for o in select tgrelid::regclass t, tgname from pg_trigger where tgrelid = 'app.institutions'::regclass and tgname in ('institutions_audit', 'institutions_guard') loop
            execute format('drop trigger %I on %s', o.tgname, o.t);
          end loop; end $$";
    run(conn, text.into()).await
}

async fn write_files(conn: &mut PgConnection, files: &Path) -> Result<()> {
    let ids: Vec<String> = sqlx::query_scalar("select id::text from app.institutions")
        .fetch_all(&mut *conn)
        .await?;
    fs::write(files.join("ids.txt"), ids.join("\n") + "\n")?;
    let events: Vec<String> =
        sqlx::query_scalar("select id::text from app.events order by random()")
            .fetch_all(&mut *conn)
            .await?;
    fs::write(files.join("events.txt"), events.join("\n") + "\n")?;
    // The first city has no institutions yet, so creating some there does not change the measured lists.
    let cities: Vec<String> =
        sqlx::query_scalar("select id::text from app.cities order by slug = 'city-0' desc")
            .fetch_all(conn)
            .await?;
    fs::write(files.join("cities.txt"), cities[1..].join("\n") + "\n")?;
    let body = serde_json::json!({
        "name": "A new institution", "slug": "SLUG", "type": "council", "city_id": cities[0],
        "description": "Open on weekdays, closed in August. ".repeat(18),
        "website": "https://example.org/new", "contact_email": "new@example.org",
    });
    fs::write(files.join("create.json"), body.to_string())?;
    Ok(())
}

async fn postmaster(conn: &mut PgConnection) -> Result<u32> {
    let folder: String = sqlx::query_scalar("show data_directory")
        .fetch_one(conn)
        .await?;
    let text = fs::read_to_string(Path::new(&folder).join("postmaster.pid")).context("the server's CPU time is read from /proc: run where PostgreSQL runs, as root or as its user")?;
    Ok(text
        .lines()
        .next()
        .context("an empty postmaster.pid")?
        .parse()?)
}

async fn run(conn: &mut PgConnection, text: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await?;
    Ok(())
}
