//! The demonstration world with fewer rows, for tests that read every list to its end again and again.

use super::{TestServer, model};
use sqlx::AssertSqlSafe;

const ROWS: usize = 150;

pub async fn demo() -> TestServer {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    // Without triggers: nothing follows from it but that the rows are not there.
    let mut text = "set session_replication_role = replica;".to_owned();
    for entity in &model().entities {
        if entity.name == "user" {
            continue;
        }
        // Cities last of all lose those that others are in.
        let order = match entity.name.as_str() {
            "city" => "(select count(*) from app.users u where u.home_city_id = t.id) desc, t.id",
            _ => "t.id",
        };
        let table = &entity.plural;
        text += &format!(
            "delete from app.{table} where id in (select t.id from app.{table} t order by {order} offset {ROWS});"
        );
    }
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut conn)
        .await
        .expect("fewer rows");
    server
}
