//! Every way that archiving a row archives others, worked out from the model, with rows of the demonstration world.

use crate::support::model;
use codegen::model::{Entity, EntityId, Lifecycle, OnArchive, Relation};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// Rows that are tried for one way before it is given up.
const CANDIDATES: usize = 40;

/// A relation along which archiving `parent` archives `child`.
#[derive(Clone, Copy)]
pub struct Edge {
    pub child: EntityId,
    pub relation: &'static Relation,
    pub parent: EntityId,
}

/// From the row that goes along to the one that is archived.
pub type Way = Vec<Edge>;

pub fn entity(id: EntityId) -> &'static Entity {
    &model().entities[id]
}

pub fn soft() -> impl Iterator<Item = EntityId> {
    (0..model().entities.len()).filter(|id| entity(*id).lifecycle == Lifecycle::SoftDelete)
}

/// The edges that lead up from an entity.
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

/// All ways from an entity upwards, the shortest first.
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

/// `quote -lead-> lead -business-> business`
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

/// Rows along a way, from the child to the top, all of them active.
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

/// The same where the demonstration world has no such rows: others are copied, and refer to each other. In a
/// transaction that is undone.
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

/// A row like `other` below `parent`.
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

/// Past all rules, but not past triggers and constraints. What is refused is undone by itself.
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

/// Where most rows could not be archived, because something of them is sold: done once, it spares hundreds of ways the
/// update that [`settle`] undoes with each.
pub async fn unsold(conn: &mut PgConnection) {
    run(conn, UNSOLD).await;
    run(conn, "vacuum app.events, app.ticket_types").await;
}

/// Nothing that a `delete` rule says of rows stands in the way, and nothing that forbids archiving the top row.
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

/// Every row of every table that can be archived, in its status; of the tables on the way also all it holds.
pub async fn snapshot(conn: &mut PgConnection, way: &[Edge]) -> Vec<(String, String)> {
    let sums: Vec<String> = soft().map(|id| sum(id, way)).collect();
    // In one message: there are hundreds of snapshots. In order, since parts may be computed in parallel.
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
    // A reference that is let go does not come back; a change is a version.
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
