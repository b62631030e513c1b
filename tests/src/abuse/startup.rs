//! Databases with which the server refuses to start: logins to which no rules apply, and schemas that enforce none.

use crate::support::{Database, TestServer, database::Content, program};
use kernel::config::DbConfig;
use server::checks;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

async fn run(database: &Database, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(&mut database.superuser().await)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

fn config(database: &Database) -> DbConfig {
    let mut config = DbConfig::new(database.url("culturepass_app").into());
    config.job_url = Some(database.url("culturepass_job").into());
    config
}

/// The reason why the server would not start; empty if it would.
async fn refusal(config: &DbConfig) -> String {
    match checks::database(config).await {
        Ok(()) => String::new(),
        Err(error) => format!("{error:#}"),
    }
}

async fn prepared() -> Database {
    let database = Database::new(Content::Empty).await;
    let grant = "grant select on public._sqlx_migrations to culturepass_app";
    run(&database, grant).await;
    database
}

#[tokio::test]
async fn abuse_57_logins_that_no_rule_holds_are_refused() {
    let database = prepared().await;
    assert_eq!(refusal(&config(&database)).await, "");
    let role = format!("canary_{}", Uuid::new_v4().simple());
    run(
        &database,
        &format!("create role {role} login password 'test'"),
    )
    .await;
    let cases = [
        ("superuser", "is a superuser", "nosuperuser"),
        ("bypassrls", "bypasses row-level security", "nobypassrls"),
    ];
    for (right, why, undo) in cases {
        run(&database, &format!("alter role {role} {right}")).await;
        for as_job in [false, true] {
            let mut config = config(&database);
            match as_job {
                false => config.url = database.url(&role).into(),
                true => config.job_url = Some(database.url(&role).into()),
            }
            let said = refusal(&config).await;
            assert!(said.contains(why), "{said}");
            let setting = if as_job {
                "JOB_DATABASE_URL"
            } else {
                "APP_DATABASE_URL"
            };
            assert!(said.contains(setting), "{said}");
        }
        run(&database, &format!("alter role {role} {undo}")).await;
    }
    let mut own = config(&database);
    own.url = database.url(&role).into();
    for (owns, undo) in [
        (
            format!("create table app.canary (); alter table app.canary owner to {role}"),
            "drop table app.canary".to_owned(),
        ),
        (
            format!("grant culturepass_owner to {role}"),
            format!("revoke culturepass_owner from {role}"),
        ),
        (
            format!("grant culturepass_audit to {role}"),
            format!("revoke culturepass_audit from {role}"),
        ),
    ] {
        run(&database, &owns).await;
        let said = refusal(&own).await;
        run(&database, &undo).await;
        assert!(said.contains("owns tables"), "{owns}: {said}");
    }
    run(&database, &format!("drop role {role}")).await;
}

#[tokio::test]
async fn abuse_57_a_schema_that_holds_nobody_is_refused() {
    let mistakes = [
        (
            "alter table app.events no force row level security",
            "app.events, which does not force",
        ),
        (
            "alter table app.likes disable row level security",
            "app.likes, which does not force",
        ),
        (
            "create table app.bare (id uuid); grant select on app.bare to culturepass_app",
            "app.bare, which does not force",
        ),
        (
            "create table public.bare (id uuid); grant insert on public.bare to culturepass_job",
            "use bare, which does not force",
        ),
        (
            "grant delete on app.likes to culturepass_app",
            "culturepass_app may delete app.likes",
        ),
        (
            "grant truncate on app.likes to culturepass_job",
            "culturepass_job may truncate app.likes",
        ),
        (
            "grant update on app.users to culturepass_app",
            "culturepass_app may update app.users",
        ),
        (
            "create policy more on app.events for select to culturepass_app using (true)",
            "several permissive policies",
        ),
        (
            "create policy all_of_us on app.likes for insert with check (true)",
            "a policy for everybody: all_of_us",
        ),
        (
            "drop policy likes_insert on app.likes; create policy likes_insert on app.likes for insert to culturepass_app \
             with check (current_setting('app.user_id') <> '')",
            "reads a setting once per row: likes_insert",
        ),
        (
            "alter function sec.enter(uuid, uuid, text, uuid) reset search_path",
            "search_path of its own: sec.enter",
        ),
        (
            "alter function sec.enter(uuid, uuid, text, uuid) set search_path = ''",
            "not `pg_catalog, pg_temp`: sec.enter",
        ),
        (
            "do $$ begin execute format('grant temporary on database %I to culturepass_job', current_database()); end $$",
            "culturepass_job may create temporary objects",
        ),
        (
            "grant execute on function audit.seal() to public",
            "everybody may call: audit.seal",
        ),
        (
            "create view app.leak as select * from app.users; grant select on app.leak to culturepass_app",
            "may read app.leak, a view that goes around row-level security",
        ),
        (
            "create view public.leak as select * from app.users; grant select (email) on public.leak to culturepass_job",
            "may read leak, a view that goes around row-level security",
        ),
        (
            "create view app.leak_public as select * from app.users; grant select on app.leak_public to culturepass_app",
            "may read app.leak_public, a view that goes around row-level security",
        ),
        (
            "grant create on schema app to culturepass_app",
            "culturepass_app may create objects in schema app",
        ),
    ];
    let (database, spoiled) = (prepared().await, prepared().await);
    assert_eq!(refusal(&config(&spoiled)).await, "");
    for (mistake, why) in mistakes {
        let before = refusal(&config(&spoiled)).await;
        run(&spoiled, mistake).await;
        let said = refusal(&config(&spoiled)).await;
        assert!(
            !before.contains(why) && said.contains(why),
            "{mistake}: {said:?}"
        );
    }
    run(
        &database,
        "delete from public._sqlx_migrations where version = (select max(version) from public._sqlx_migrations)",
    )
    .await;
    let said = refusal(&config(&database)).await;
    assert!(said.contains("culturepass migrate up"), "{said}");
}

/// The same with the program: it ends without ever listening.
#[tokio::test]
async fn abuse_57_the_program_ends_when_the_database_is_not_what_it_should_be() {
    let database = prepared().await;
    run(
        &database,
        "alter table app.events no force row level security",
    )
    .await;
    let key = server::commands::fresh_key();
    for what in ["serve", "worker"] {
        let output = program::command(&database, &[what])
            .env("TOKEN_KEY", &key)
            .env("LISTEN", "127.0.0.1:0")
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{what}: {said}");
        assert!(
            said.contains("does not force row-level security") && !said.contains("listening"),
            "{what}: {said}"
        );
    }
}

/// The server is not ready as long as the program is newer than the database.
#[tokio::test]
async fn abuse_57_a_database_that_falls_behind_is_not_ready() {
    let server = TestServer::start_with(Content::Empty, |_| {}).await;
    run(
        &server.database,
        "grant select on public._sqlx_migrations to culturepass_app",
    )
    .await;
    let ready = checks::ready(server.built.db.clone());
    assert_eq!(ready().await, Ok(()));
    run(&server.database, "delete from public._sqlx_migrations").await;
    assert!(ready().await.is_err());
}

/// While a release is rolled out, a process of the former one may have to start again.
#[tokio::test]
async fn abuse_57_a_former_version_starts_on_a_newer_database() {
    let database = prepared().await;
    run(
        &database,
        "insert into public._sqlx_migrations (version, description, success, checksum, execution_time)
         values (999999, 'of a later release', true, '', 0)",
    )
    .await;
    assert_eq!(refusal(&config(&database)).await, "");
}

/// Each login has rights that the other has not, and both work on the same rows.
#[tokio::test]
async fn abuse_57_logins_are_not_exchanged_and_lead_to_one_database() {
    let (database, other) = (prepared().await, prepared().await);
    let (app, job) = ("culturepass_app", "culturepass_job");
    let with = |app_url: String, job_url: String| {
        let mut config = config(&database);
        (config.url, config.job_url) = (app_url.into(), Some(job_url.into()));
        config
    };
    let cases = [
        (
            with(database.url(job), database.url(job)),
            "APP_DATABASE_URL is the login of culturepass_job",
        ),
        (
            with(database.url(app), database.url(app)),
            "JOB_DATABASE_URL is the login of culturepass_app",
        ),
        (
            with(database.url(app), other.url(job)),
            "lead to different databases",
        ),
    ];
    for (config, why) in cases {
        let said = refusal(&config).await;
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(refusal(&config(&database)).await, "");
}

/// Roles are not part of a dump. Where they were made by hand, members would be told that their accounts are suspended.
/// In a transaction that is rolled back, because all databases of the cluster share the roles.
#[tokio::test]
async fn abuse_57_roles_that_lack_what_the_schema_builds_on_are_refused() {
    let database = prepared().await;
    let mut conn = database.superuser().await;
    for (change, why) in [
        ("select 1", ""),
        (
            "alter role culturepass_authz nobypassrls",
            "culturepass_authz is held to row-level security",
        ),
        (
            "alter role culturepass_counter nobypassrls",
            "culturepass_counter is held to row-level security",
        ),
        (
            "alter role culturepass_app reset statement_timeout",
            "culturepass_app has no statement_timeout",
        ),
        (
            "alter role culturepass_app reset statement_timeout;
             alter role culturepass_app in database postgres set statement_timeout = '5s'",
            "culturepass_app has no statement_timeout",
        ),
        (
            "alter role culturepass_app set lock_timeout = 0",
            "culturepass_app has no lock_timeout",
        ),
        (
            "do $$ begin execute format('alter role culturepass_job in database %I set lock_timeout = 0', current_database()); end $$",
            "culturepass_job has no lock_timeout",
        ),
        (
            "alter role culturepass_app reset statement_timeout;
             do $$ begin execute format('alter role culturepass_app in database %I set statement_timeout = 5000', current_database()); end $$",
            "",
        ),
        (
            "alter role culturepass_job reset all",
            "culturepass_job has no idle_in_transaction_session_timeout",
        ),
    ] {
        let mut changed = conn.begin().await.expect("begin");
        sqlx::raw_sql(change)
            .execute(&mut *changed)
            .await
            .expect(change);
        let findings: Vec<String> = sqlx::query_scalar(checks::CATALOGUE)
            .fetch_all(&mut *changed)
            .await
            .expect("findings");
        changed.rollback().await.expect("rollback");
        let said = findings.join("\n");
        assert!(
            said.contains(why) && said.is_empty() == why.is_empty(),
            "{change}: {said}"
        );
    }
}

/// Runs `culturepass` as the database's owner. Returns whether it succeeded, and its output.
fn as_owner(database: &Database, environment: &str, arguments: &[&str]) -> (bool, String) {
    let output = program::command(database, arguments)
        .env("DATABASE_URL", database.owner_url())
        .env("CULTUREPASS_ENV", environment)
        .output()
        .expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test]
async fn demonstration_accounts_stay_out_of_production() {
    let database = prepared().await;
    let (done, said) = as_owner(&database, "production", &["seed", "demo"]);
    assert!(
        !done && said.contains("CULTUREPASS_ENV=development"),
        "{said}"
    );
    let (done, said) = as_owner(&database, "production", &["seed", "reference"]);
    assert!(done, "{said}");
    let (done, said) = as_owner(&database, "development", &["seed", "demo"]);
    assert!(done, "{said}");

    // If the demonstration data were loaded nevertheless, the server refuses to start with them.
    let db = kernel::Db::connect(&config(&database)).expect("urls");
    let said = checks::no_demonstration(&db)
        .await
        .expect_err("they are there")
        .to_string();
    assert!(said.contains("6 demonstration accounts"), "{said}");
    run(&database, "delete from app.credentials").await;
    checks::no_demonstration(&db)
        .await
        .expect("nobody can sign in as them");
}

#[tokio::test]
async fn demonstration_data_do_not_mix_with_members() {
    let database = Database::new(Content::Reference).await;
    run(
        &database,
        "insert into app.users (handle, display_name, email) values ('somebody', 'Somebody', 'somebody@example.org')",
    )
    .await;
    let (done, said) = as_owner(&database, "development", &["seed", "demo"]);
    assert!(!done && said.contains("members of its own"), "{said}");
}

#[tokio::test]
async fn production_is_not_migrated_down_by_the_way() {
    let database = prepared().await;
    let down = ["migrate", "down", "--to", "0"];
    let name = database.name().to_owned();
    for confirm in [None, Some("other")] {
        let arguments: Vec<&str> = (down.iter().copied())
            .chain(confirm.into_iter().flat_map(|name| ["--confirm", name]))
            .collect();
        let (done, said) = as_owner(&database, "production", &arguments);
        assert!(
            !done && said.contains(&format!("--confirm {name}")),
            "{said}"
        );
    }
    let tables = "select count(*) from information_schema.tables where table_schema = 'app'";
    let count = async || -> i64 {
        let mut conn = database.superuser().await;
        sqlx::query_scalar(tables)
            .fetch_one(&mut conn)
            .await
            .expect("count")
    };
    assert!(count().await > 40, "the tables must still exist");
    let confirmed = [&down[..], &["--confirm", &name]].concat();
    let (done, said) = as_owner(&database, "production", &confirmed);
    assert!(done, "{said}");
    assert_eq!(count().await, 0);
}

/// A file that is not there, or holds something else, is noticed at the start, and not when somebody signs in or is to
/// get a mail.
#[tokio::test]
async fn abuse_57_files_that_settings_name_are_read_at_the_start() {
    let database = prepared().await;
    let key = server::commands::fresh_key();
    let other = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
    let nothing = "/nonexistent/file";
    let names = server::settings::document::names();
    let files: Vec<&String> = (names.iter())
        .filter(|name| name.ends_with("_FILE") || name.ends_with("_FILES"))
        // The server doesn't take the owner's login.
        .filter(|name| *name != "DATABASE_URL_FILE")
        .collect();
    assert!(files.len() > 10, "{files:?}");
    // Taken, so that a program that notices nothing ends all the same.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    for name in files {
        for file in [nothing, &other] {
            // Only the service itself knows which texts are its passwords and keys.
            let any_text = [
                "SMTP_PASSWORD_FILE",
                "STRIPE_SECRET_KEY_FILE",
                "RESEND_API_KEY_FILE",
                "SENDGRID_API_KEY_FILE",
            ];
            if file == other && any_text.contains(&name.as_str()) {
                continue;
            }
            let mut command = program::command(&database, &["serve"]);
            command.env("TOKEN_KEY", &key).env("LISTEN", &taken);
            // Settings without which the file is not needed.
            match name.as_str() {
                "SMTP_PASSWORD_FILE" => {
                    command.env("SMTP_USER", "a");
                }
                "SMTP_CA_FILE" => {
                    command.env("SMTP_TLS", "starttls");
                }
                "OIDC_JWKS_FILE" => {
                    command
                        .env("OIDC_ISSUER", "https://a.example")
                        .env("OIDC_AUDIENCE", "a");
                }
                _ => {
                    command.env_remove("SMTP_HOST");
                }
            }
            // The setting that the file stands for.
            let about = name.trim_end_matches("_FILE");
            let output = command.env_remove(about).env(name, file).output();
            let output = output.expect("the program runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                !output.status.success() && said.contains(about),
                "{name}={file}: {said}"
            );
        }
    }
}
