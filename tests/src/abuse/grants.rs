//! The same fields without the API: statements of the request role that no server would send.

use super::fields::{documented, writable};
use crate::support::{Database, TestServer, database::Content, model};
use codegen::model::Entity;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

#[tokio::test]
async fn abuse_22_the_database_grants_no_column_that_no_body_holds() {
    let database = Database::new(Content::Demo).await;
    let (mut superuser, mut request) = (database.superuser().await, database.request_role().await);
    let rows: Vec<(String, String, bool, bool, bool)> = sqlx::query_as(
        "select c.relname::text, a.attname::text,
                has_column_privilege('culturepass_app', c.oid, a.attnum, 'insert'),
                has_column_privilege('culturepass_app', c.oid, a.attnum, 'update'),
                has_column_privilege('culturepass_app', c.oid, a.attnum, 'select')
         from pg_attribute a join pg_class c on c.oid = a.attrelid
         where c.relnamespace = 'app'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped",
    )
    .fetch_all(&mut superuser)
    .await
    .expect("grants");
    assert!(rows.len() > 500, "{} columns", rows.len());
    for (table, column, insert, update, select) in rows {
        let entity = model()
            .entities
            .iter()
            .find(|entity| entity.plural == table)
            .expect("an entity");
        let place = format!("{table}.{column}");
        let is_in = |kind| entity.writable() && documented(kind, &entity.name).contains(&column);
        assert_eq!(insert, is_in("Create"), "insert {place}");
        assert_eq!(
            update,
            is_in("Replace") || action_columns(entity).contains(&column),
            "update {place}"
        );
        if entity.internal || guarded(entity).contains(&column) {
            assert!(!select, "select {place}");
        } else if documented("", &entity.name).contains(&column) {
            assert!(select, "select {place}");
        }
    }
    for entity in &model().entities {
        for text in ["delete from app.{} where false", "truncate app.{}"] {
            let text = text.replace("{}", &entity.plural);
            assert!(denied(&mut request, text.clone()).await, "{text}");
        }
    }
}

/// Runs the statements, instead of only comparing privileges.
#[tokio::test]
async fn abuse_22_what_a_body_may_not_hold_no_statement_can_write() {
    let database = Database::new(Content::Demo).await;
    let (mut superuser, mut request) = (database.superuser().await, database.request_role().await);
    for (table, column) in [
        ("events", "id"),
        ("events", "version"),
        ("events", "featured_until"),
        ("events", "ticket_count"),
        ("events", "created_at"),
        ("users", "email"),
        ("users", "handle"),
        ("users", "stripe_customer_id"),
        ("reviews", "reviewer_id"),
        ("businesses", "charges_enabled"),
        ("role_assignments", "role"),
        ("role_assignments", "granted_by_id"),
        ("wallet_accounts", "balance_cents"),
        ("tickets", "state"),
        ("credentials", "password_hash"),
    ] {
        let text = format!("update app.{table} set {column} = null where false");
        assert!(denied(&mut request, text.clone()).await, "{text}");
        // The negative control: with the privilege, the same statement runs.
        let grant = format!("grant update ({column}) on app.{table} to culturepass_app");
        sqlx::raw_sql(AssertSqlSafe(grant))
            .execute(&mut superuser)
            .await
            .expect("granted");
        assert!(!denied(&mut request, text.clone()).await, "{text}");
    }
    for (table, column) in [
        ("events", "state"),
        ("events", "status"),
        ("events", "id"),
        ("likes", "user_id"),
        ("users", "handle"),
    ] {
        let text = format!(
            "insert into app.{table} ({column}) select null from app.countries where false"
        );
        assert!(denied(&mut request, text.clone()).await, "{text}");
    }
}

/// Columns that not everybody may read: they are only returned by a function.
fn guarded(entity: &Entity) -> BTreeSet<String> {
    let fields = entity.fields.iter().filter(|field| field.read.is_some());
    let relations = entity
        .belongs
        .iter()
        .filter(|relation| relation.read.is_some());
    fields
        .map(|field| field.name.clone())
        .chain(relations.flat_map(|relation| {
            relation
                .type_column()
                .into_iter()
                .chain([relation.id_column()])
        }))
        .collect()
}

/// Columns that actions change; the guard trigger allows each action only its own effect.
fn action_columns(entity: &Entity) -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    if !entity.writable() {
        return columns;
    }
    let access = &entity.access;
    if access.delete.is_some() || access.restore.is_some() || access.suspend.is_some() {
        columns.insert("status".to_owned());
    }
    for transition in &entity.transitions {
        columns.extend(transition.columns().map(str::to_owned));
    }
    columns
}

/// The privileges exist because of actions, but an update can't change these columns, whoever sends it.
#[tokio::test]
async fn abuse_22_an_update_in_sql_changes_neither_status_nor_state() {
    let server = TestServer::demo().await;
    let mut superuser = server.superuser().await;
    let mut request = server.database.request_role().await;
    let mut actors: Vec<Uuid> = server::seed::demo::PEOPLE
        .iter()
        .map(|person| person.id)
        .collect();
    let others: Vec<Uuid> =
        sqlx::query_scalar("select distinct user_id from app.role_assignments order by 1 limit 20")
            .fetch_all(&mut superuser)
            .await
            .expect("people");
    actors.extend(others);
    let mut covered = BTreeSet::new();
    for (entity, resource) in writable() {
        if resource.update.is_none() {
            continue;
        }
        for &actor in &actors {
            let Some(id) = enter_and_find(&mut request, actor, &entity.plural).await else {
                continue;
            };
            for column in action_columns(entity) {
                let change = match column.as_str() {
                    "status" => "'archived'".to_owned(),
                    column => other_value(entity, column),
                };
                let text = format!(
                    "update app.{} set {column} = {change} where id = '{id}' and {column} is distinct from {change}",
                    entity.plural
                );
                sqlx::raw_sql("savepoint s")
                    .execute(&mut request)
                    .await
                    .expect("a savepoint");
                let result = sqlx::raw_sql(AssertSqlSafe(text.clone()))
                    .execute(&mut request)
                    .await;
                let code = result
                    .as_ref()
                    .err()
                    .and_then(|e| e.as_database_error())
                    .and_then(|e| e.code());
                assert_eq!(code.as_deref(), Some("42501"), "{text}: {result:?}");
                sqlx::raw_sql("rollback to s")
                    .execute(&mut request)
                    .await
                    .expect("back");
                covered.insert(format!("{}.{column}", entity.plural));
            }
            sqlx::raw_sql("rollback")
                .execute(&mut request)
                .await
                .expect("rolled back");
            break;
        }
    }
    assert!(covered.len() >= 20, "{covered:?}");
}

/// Begins a request of this actor and returns a row that the actor may update. None: there is no such row.
async fn enter_and_find(conn: &mut PgConnection, actor: Uuid, table: &str) -> Option<Uuid> {
    sqlx::raw_sql("begin")
        .execute(&mut *conn)
        .await
        .expect("begun");
    sqlx::query("select sec.enter($1, null, 'update', gen_random_uuid())")
        .bind(actor)
        .execute(&mut *conn)
        .await
        .expect("entered");
    let text = format!("select t.id from app.{table} t order by t.id limit 1 for update");
    let found = sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_optional(&mut *conn)
        .await
        .expect("looked");
    if found.is_none() {
        sqlx::raw_sql("rollback")
            .execute(conn)
            .await
            .expect("rolled back");
    }
    found
}

/// An expression for a value that differs from the present one in at least some rows.
fn other_value(entity: &Entity, column: &str) -> String {
    let Some(field) = entity.field(column) else {
        // A relation that a transition sets.
        return "sec.uid()".to_owned();
    };
    match &field.ty {
        codegen::model::Ty::Time => "now()".to_owned(),
        codegen::model::Ty::Bool => format!("not {column}"),
        codegen::model::Ty::States { values } => {
            let cases: Vec<String> = values
                .windows(2)
                .map(|pair| format!("when '{}' then '{}'", pair[0], pair[1]))
                .collect();
            format!("case {column} {} else '{}' end", cases.join(" "), values[0])
        }
        other => panic!("{column}: {other:?}"),
    }
}

/// Whether the request role lacks the privilege for this statement.
async fn denied(conn: &mut PgConnection, text: String) -> bool {
    let result = sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await;
    let Err(error) = result else { return false };
    let error = error
        .as_database_error()
        .expect("an answer of the database");
    error.code().as_deref() == Some("42501") && error.message().starts_with("permission denied")
}
