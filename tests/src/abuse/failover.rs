//! A database that takes no writes any more, as after a failover: writes are refused in time, `/readyz` says so, and no
//! restart is needed. With the program itself, because its connections are replaced for the whole process.

use crate::support::{Database, database::Content, program::Program};
use reqwest::StatusCode;
use serde_json::json;
use server::seed::demo::PEOPLE;
use sqlx::AssertSqlSafe;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Changes a setting of the database. With `ended`, connections that are open end, so that new ones have it.
async fn set(database: &Database, read_only: bool, ended: bool) {
    let change = format!(
        "do $$ begin execute format('alter database %I set default_transaction_read_only = {read_only}', current_database()); end $$"
    );
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and usename like 'culturepass_%'";
    let mut conn = database.superuser().await;
    // Itself one of the sessions that begin read only.
    sqlx::raw_sql("set default_transaction_read_only = off")
        .execute(&mut conn)
        .await
        .expect("writable");
    sqlx::raw_sql(AssertSqlSafe(change))
        .execute(&mut conn)
        .await
        .expect("the setting");
    if ended {
        sqlx::raw_sql(end).execute(&mut conn).await.expect("ended");
    }
}

#[tokio::test]
async fn abuse_33_a_database_that_takes_no_writes_is_left_for_one_that_does() {
    let database = Database::new(Content::Sample).await;
    let program = Program::serve(&database, |command| {
        command.env("CULTUREPASS_ENV", "development");
    })
    .await;
    let mira = program.sign_in(&database, PEOPLE[4].id).await;
    let events = mira.client.get("/events?limit=1").await.expect(200);
    let like = json!({"event_id": events.json["data"][0]["id"]});
    let ready = async || program.admin.get("/readyz").await.status;

    set(&database, true, true).await;
    // The first answers may be those of connections that have just ended.
    let until = Instant::now() + PATIENCE;
    while !program.text().contains("read-only transaction") {
        let refused = mira.client.post("/likes", like.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.problem()),
            (503, "unavailable"),
            "{}",
            refused.text
        );
        assert!(Instant::now() < until, "{}", program.text());
    }
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    mira.client.get("/events?limit=1").await.expect(200);

    // The connections that are open stay read only; nobody ends them.
    set(&database, false, false).await;
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = mira.client.post("/likes", like.clone()).await;
        // Either it is new, or the demonstration has it: both are found out by writing.
        if [StatusCode::CREATED, StatusCode::CONFLICT].contains(&answer.status) {
            break;
        }
        assert_eq!(answer.status.as_u16(), 503, "{}", answer.text);
        assert!(Instant::now() < until, "{}", program.text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    while ready().await != StatusCode::OK {
        assert!(Instant::now() < until, "{}", program.text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
