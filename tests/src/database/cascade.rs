//! All paths by which archiving a row archives others, derived from the model, with rows of the demonstration data.

use crate::support::model;
use codegen::model::{Entity, EntityId, Lifecycle, OnArchive, Relation};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// The maximum number of rows that are tried for a path.
const CANDIDATES: usize = 40;

/// A relation by which archiving `parent` archives `child`.
#[derive(Clone, Copy)]
pub struct Edge {
    pub child: EntityId,
    pub relation: &'static Relation,
    pub parent: EntityId,
}

/// A path from the row that is archived by cascade up to the row that is archived itself.
pub type Way = Vec<Edge>;

pub fn entity(id: EntityId) -> &'static Entity {
    &model().entities[id]
}

pub fn soft() -> impl Iterator<Item = EntityId> {
    (0..model().entities.len()).filter(|id| entity(*id).lifecycle == Lifecycle::SoftDelete)
}

/// The edges from an entity to its parents.
pub fn edges(child: EntityId) -> Vec<Edge> {
    let of = |relation: &'static Relation| {
        let targets = relation.targets.iter().copied();
        targets.map(move |parent| Edge {
            child,
            relation,
            parent,
        })
    };
    let relations = entity(child).belongs.iter();
    relations
        .filter(|r| r.cascades())
        .flat_map(of)
        .filter(|edge| entity(edge.parent).lifecycle == Lifecycle::SoftDelete)
        .collect()
}

/// All paths from an entity upwards, the shortest first.
pub fn ways(child: EntityId) -> Vec<Way> {
    let mut found: Vec<Way> = edges(child).into_iter().map(|edge| vec![edge]).collect();
    let mut at = 0;
    while at < found.len() {
        let way = found[at].clone();
        let top = way.last().expect("an edge").parent;
        for edge in edges(top) {
            let mut longer = way.clone();
            if longer.iter().all(|e| e.child != edge.parent) {
                longer.push(edge);
                found.push(longer);
            }
        }
        at += 1;
    }
    found
}

/// The name of a path: `quote -lead-> lead -business-> business`.
pub fn name(way: &[Edge]) -> String {
    let mut text = entity(way[0].child).name.clone();
    for edge in way {
        text.push_str(&format!(
            " -{}-> {}",
            edge.relation.name,
            entity(edge.parent).name
        ));
    }
    text
}

/// Rows along a path, from the child to the top, all of them active.
pub async fn rows(conn: &mut PgConnection, way: &[Edge]) -> Vec<Vec<Uuid>> {
    let mut from = format!("app.{} t0", entity(way[0].child).plural);
    let (mut ids, mut live) = (
        vec!["t0.id".to_owned()],
        vec!["t0.status = 'active'".to_owned()],
    );
    for (at, edge) in way.iter().enumerate() {
        let parent = entity(edge.parent);
        let (own, up) = (format!("t{at}"), format!("t{}", at + 1));
        let typed = edge.relation.type_column().map_or(String::new(), |column| {
            format!(" and {own}.{column} = '{}'", parent.name)
        });
        from.push_str(&format!(
            " join app.{} {up} on {up}.id = {own}.{}{typed}",
            parent.plural,
            edge.relation.id_column()
        ));
        ids.push(format!("{up}.id"));
        live.push(format!("{up}.status = 'active'"));
    }
    let text = format!(
        "select array[{}] from {from} where {} order by md5(t0.id::text) limit {CANDIDATES}",
        ids.join(", "),
        live.join(" and ")
    );
    sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_all(conn)
        .await
        .expect("rows along a way")
}

/// Creates such rows if the demonstration data have none: copies others and makes them refer to each other. Must be
/// called in a transaction that is rolled back.
pub async fn made(conn: &mut PgConnection, way: &[Edge]) -> Option<Vec<Uuid>> {
    let edge = way[0];
    let above = match &way[1..] {
        [] => some(conn, edge.parent)
            .await
            .into_iter()
            .map(|id| vec![id])
            .collect(),
        rest => {
            let there = rows(conn, rest).await;
            match there.is_empty() {
                true => Box::pin(made(conn, rest)).await.into_iter().collect(),
                false => there,
            }
        }
    };
    let others = some(conn, edge.child).await;
    for chain in above.iter().take(8) {
        for other in &others {
            let copied = copy(conn, edge, *other, chain[0]).await;
            if let Some(id) = copied {
                return Some(std::iter::once(id).chain(chain.iter().copied()).collect());
            }
        }
    }
    None
}

async fn some(conn: &mut PgConnection, id: EntityId) -> Vec<Uuid> {
    let text = format!(
        "select id from app.{} where status = 'active' order by md5(id::text) limit 8",
        entity(id).plural
    );
    let found = sqlx::query_scalar(AssertSqlSafe(text)).fetch_all(conn);
    found.await.expect("some rows")
}

/// Copies the row `other` so that its parent is `parent`.
async fn copy(conn: &mut PgConnection, edge: Edge, other: Uuid, parent: Uuid) -> Option<Uuid> {
    let (of, above) = (entity(edge.child), entity(edge.parent));
    let id = Uuid::now_v7();
    let mut given = format!("'id', '{id}', '{}', '{parent}'", edge.relation.id_column());
    if let Some(column) = edge.relation.type_column() {
        given.push_str(&format!(", '{column}', '{}'", above.name));
    }
    for field in of.fields.iter().filter(|f| f.unique || f.name == "slug") {
        given.push_str(&format!(", '{}', 'x{}'", field.name, id.simple()));
    }
    let same = |name: &String| above.relation(name).is_some();
    for name in edge.relation.same.iter().filter(|name| same(name)) {
        given.push_str(&format!(
            ", '{name}_id', (select {name}_id from app.{} where id = '{parent}')",
            above.plural
        ));
    }
    let columns: String = sqlx::query_scalar(
        "select string_agg(quote_ident(attname), ', ') from pg_attribute
         where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
    )
    .bind(format!("app.{}", of.plural))
    .fetch_one(&mut *conn)
    .await
    .expect("columns");
    let text = format!(
        "insert into app.{table} ({columns}) select {columns} from jsonb_populate_record(null::app.{table},
           (select to_jsonb(t) from app.{table} t where t.id = '{other}') || jsonb_build_object({given}))",
        table = of.plural
    );
    attempt(conn, text).await.ok().map(|()| id)
}

pub async fn run(conn: &mut PgConnection, text: impl Into<String>) {
    let text = text.into();
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Sets a row's status, bypassing the rules, but not triggers and constraints. A refused change is rolled back.
pub async fn set_status(
    conn: &mut PgConnection,
    id: EntityId,
    row: Uuid,
    status: &str,
) -> Result<(), String> {
    let text = format!(
        "update app.{} set status = '{status}' where id = '{row}'",
        entity(id).plural
    );
    attempt(conn, text).await
}

pub async fn attempt(conn: &mut PgConnection, text: String) -> Result<(), String> {
    run(conn, "savepoint attempt").await;
    let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *conn).await;
    match done {
        Ok(_) => {
            run(conn, "release savepoint attempt").await;
            Ok(())
        }
        Err(error) => {
            run(conn, "rollback to savepoint attempt").await;
            Err(super::world::reason(&error))
        }
    }
}

pub async fn status(conn: &mut PgConnection, id: EntityId, row: Uuid) -> String {
    let text = format!(
        "select status from app.{} where id = '{row}'",
        entity(id).plural
    );
    sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_one(conn)
        .await
        .expect("a status")
}

const UNSOLD: &str = "update app.events set ticket_count = 0 where ticket_count > 0;
    update app.ticket_types set held = 0, sold = 0 where held + sold > 0";

/// Removes all sales, because of which most rows could not be archived: done once, this saves [`settle`] an update for
/// each of hundreds of paths.
pub async fn unsold(conn: &mut PgConnection) {
    run(conn, UNSOLD).await;
    run(conn, "vacuum app.events, app.ticket_types").await;
}

/// Changes rows so that no `delete` rule and no restriction prevents archiving the top row.
pub async fn settle(conn: &mut PgConnection, way: &[Edge], row: Uuid) {
    run(conn, UNSOLD).await;
    let top = way.last().expect("an edge").parent;
    run(conn, "set local session_replication_role = replica").await;
    for child in soft() {
        for relation in &entity(child).belongs {
            let restricts = relation.on_archive == OnArchive::Restrict;
            if restricts && relation.targets.contains(&top) {
                let text = format!(
                    "delete from app.{} where {} = '{row}'",
                    entity(child).plural,
                    relation.id_column()
                );
                run(conn, text).await;
            }
        }
    }
    run(conn, "set local session_replication_role = origin").await;
}

/// The status of every row of every table that can be archived, and the whole contents of rows in tables on the path.
pub async fn snapshot(conn: &mut PgConnection, way: &[Edge]) -> Vec<(String, String)> {
    let sums: Vec<String> = soft().map(|id| sum(id, way)).collect();
    // A single statement, since there are hundreds of snapshots. Sorted, since the parts may be computed in parallel.
    let text = sums.join(" union all ") + " order by 1";
    sqlx::query_as(AssertSqlSafe(text))
        .persistent(false)
        .fetch_all(conn)
        .await
        .expect("sums")
}

fn sum(id: EntityId, way: &[Edge]) -> String {
    let of = entity(id);
    let here = way.iter().any(|edge| edge.child == id || edge.parent == id);
    // A detached reference is not restored, and a change increases the version, so both are left out.
    let lost = of
        .belongs
        .iter()
        .filter(|r| r.on_archive == OnArchive::Detach);
    let lost: String = lost.map(|r| format!(" - '{}_id'", r.name)).collect();
    let row = match here {
        true => format!("(to_jsonb(t) - 'version' - 'updated_at'{lost})::text"),
        false => "t.id::text || t.status".to_owned(),
    };
    let table = &of.plural;
    format!(
        "select '{table}', coalesce(md5(string_agg({row}, ',' order by t.id)), '') from app.{table} t"
    )
}
