//! Fields that a caller must not set, neither in bodies nor through routes for other callers.

use crate::support::{self, Member, TestServer, model};
use codegen::model::{Change, Entity};
use kernel::resource::Resource;
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The columns that bodies of an entity may contain according to the API document.
pub fn documented(kind: &str, entity: &str) -> BTreeSet<String> {
    let name: String = entity
        .split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect();
    support::document()["components"]["schemas"][format!("{kind}{name}")]["properties"]
        .as_object()
        .map(|fields| fields.keys().cloned().collect())
        .unwrap_or_default()
}

/// The columns of every table, according to the database.
pub async fn columns(conn: &mut PgConnection) -> BTreeMap<String, BTreeSet<String>> {
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

/// Checksums of all rows of all entities, which refused requests must not change.
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
    // This table changes when the test signs members in.
    sums.remove("sessions");
    sums
}

/// A member with every role in some scope, so that no request is refused before its body is read.
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

/// The id of a row of the table, or a random one if the table is empty.
async fn some_row(conn: &mut PgConnection, entity: &Entity) -> Uuid {
    let text = format!("select id from app.{} order by id limit 1", entity.plural);
    sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_optional(conn)
        .await
        .expect("looked")
        .unwrap_or_else(Uuid::now_v7)
}

pub fn writable() -> impl Iterator<Item = (&'static Entity, &'static Resource)> {
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
                .map(|column| (column.clone(), Value::from("another")))
                .collect();
            tried += body.len();
            let is_update = method != "POST";
            let is_shown = admin.get(&path).await.status == 200;
            // Values in an answer may be repeated unchanged, which is checked against a row that the caller sees.
            // Values that change by themselves are ignored.
            let is_told = |column: &&String| {
                let is = |names: &[&str]| is_update && names.contains(&column.as_str());
                !is(resource.moving) && (is_shown || !is(resource.fixed))
            };
            let wanted: Vec<String> = body
                .keys()
                .filter(is_told)
                .map(|column| format!("/{column}"))
                .collect();
            let method = method.parse().expect("a method");
            let answer = admin
                .send(method, &path, Some(body.into()), &[("if-match", "*")])
                .await;
            // If all fields of the body are ignored, the request is refused for other reasons.
            let nothing = wanted.is_empty() && [403, 404].contains(&answer.status.as_u16());
            assert!(answer.status == 422 || nothing, "{path}: {}", answer.text);
            if nothing {
                continue;
            }
            let unknown: Vec<&str> = answer.json["errors"]
                .as_array()
                .expect("errors")
                .iter()
                .filter(|error| error["code"] == "unknown" || error["code"] == "read_only")
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

#[tokio::test]
async fn abuse_24_a_mark_of_the_city_is_given_by_the_city_alone() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let mut marks = 0;
    for (entity, resource) in writable() {
        for transition in &entity.transitions {
            let Change::Set(set) = &transition.change else {
                continue;
            };
            let field = &set.column;
            if entity.relation("city").is_none() || transition.name.starts_with("un") {
                continue;
            }
            // All rows of the demonstration have this mark.
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
