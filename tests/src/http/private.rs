//! Null and hidden are different: a property that the reader may see is always present, null if it has no value; a
//! property that the reader may not see is left out.

use crate::support::{Client, TestServer, model, resources, rows};
use kernel::resource::Resource;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet};

/// For every visible row, in its list and by itself: which private properties are present.
type Seen = BTreeMap<(&'static str, usize, String, &'static str), BTreeSet<String>>;

fn private(resource: &Resource) -> Vec<(String, bool)> {
    let entity = model()
        .entities
        .iter()
        .find(|entity| entity.name == resource.name);
    let entity = entity.expect("an entity");
    let optional = |name: &str| {
        let field = entity.field(name).map(|field| field.optional);
        let relation = entity
            .belongs
            .iter()
            .find(|r| r.id_column() == name || r.type_column().as_deref() == Some(name));
        field
            .or(relation.map(|relation| relation.optional))
            .unwrap_or(false)
    };
    let columns = entity.private_columns();
    columns
        .into_iter()
        .map(|(name, _)| (name.clone(), optional(&name)))
        .collect()
}

fn keys(row: &Value, names: &[(String, bool)]) -> BTreeSet<String> {
    let row = row.as_object().expect("an object");
    names
        .iter()
        .map(|(name, _)| name)
        .filter(|name| row.contains_key(*name))
        .cloned()
        .collect()
}

/// Looks at rows in lists, by themselves, and within another object with `expand`, by the first relation that leads
/// there.
async fn look(clients: &[Client], guarded: &[&'static Resource]) -> Seen {
    let mut seen = Seen::new();
    for resource in guarded {
        let names = private(resource);
        for (who, client) in clients.iter().enumerate() {
            let list = client.get(&format!("/{}?limit=40", resource.path)).await;
            if list.status != 200 {
                continue;
            }
            for (number, row) in list.json["data"]
                .as_array()
                .expect("rows")
                .iter()
                .enumerate()
            {
                let id = row["id"].as_str().expect("an id").to_owned();
                if number < 6 {
                    let one = client
                        .get(&format!("/{}/{id}", resource.path))
                        .await
                        .expect(200);
                    seen.insert(
                        (resource.name, who, id.clone(), "one"),
                        keys(&one.json, &names),
                    );
                }
                seen.insert((resource.name, who, id, "list"), keys(row, &names));
            }
        }
    }
    for other in resources().values() {
        for expand in other.expands.iter().filter(|expand| !expand.hidden) {
            let Some(target) = guarded.iter().find(|r| expand.targets == [r.name]) else {
                continue;
            };
            let names = private(target);
            for (who, client) in clients.iter().enumerate() {
                let path = format!("/{}?expand={}&limit=5", other.path, expand.name);
                let list = client.get(&path).await;
                for row in list.json["data"].as_array().into_iter().flatten() {
                    let inside = &row[expand.name];
                    if let Some(id) = inside["id"].as_str() {
                        let key = (target.name, who, id.to_owned(), "inside");
                        seen.insert(key, keys(inside, &names));
                    }
                }
            }
        }
    }
    seen
}

/// Claim: the presence of a private property depends on the reader only, not on its value. After all values were set
/// to null in the database, each property is still present for the same readers.
#[tokio::test]
async fn what_may_be_seen_is_there_although_it_is_empty() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let mut clients = vec![server.client.clone()];
    for person in rows::people(&mut conn).await.into_iter().take(9) {
        clients.push(server.sign_in(person).await.client);
    }
    let guarded: Vec<&Resource> = resources()
        .values()
        .copied()
        .filter(|r| r.guarded)
        .collect();
    assert!(guarded.len() >= 8, "{}", guarded.len());
    let before = look(&clients, &guarded).await;
    // Without triggers, so that no rules are checked and nothing is counted.
    sqlx::raw_sql("set session_replication_role = replica")
        .execute(&mut conn)
        .await
        .expect("set");
    let mut emptied = BTreeSet::new();
    for resource in &guarded {
        for (name, optional) in private(resource) {
            let is_read =
                (model().entities.iter()).any(|e| e.name == resource.name && rules_read(e, &name));
            if !optional || is_read {
                continue;
            }
            let text = format!("update app.{} set {name} = null", resource.plural);
            if sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut conn)
                .await
                .is_ok()
            {
                emptied.insert((resource.name, name));
            }
        }
    }
    assert!(emptied.len() >= 8, "{emptied:?}");
    let after = look(&clients, &guarded).await;
    assert_eq!(before.len(), after.len());
    let (mut shown, mut left_out) = (0, 0);
    for (key, before) in &before {
        assert_eq!(Some(before), after.get(key), "{key:?}");
        let all = private(resources()[key.0]).len();
        shown += before.len();
        left_out += all - before.len();
    }
    assert!(
        shown > 50 && left_out > 500,
        "{shown} shown, {left_out} left out"
    );
    // Readers see null there now.
    let user = &clients[1];
    let me = user.get("/users?limit=1").await.json["data"][0].clone();
    assert!(me.is_object());
}

/// Whether a rule of the entity depends on the column: then setting it to null changes who sees what.
fn rules_read(entity: &codegen::model::Entity, column: &str) -> bool {
    let column = column.trim_end_matches("_id").trim_end_matches("_type");
    format!("{:?}", entity.access).contains(&format!("\"{column}"))
}

/// The same in answers to writes: a draft without the optional properties has them as null.
#[tokio::test]
async fn answers_of_writing_show_what_their_writer_may_see() {
    let server = TestServer::demo().await;
    let people = rows::people(server.superuser().await.looking()).await;
    let mut covered = BTreeSet::new();
    for resource in resources()
        .values()
        .copied()
        .filter(|r| r.guarded && r.update.is_some())
    {
        let Some(right) = rows::who_may(&server.database, &people, resource, "update").await else {
            continue;
        };
        let client = server.sign_in(right.person).await.client;
        let path = format!("/{}/{}", resource.path, right.row);
        let read = client.get(&path).await;
        if read.status != 200 {
            continue;
        }
        let names = private(resource);
        for body in [serde_json::json!({})] {
            let written = client.patch(&path, "*", body).await.expect(200);
            assert_eq!(
                keys(&written.json, &names),
                keys(&read.json, &names),
                "{path}"
            );
        }
        for verb in read.json["allowed_actions"].as_array().expect("actions") {
            let transition = resource.transitions.iter().find(|t| *verb == t.name);
            let Some(transition) = transition.filter(|t| !t.reason) else {
                continue;
            };
            let done = client
                .act(&format!("{path}/{}", transition.name.replace('_', "-")))
                .await;
            if done.status == 200 {
                let now = client.get(&path).await.expect(200);
                assert_eq!(
                    keys(&done.json, &names),
                    keys(&now.json, &names),
                    "{path} {verb}"
                );
            }
            break;
        }
        covered.insert(resource.name);
    }
    assert!(covered.len() >= 5, "{covered:?}");
}
