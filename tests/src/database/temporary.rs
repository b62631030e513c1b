//! A caller with SQL of their own doesn't make the functions of the database run code of theirs.
//!
//! PostgreSQL looks for types in the temporary schema of the session before all others, also if a function's
//! `search_path` is empty. The check of a domain that is called like an ordinary type would run with the rights of the
//! function that names the type.

use crate::support::database::{Content, Database};
use sqlx::PgConnection;

const TRAP: &str = "
    create function pg_temp.note() returns boolean language plpgsql as
      $$ begin perform set_config('tests.ran_as', current_user, false); return true; end $$;
    create domain pg_temp.text as pg_catalog.text check (pg_temp.note());
    create domain pg_temp.uuid as pg_catalog.uuid check (pg_temp.note());
    create domain pg_temp.boolean as pg_catalog.bool check (pg_temp.note());
    create domain pg_temp.timestamptz as pg_catalog.timestamptz check (pg_temp.note());";

const ASK: &str =
    "select sec.may_event('00000000-0000-0000-0000-000000000000'::pg_catalog.uuid, 'read')";

/// Who the trap ran as.
async fn ran_as(conn: &mut PgConnection) -> Option<String> {
    sqlx::raw_sql(ASK).execute(&mut *conn).await.expect("asked");
    let who = "select nullif(current_setting('tests.ran_as', true), '')";
    sqlx::query_scalar(who)
        .fetch_one(conn)
        .await
        .expect("a setting")
}

async fn run(conn: &mut PgConnection, text: &'static str) {
    sqlx::raw_sql(text).execute(conn).await.expect(text);
}

#[tokio::test]
async fn functions_take_no_types_from_their_callers() {
    let database = Database::new(Content::Empty).await;
    let mut request = database.request_role().await;
    let refused = sqlx::raw_sql(TRAP).execute(&mut request).await;
    let refused = refused.expect_err("the request role may create nothing temporary");
    assert!(
        refused.to_string().contains("permission denied"),
        "{refused}"
    );

    // Even if it could, the types of PostgreSQL come first.
    let mut superuser = database.superuser().await;
    run(
        &mut superuser,
        "do $$ begin execute format('grant temporary on database %I to culturepass_app', current_database()); end $$",
    )
    .await;
    let mut request = database.request_role().await;
    run(&mut request, TRAP).await;
    assert_eq!(ran_as(&mut request).await, None);

    // The negative control: with an empty path they don't.
    run(
        &mut superuser,
        "alter function sec.may_event(uuid, text) set search_path = ''",
    )
    .await;
    let who = ran_as(&mut request).await;
    assert_eq!(who.as_deref(), Some("culturepass_authz"));
}

/// Whatever a function is written in, and whoever wrote it.
#[tokio::test]
async fn every_function_that_sets_a_path_searches_the_temporary_schema_last() {
    let database = Database::new(Content::Empty).await;
    let mut superuser = database.superuser().await;
    let ours = "from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('app', 'sec', 'audit', 'jobs', 'requests', 'counters', 'search')
          and (p.prosecdef or p.proconfig::text like '%search_path%')";
    let all: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) {ours}")))
        .fetch_one(&mut superuser)
        .await
        .expect("counted");
    assert!(all > 300, "{all}");
    let others: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "select p.oid::regprocedure::text {ours} and not 'search_path=pg_catalog, pg_temp' = any (p.proconfig)"
    )))
    .fetch_all(&mut superuser)
    .await
    .expect("listed");
    assert_eq!(others, Vec::<String>::new());
}
