//! The runner of migrations: order, locks, refusals.

use super::blank::{Blank, limits};
use super::repository::{Repository, world};
use kernel::migrate::{Error, Limits, Migration, down, pending, up, up_to};
use sqlx::Connection;
use std::time::Duration;

const CAPACITY: &str = "  capacity: int(1..1000000)?";
const INDEX: (&str, &str, &str) = (
    "event",
    "index: [[city, starts_at]]",
    "index: [[city, starts_at], [city, ends_at]]",
);

fn three() -> Vec<Migration> {
    let mut repository = Repository::default();
    repository.generate(&world(&[])).expect("the first");
    repository
        .generate(&world(&[(
            "event",
            CAPACITY,
            "  capacity: int(1..1000000)?\n  badge: bool?",
        )]))
        .expect("a field");
    repository
        .generate(&world(&[
            (
                "event",
                CAPACITY,
                "  capacity: int(1..1000000)?\n  badge: bool?",
            ),
            INDEX,
        ]))
        .expect("an index");
    repository.list()
}

#[tokio::test]
async fn what_is_pending_is_told_and_then_run_in_order() {
    let (database, list) = (Blank::new().await, three());
    let waiting = async || -> Vec<i64> {
        let mut conn = database.connect().await;
        let versions = pending(&mut conn, &list)
            .await
            .expect("pending")
            .iter()
            .map(|m| m.version)
            .collect();
        conn.close().await.expect("close");
        versions
    };
    assert_eq!(waiting().await, [1, 2, 3]);
    assert_eq!(
        up_to(&database.options(), &list, 2, &limits())
            .await
            .expect("up"),
        [1, 2]
    );
    assert_eq!(waiting().await, [3]);
    assert_eq!(
        up(&database.options(), &list, &limits()).await.expect("up"),
        [3]
    );
    assert_eq!(
        up(&database.options(), &list, &limits()).await.expect("up"),
        [0_i64; 0]
    );
    assert_eq!(
        down(&database.options(), &list, 1, &limits())
            .await
            .expect("down"),
        [3, 2]
    );
    assert_eq!(
        down(&database.options(), &list, 0, &limits())
            .await
            .expect("down"),
        [1]
    );
    assert_eq!(waiting().await, [1, 2, 3]);
    assert_eq!(
        up(&database.options(), &list, &limits()).await.expect("up"),
        [1, 2, 3]
    );
}

#[tokio::test]
async fn a_program_older_than_the_database_is_refused() {
    let (database, list) = (Blank::new().await, three());
    up(&database.options(), &list, &limits()).await.expect("up");
    let error = up(&database.options(), &list[..2], &limits())
        .await
        .expect_err("ahead");
    assert!(matches!(error, Error::Ahead(3)), "{error}");
    let mut conn = database.connect().await;
    assert!(matches!(
        pending(&mut conn, &list[..2]).await,
        Err(Error::Ahead(3))
    ));
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let (database, mut list) = (Blank::new().await, three());
    up_to(&database.options(), &list, 1, &limits())
        .await
        .expect("up");
    database
        .run("alter table app.events add column badge text")
        .await;
    let before = database.catalogue().await;
    let error = up(&database.options(), &list, &limits())
        .await
        .expect_err("a column is there");
    assert!(matches!(error, Error::Failed { version: 2, .. }), "{error}");
    assert_eq!(database.catalogue().await, before);
    database
        .run("alter table app.events drop column badge")
        .await;
    assert_eq!(
        up(&database.options(), &list, &limits()).await.expect("up"),
        [2, 3]
    );
    list.remove(1);
    assert!(matches!(
        up(&database.options(), &list, &limits()).await,
        Err(Error::Ahead(2))
    ));
}

#[tokio::test]
async fn two_runs_at_once_do_the_work_once() {
    let (database, list) = (Blank::new().await, three());
    let options = database.options();
    let limits = limits();
    let (a, b, c) = tokio::join!(
        up(&options, &list, &limits),
        up(&options, &list, &limits),
        up(&options, &list, &limits)
    );
    let mut done: Vec<i64> = [a, b, c].into_iter().flat_map(|r| r.expect("up")).collect();
    done.sort_unstable();
    assert_eq!(done, [1, 2, 3]);
}

#[tokio::test]
async fn it_waits_for_a_lock_no_longer_than_told_and_tries_again() {
    let (database, list) = (Blank::new().await, three());
    up_to(&database.options(), &list, 1, &limits())
        .await
        .expect("up");
    let mut reader = database.connect().await;
    sqlx::raw_sql("begin; select count(*) from app.events")
        .execute(&mut reader)
        .await
        .expect("a long transaction");
    let short = Limits {
        lock_timeout: Duration::from_millis(200),
        attempts: 2,
        ..limits()
    };
    let error = up(&database.options(), &list, &short)
        .await
        .expect_err("locked");
    assert!(matches!(error, Error::Failed { version: 2, .. }), "{error}");
    let end = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        sqlx::raw_sql("commit")
            .execute(&mut reader)
            .await
            .expect("the end of it");
    };
    let patient = Limits {
        attempts: 8,
        ..short
    };
    let options = database.options();
    let (done, ()) = tokio::join!(up(&options, &list, &patient), end);
    assert_eq!(done.expect("up"), [2, 3]);
}

#[tokio::test]
async fn an_index_that_was_left_unfinished_is_built_again() {
    let (database, list) = (Blank::new().await, three());
    up_to(&database.options(), &list, 2, &limits())
        .await
        .expect("up");
    database
        .run("create index events_city_id_ends_at_idx on app.events (city_id)")
        .await;
    database.run("update pg_index set indisvalid = false where indexrelid = 'app.events_city_id_ends_at_idx'::regclass").await;
    // One that somebody else may be building at the moment.
    database
        .run("create index of_somebody_else on app.events (city_id)")
        .await;
    database.run("update pg_index set indisvalid = false where indexrelid = 'app.of_somebody_else'::regclass").await;
    assert_eq!(
        up(&database.options(), &list, &limits()).await.expect("up"),
        [3]
    );
    let lines = database.catalogue().await;
    assert!(
        lines
            .iter()
            .any(|l| l.contains("events_city_id_ends_at_idx") && l.ends_with("(city_id, ends_at)"))
    );
    // Fails if it is gone.
    database.run("drop index app.of_somebody_else").await;
}

#[tokio::test]
async fn a_role_that_would_fill_no_rows_is_refused() {
    let (database, list) = (Blank::new().await, three());
    let role = format!("plain_{}", uuid::Uuid::new_v4().simple());
    database
        .run(&format!(
            "create role {role} login password 'test' createrole"
        ))
        .await;
    let options = database.options().username(&role).password("test");
    let error = up(&options, &list, &limits()).await.expect_err("refused");
    database.run(&format!("drop role {role}")).await;
    assert!(matches!(error, Error::Role(_)), "{error}");
}
