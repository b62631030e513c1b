//! Waiting until others wait, so that two who meet in a test meet in the order that it wants.

use sqlx::PgConnection;
use std::time::Duration;

/// Until so many sessions that use this table wait for a lock. By a connection of its own: within a transaction
/// PostgreSQL shows the sessions of its beginning.
pub async fn until_waiting(conn: &mut PgConnection, table: &str, sessions: i64) {
    let count = "select count(distinct l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
        where l.relation = $1::regclass and a.datname = current_database() and a.wait_event_type = 'Lock'";
    for _ in 0..1000 {
        let found: i64 = sqlx::query_scalar(count)
            .bind(table)
            .fetch_one(&mut *conn)
            .await
            .expect("counted");
        if found >= sessions {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("fewer than {sessions} wait for {table}");
}
