//! The indexes that a write touches.

use crate::support::{self, Database, database::Content};
use codegen::model::Lifecycle;
use sqlx::{AssertSqlSafe, PgConnection};

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Whether an update of what every update changes touched no index. `None`: the table has no row.
async fn leaves_indexes_alone(conn: &mut PgConnection, table: &str) -> Option<bool> {
    run(conn, "begin").await;
    let change = format!(
        "update app.{table} set version = version + 1, updated_at = now() where id = (select id from app.{table} limit 1)"
    );
    run(conn, &change).await;
    let counts = format!(
        "select pg_stat_get_xact_tuples_updated('app.{table}'::regclass), pg_stat_get_xact_tuples_hot_updated('app.{table}'::regclass)"
    );
    let (updated, in_place): (i64, i64) = sqlx::query_as(AssertSqlSafe(counts))
        .fetch_one(&mut *conn)
        .await
        .expect("counts");
    run(conn, "rollback").await;
    (updated > 0).then_some(in_place == updated)
}

/// Claim: a change of a column without an index touches no index: the row's page has room, and no index contains the
/// columns that every update changes.
#[tokio::test]
async fn an_update_of_an_ordinary_field_touches_no_index() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    let (mut tried, mut wrong) = (0, Vec::new());
    for entity in &support::model().entities {
        let changes = entity.access.update.is_some() && entity.writable() && !entity.internal;
        if !changes || entity.lifecycle == Lifecycle::AppendOnly {
            continue;
        }
        match leaves_indexes_alone(&mut conn, &entity.plural).await {
            Some(true) => tried += 1,
            Some(false) => wrong.push(entity.plural.clone()),
            None => {}
        }
    }
    assert!(wrong.is_empty() && tried > 10, "{tried}, {wrong:?}");
    run(&mut conn, "create index on app.events (updated_at)").await;
    assert_eq!(
        leaves_indexes_alone(&mut conn, "events").await,
        Some(false),
        "the check notices a touched index"
    );
}
