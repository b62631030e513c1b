//! Waiting until other sessions wait for locks, so that concurrent transactions of a test meet in the intended order.

use sqlx::PgConnection;
use std::time::Duration;

/// Waits until so many sessions that use this table are waiting for a lock. Needs a connection outside of a
/// transaction, since within one PostgreSQL shows the sessions as of its beginning.
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
