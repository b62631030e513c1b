//! A smaller version of the demonstration data: the same members and profiles, but fewer rows in tables with
//! thousands, so that tests that request everything as every member do not wait for long lists.

use super::model;
use codegen::model::{EntityId, Model};
use sqlx::{AssertSqlSafe, PgConnection};

/// Inserted orders, quotes and credits of several weeks. Those of the demonstration are made through the API (`seed
/// sales`), which takes longer, and all have today's date.
pub const SOLD: [&str; 3] = [
    include_str!("../../sql/sold/orders.sql"),
    include_str!("../../sql/sold/market.sql"),
    include_str!("../../sql/sold/wallets.sql"),
];

/// Tables with more than [`MANY`] rows are reduced to about [`KEPT`].
const MANY: i64 = 700;
const KEPT: i64 = 200;
/// The common prefix of the ids of the demonstration's members: rows that refer to one of them are kept.
const PEOPLE: &str = "0199c000-0000-7000-8000-";

/// Removes rows, children before their parents, so that no reference becomes invalid. Triggers are disabled, so
/// counters keep their values.
pub async fn thin(conn: &mut PgConnection) {
    let model = model();
    let mut order = crate::rules::world::order(model);
    order.reverse();
    execute(conn, "set session_replication_role = replica".to_owned()).await;
    for id in order {
        let table = &model.entities[id].plural;
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from app.{table}")))
                .fetch_one(&mut *conn)
                .await
                .expect("a count");
        if count > MANY {
            execute(
                conn,
                format!(
                    "delete from app.{table} t where to_jsonb(t)::text not like '%{PEOPLE}%' {}
                     and t.id not in (select id from app.{table} order by md5(id::text) limit {KEPT})",
                    unreferred(model, id)
                ),
            )
            .await;
        }
    }
    execute(conn, "reset session_replication_role".to_owned()).await;
}

/// `and not exists (…)` for every relation that can refer to this entity.
fn unreferred(model: &Model, target: EntityId) -> String {
    let relations = model.entities.iter().flat_map(|entity| {
        entity
            .belongs
            .iter()
            .map(move |relation| (entity, relation))
    });
    relations
        .filter(|(_, relation)| relation.targets.contains(&target))
        .map(|(entity, relation)| {
            let column = relation.id_column();
            format!(
                " and not exists (select from app.{} c where c.{column} = t.id)",
                entity.plural
            )
        })
        .collect()
}

async fn execute(conn: &mut PgConnection, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}
