//! Fields that a caller must not set: in bodies, past the API in SQL, and by routes that are for others.

use crate::support::{self, Member, TestServer, model};
use codegen::model::{Change, Entity};
use kernel::resource::Resource;
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Columns that bodies of an entity may hold, as the API document says.
fn documented(kind: &str, entity: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(app::api::document()).expect("JSON");
    let name: String = entity
        .split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect();
    document["components"]["schemas"][format!("{kind}{name}")]["properties"]
        .as_object()
        .map(|fields| fields.keys().cloned().collect())
        .unwrap_or_default()
}

/// Columns of every table, from the database itself.
async fn columns(conn: &mut PgConnection) -> BTreeMap<String, BTreeSet<String>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select table_name::text, column_name::text from information_schema.columns c
         where table_schema = 'app' and exists (select from information_schema.tables t
           where t.table_schema = 'app' and t.table_name = c.table_name and t.table_type = 'BASE TABLE')",
    )
    .fetch_all(conn)
    .await
    .expect("columns");
    let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
    for (table, column) in rows {
        tables.entry(table).or_default().insert(column);
    }
    tables
}

/// Of all rows of all entities that somebody may change: what refused requests must leave alone.
pub async fn checksum(conn: &mut PgConnection) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for entity in &model().entities {
        let text = format!(
            "select coalesce(md5(string_agg(t::text, '|' order by t.id)), '') from app.{} t",
            entity.plural
        );
        let sum = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut *conn)
            .await
            .expect("a sum");
        sums.insert(entity.plural.clone(), sum);
    }
    // Signing people in for the test moves this one.
    sums.remove("sessions");
    sums
}

/// Holds every role of something, so that no route says no before it has read the body.
pub async fn everything(server: &TestServer) -> Member {
    let member = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let mut conn = server.superuser().await;
    let organization: Uuid =
        sqlx::query_scalar("select id from app.organizations where state = 'approved' limit 1")
            .fetch_one(&mut conn)
            .await
            .expect("an organisation");
    server
        .grant(&member, "orgAdmin", Some(("organization", organization)))
        .await;
    server
        .grant(
            &member,
            "cityAdmin",
            Some(("city", server.city("melbourne").await)),
        )
        .await;
    member
}

/// One row of each table that is there, if there is one.
async fn some_row(conn: &mut PgConnection, entity: &Entity) -> Uuid {
    let text = format!("select id from app.{} order by id limit 1", entity.plural);
    sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_optional(conn)
        .await
        .expect("looked")
        .unwrap_or_else(Uuid::now_v7)
}

fn writable() -> impl Iterator<Item = (&'static Entity, &'static Resource)> {
    let resources = support::resources();
    model()
        .entities
        .iter()
        .filter(|entity| entity.writable())
        .filter_map(|entity| Some((entity, *resources.get(entity.name.as_str())?)))
}

#[tokio::test]
async fn abuse_21_fields_of_the_server_are_in_no_body() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let admin = everything(&server).await.client;
    let tables = columns(&mut conn).await;
    let before = checksum(&mut conn).await;
    let mut tried = 0;
    for (entity, resource) in writable() {
        let id = some_row(&mut conn, entity).await;
        let (create, update) = (
            documented("Create", &entity.name),
            documented("Replace", &entity.name),
        );
        let mut kinds = Vec::new();
        if resource.create.is_some() {
            kinds.push(("POST", format!("/{}", resource.path), create));
        }
        if resource.update.is_some() {
            kinds.push(("PUT", format!("/{}/{id}", resource.path), update.clone()));
            kinds.push(("PATCH", format!("/{}/{id}", resource.path), update));
        }
        for (method, path, allowed) in kinds {
            let body: Map<String, Value> = tables[&entity.plural]
                .iter()
                .filter(|column| !allowed.contains(*column))
                .map(|column| (column.clone(), Value::from(1)))
                .collect();
            tried += body.len();
            let wanted: Vec<String> = body.keys().map(|column| format!("/{column}")).collect();
            let method = method.parse().expect("a method");
            let answer = admin
                .send(method, &path, Some(body.into()), &[("if-match", "*")])
                .await;
            assert_eq!(answer.status, 422, "{path}: {}", answer.text);
            let unknown: Vec<&str> = answer.json["errors"]
                .as_array()
                .expect("errors")
                .iter()
                .filter(|error| error["code"] == "unknown")
                .filter_map(|error| error["pointer"].as_str())
                .collect();
            for column in &wanted {
                assert!(
                    unknown.contains(&column.as_str()),
                    "{path} took {column}: {}",
                    answer.text
                );
            }
        }
    }
    assert!(tried > 500, "only {tried} fields tried");
    assert_eq!(before, checksum(&mut conn).await);
}

/// Why the request role may not run a statement; `None` if it may.
async fn denied(conn: &mut PgConnection, text: String) -> Option<String> {
    let result = sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(conn)
        .await;
    let error = result.err()?;
    let error = error
        .as_database_error()
        .expect("an answer of the database");
    let is_grant = error.code().as_deref() == Some("42501")
        && error.message().starts_with("permission denied");
    is_grant.then(|| error.message().to_owned())
}

#[tokio::test]
async fn abuse_22_the_database_grants_no_column_that_no_body_holds() {
    let server = TestServer::demo().await;
    let (mut superuser, mut request) = (
        server.superuser().await,
        server.database.request_role().await,
    );
    let tables = columns(&mut superuser).await;
    for table in tables.keys() {
        // Grants alone are asked here; planning the policies of a thousand statements would take a minute.
        let text = format!("alter table app.{table} disable row level security");
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut superuser)
            .await
            .expect("off");
    }
    let mut refused = 0;
    for entity in &model().entities {
        let table = &entity.plural;
        let (create, update) = match entity.writable() {
            true => (
                documented("Create", &entity.name),
                documented("Replace", &entity.name),
            ),
            false => Default::default(),
        };
        let actions: BTreeSet<String> = action_columns(entity);
        for column in &tables[table] {
            for (text, allowed) in [
                (
                    format!(
                        "insert into app.{table} ({column}) select null from app.{table} where false"
                    ),
                    create.contains(column),
                ),
                (
                    format!("update app.{table} set {column} = null where false"),
                    update.contains(column) || actions.contains(column),
                ),
            ] {
                // Values that do not fit are found before grants are asked; the words of a grant are not.
                let no = denied(&mut request, text.clone()).await.is_some()
                    || is_generated(&mut superuser, table, column).await;
                assert_eq!(no, !allowed, "{text}");
                refused += usize::from(no);
            }
        }
        let text = format!("delete from app.{table} where false");
        assert!(denied(&mut request, text).await.is_some(), "{table}");
        let shown = documented("", &entity.name);
        for column in &tables[table] {
            let text = format!("select {column} from app.{table} where false");
            let no = denied(&mut request, text.clone()).await.is_some();
            if entity.internal || guarded(entity).contains(column) {
                assert!(no, "{text}");
            } else if shown.contains(column) {
                assert!(!no, "{text}");
            }
        }
    }
    assert!(refused > 800, "only {refused} refusals");
    // The negative control: with the grant, the same statement runs.
    let text = "update app.events set version = null where false".to_owned();
    assert!(denied(&mut request, text.clone()).await.is_some());
    sqlx::raw_sql("grant update (version) on app.events to culturepass_app")
        .execute(&mut superuser)
        .await
        .expect("granted");
    assert_eq!(denied(&mut request, text).await, None);
}

async fn is_generated(conn: &mut PgConnection, table: &str, column: &str) -> bool {
    sqlx::query_scalar(
        "select attgenerated <> '' from pg_attribute where attrelid = ('app.' || $1)::regclass and attname = $2",
    )
    .bind(table)
    .bind(column)
    .fetch_one(conn)
    .await
    .expect("a column")
}

/// Columns that not everybody may read: only a function gives them out.
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

/// What actions change, which the guard trigger holds to their effect.
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
        let (Change::State { field, .. } | Change::Set { field, .. }) = &transition.change;
        columns.insert(field.clone());
    }
    columns
}

/// Granted for actions, but an update does not change them, whoever sends it.
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

/// Begins a request of this actor, who wants to update a row; none: they may update nothing here.
async fn enter_and_find(conn: &mut PgConnection, actor: Uuid, table: &str) -> Option<Uuid> {
    sqlx::raw_sql("begin")
        .execute(&mut *conn)
        .await
        .expect("begun");
    sqlx::query("select sec.enter($1, null, 'update', 'test')")
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

/// Something else than there can be now, or at least for one of them.
fn other_value(entity: &Entity, column: &str) -> String {
    let field = entity.field(column).expect("a field");
    match &field.ty {
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

#[tokio::test]
async fn abuse_24_a_mark_of_the_city_is_given_by_the_city_alone() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let mut marks = 0;
    for (entity, resource) in writable() {
        for transition in &entity.transitions {
            let Change::Set { field, .. } = &transition.change else {
                continue;
            };
            if entity.relation("city").is_none() || transition.name.starts_with("un") {
                continue;
            }
            // The demonstration world is all marked.
            let text = format!(
                "update app.{0} set {field} = false where id = (select id from app.{0} where status = 'active' limit 1)
                 returning id, city_id",
                entity.plural
            );
            let (id, city): (Uuid, Uuid) = sqlx::query_as(AssertSqlSafe(text))
                .fetch_one(&mut conn)
                .await
                .expect("a row");
            let path = format!("/{}/{id}", resource.path);
            let owner = server.member(&format!("owner{marks}")).await;
            server
                .grant(&owner, "orgAdmin", Some((&entity.name, id)))
                .await;
            let far = server.member(&format!("far{marks}")).await;
            let elsewhere = match server.city("auckland").await {
                auckland if auckland == city => server.city("melbourne").await,
                auckland => auckland,
            };
            server
                .grant(&far, "cityAdmin", Some(("city", elsewhere)))
                .await;
            let near = server.member(&format!("near{marks}")).await;
            server.grant(&near, "cityAdmin", Some(("city", city))).await;

            for client in [&owner.client, &far.client, &server.client] {
                let answer = client.act(&format!("{path}/{}", transition.name)).await;
                assert!(
                    matches!(answer.status.as_u16(), 401 | 403 | 404),
                    "{path}: {}",
                    answer.text
                );
            }
            let sent = owner
                .client
                .patch(&path, "*", json!({ field: true }))
                .await
                .expect(422);
            assert_eq!(sent.pointers(), [format!("/{field}")]);
            let shown = owner.client.get(&path).await.expect(200);
            assert_eq!(shown.json[field], json!(false), "{path}");
            let marked = near
                .client
                .act(&format!("{path}/{}", transition.name))
                .await
                .expect(200);
            assert_eq!(marked.json[field], json!(true), "{path}");
            marks += 1;
        }
    }
    assert!(marks >= 4, "{marks} marks");
}

#[tokio::test]
async fn abuse_24_nobody_makes_themselves_a_moderator() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let ana = server.member("ana").await;
    let (community, city): (Uuid, Uuid) = sqlx::query_as(
        "select id, city_id from app.communities where visibility = 'public' and join_policy = 'open' and status = 'active' limit 1",
    )
    .fetch_one(&mut conn)
    .await
    .expect("a community");
    let join = |role: &str| json!({"community_id": community, "user_id": ana.id, "role": role});
    let answer = ana
        .client
        .post("/community-members", join("moderator"))
        .await
        .expect(403);
    assert_eq!(
        (answer.problem(), answer.pointers()),
        ("forbidden-field", vec!["/role"])
    );
    let member = ana
        .client
        .post("/community-members", join("member"))
        .await
        .expect(201);
    let path = format!("/community-members/{}", member.id());
    for body in [
        json!({"role": "moderator"}),
        json!({"role": "moderator", "state": "active"}),
    ] {
        let answer = ana.client.patch(&path, "*", body).await;
        assert!(
            matches!(answer.status.as_u16(), 403 | 422),
            "{}",
            answer.text
        );
    }
    ana.client.act(&format!("{path}/join")).await.expect(200);
    ana.client
        .patch(&path, "*", json!({"role": "moderator"}))
        .await
        .expect(403);
    let carla = server.member("carla").await;
    server
        .grant(&carla, "cityAdmin", Some(("city", city)))
        .await;
    carla
        .client
        .patch(&path, "*", json!({"role": "moderator"}))
        .await
        .expect(200);
}
