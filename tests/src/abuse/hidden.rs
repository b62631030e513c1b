//! Rows that a caller must not see: they change nothing that is seen, and archived ones do nothing any more.

use crate::support::{
    self, Client, TestServer, model,
    pages::{all, ids},
    small,
};
use codegen::model::Lifecycle;
use kernel::{Actor, Caller, Db, resource::Resource};
use reqwest::Method;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

fn resources() -> Vec<&'static Resource> {
    let mut all: Vec<_> = support::resources().values().copied().collect();
    all.sort_by_key(|resource| resource.name);
    all
}

/// Every list there is, in some of the orders and with some of the filters it has.
fn lists() -> Vec<String> {
    let mut paths = Vec::new();
    for resource in resources() {
        let path = format!("/{}?limit=4&count=exact", resource.path);
        paths.push(path.clone());
        paths.extend(
            resource
                .sorts
                .first()
                .map(|sort| format!("{path}&sort=-{}", sort.name)),
        );
        for filter in resource.filters {
            match filter.param {
                "q" => paths.push(format!("{path}&q=a")),
                "location" => {
                    paths.push(format!("{path}&near=-37.81,144.96&radius_m=20000"));
                    paths.push(format!("{path}&bbox=140,-40,150,-30"));
                }
                _ => {}
            }
        }
    }
    paths
}

async fn snapshot(client: &Client, paths: &[String]) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    for path in paths {
        let answer = client.get(path).await;
        let mut json = answer.json.clone();
        // A cursor is a signature of the place; whether there is one is what counts.
        let cursor = json["next_cursor"].is_string();
        if let Some(object) = json.as_object_mut() {
            object.remove("instance");
            object.insert("next_cursor".to_owned(), cursor.into());
        }
        seen.insert(
            path.clone(),
            format!(
                "{} {} {json}",
                answer.status,
                answer.header("etag").unwrap_or("")
            ),
        );
    }
    seen
}

/// Paths of some objects and of the lists below them.
async fn objects(client: &Client) -> Vec<String> {
    let mut paths = Vec::new();
    for resource in resources() {
        let list = client.get(&format!("/{}?limit=1", resource.path)).await;
        for row in list.json["data"].as_array().into_iter().flatten() {
            let path = format!("/{}/{}", resource.path, row["id"].as_str().expect("an id"));
            for child in resource.children {
                paths.push(format!("{path}/{}?limit=3&count=exact", child.path));
            }
            paths.push(path);
        }
    }
    paths
}

/// What the database shows to one person.
async fn visible(db: &Db, actor: Actor, table: &str) -> BTreeSet<Uuid> {
    let caller = Caller {
        actor,
        request_id: Uuid::now_v7(),
        ip: None,
    };
    let mut cx = db.begin_read(&caller).await.expect("a transaction");
    let text = format!("select id from app.{table}");
    let ids: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_all(cx.conn())
        .await
        .expect("ids");
    ids.into_iter().collect()
}

/// The strongest form: a world without the hidden rows looks the same, down to counts and tags.
#[tokio::test]
async fn abuse_08_hidden_rows_change_nothing_that_is_seen() {
    let server = small::demo().await;
    let mut conn = server.superuser().await;
    let ana = server.member("ana").await;
    let actor = Actor::User {
        id: ana.id,
        session: Some(ana.session),
    };
    let mut paths = lists();
    paths.extend(objects(&ana.client).await);
    assert!(paths.len() > 100, "{} paths", paths.len());
    let before = [
        snapshot(&server.client, &paths).await,
        snapshot(&ana.client, &paths).await,
    ];

    // The negative control: a policy too wide is seen in the snapshot.
    sqlx::raw_sql("create policy wide on app.follows for select to culturepass_app using (true)")
        .execute(&mut conn)
        .await
        .expect("a policy");
    let follows = "/follows?limit=4&count=exact".to_owned();
    let wide = snapshot(&server.client, std::slice::from_ref(&follows)).await;
    assert_ne!(before[0][&follows], wide[&follows]);
    sqlx::raw_sql("drop policy wide on app.follows")
        .execute(&mut conn)
        .await
        .expect("dropped");

    let mut seen = BTreeMap::new();
    for resource in resources() {
        seen.insert(
            resource.plural,
            visible(&server.built.db, actor, resource.plural).await,
        );
    }
    let mut gone = 0;
    // Without triggers: counters are what they are, only the rows go.
    sqlx::raw_sql("set session_replication_role = replica")
        .execute(&mut conn)
        .await
        .expect("set");
    for (table, seen) in &seen {
        let text = format!("delete from app.{table} where id <> all($1)");
        let seen: Vec<Uuid> = seen.iter().copied().collect();
        let done = sqlx::query(AssertSqlSafe(text))
            .bind(seen)
            .execute(&mut conn)
            .await
            .expect("deleted");
        gone += done.rows_affected();
    }
    assert!(gone > 500, "only {gone} hidden rows");
    let after = [
        snapshot(&server.client, &paths).await,
        snapshot(&ana.client, &paths).await,
    ];
    for (before, after) in before.iter().zip(&after) {
        for (path, was) in before {
            assert_eq!(was, &after[path], "{path}");
        }
    }
}

/// Who owns a row of what is private, and what of it is not for others.
const PRIVATE: [(&str, &str); 8] = [
    ("tickets", "holder_id"),
    ("payment_methods", "user_id"),
    ("wallet_accounts", "user_id"),
    ("notifications", "user_id"),
    ("devices", "user_id"),
    ("notification_preferences", "user_id"),
    ("orders", "user_id"),
    ("referrals", "referrer_id"),
];

#[tokio::test]
async fn abuse_10_what_is_private_is_there_for_its_owner_alone() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let stranger = server.member("stranger").await;
    for (table, column) in PRIVATE {
        let resource = resources()
            .into_iter()
            .find(|resource| resource.plural == table)
            .expect("an entity");
        let text = format!(
            "select id, {column} from app.{table} where {column} is not null order by id limit 1"
        );
        let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(AssertSqlSafe(text))
            .fetch_all(&mut conn)
            .await
            .expect("rows");
        assert!(!rows.is_empty(), "{table}");
        for (id, owner) in rows {
            let path = format!("/{}/{id}", resource.path);
            let owner = server.sign_in(owner).await;
            owner.client.get(&path).await.expect(200);
            let hidden = stranger.client.get(&path).await.expect(404);
            let missing = stranger
                .client
                .get(&format!("/{}/{}", resource.path, Uuid::now_v7()))
                .await;
            assert_eq!(
                without_instance(&hidden.json),
                without_instance(&missing.json)
            );
            let nobody = server.client.get(&path).await.status.as_u16();
            assert!(matches!(nobody, 401 | 404), "{path}: {nobody}");
            let list = stranger
                .client
                .get(&format!("/{}?count=exact", resource.path))
                .await
                .expect(200);
            assert_eq!(list.json["count"], 0, "{path}");
            // Not even to those who look after the city, unless the rule says so.
            let below = stranger
                .client
                .get(&format!(
                    "/users/{}/{}?count=exact",
                    owner.id, resource.path
                ))
                .await;
            assert!(
                below.status == 404 || below.json["count"] == 0,
                "{path}: {}",
                below.text
            );
        }
    }
    for (path, text) in [
        ("/devices", "select id::text from app.devices limit 1"),
        (
            "/notifications",
            "select id::text from app.notifications limit 1",
        ),
        (
            "/payment-methods",
            "select id::text from app.payment_methods limit 1",
        ),
        (
            "/notification-preferences",
            "select id::text from app.notification_preferences limit 1",
        ),
    ] {
        let id: String = sqlx::query_scalar(text)
            .fetch_one(&mut conn)
            .await
            .expect("a row");
        let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
        platform
            .client
            .get(&format!("{path}/{id}"))
            .await
            .expect(404);
    }
}

fn without_instance(json: &Value) -> Value {
    let mut json = json.clone();
    if let Some(object) = json.as_object_mut() {
        object.remove("instance");
    }
    json
}

/// A row of each entity that can be archived, one that a list of the platform shows.
async fn archived(
    conn: &mut PgConnection,
    admin: &Client,
    resource: &Resource,
) -> Option<(String, Value)> {
    let list = admin.get(&format!("/{}?limit=20", resource.path)).await;
    for row in list.json["data"].as_array()? {
        let id = row["id"].as_str()?.to_owned();
        let text = format!(
            "update app.{} set status = 'archived' where id = $1::uuid",
            resource.plural
        );
        // What others still refer to cannot be archived.
        let done = sqlx::query(AssertSqlSafe(text))
            .bind(&id)
            .execute(&mut *conn)
            .await;
        if done.is_ok() {
            return Some((id, row.clone()));
        }
    }
    None
}

#[tokio::test]
async fn abuse_11_an_archived_row_is_gone_for_everything_but_restoring() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let admin = super::fields::everything(&server).await.client;
    let mut tried = Vec::new();
    for entity in model()
        .entities
        .iter()
        .filter(|entity| entity.lifecycle == Lifecycle::SoftDelete && !entity.internal)
    {
        let resource = support::resources()[entity.name.as_str()];
        // The platform itself must still be able to ask.
        if entity.name == "user" || entity.name == "role_assignment" {
            continue;
        }
        let Some((id, row)) = archived(&mut conn, &admin, resource).await else {
            continue;
        };
        let path = format!("/{}/{id}", resource.path);
        let mut probes = vec![(Method::GET, path.clone(), None)];
        if resource.update.is_some() {
            probes.push((
                Method::PATCH,
                path.clone(),
                Some(Value::Object(Default::default())),
            ));
        }
        if !resource.sql.archive.is_empty() && entity.writable() && entity.access.delete.is_some() {
            probes.push((Method::DELETE, path.clone(), None));
        }
        for transition in resource.transitions {
            let reason = transition
                .reason
                .then(|| serde_json::json!({"reason": "because"}));
            probes.push((
                Method::POST,
                format!("{path}/{}", transition.name.replace('_', "-")),
                reason,
            ));
        }
        for child in resource.children {
            probes.push((Method::GET, format!("{path}/{}", child.path), None));
        }
        for (method, path, body) in probes {
            let answer = admin
                .send(method.clone(), &path, body, &[("if-match", "*")])
                .await;
            // 403: nothing of this kind could ever be changed by this caller.
            assert!(
                matches!(answer.status.as_u16(), 404 | 403),
                "{method} {path}: {} {}",
                answer.status,
                answer.text
            );
            assert!(
                !answer.text.contains("archived"),
                "{method} {path}: {}",
                answer.text
            );
            assert!(
                method != Method::GET || answer.status == 404,
                "{path}: {}",
                answer.text
            );
        }
        assert!(
            !ids(&all(&admin, &format!("/{}", resource.path)).await).contains(&id.as_str()),
            "{path} is in the list"
        );
        for relation in entity
            .belongs
            .iter()
            .filter(|relation| !relation.polymorphic && relation.filter)
        {
            let Some(parent) = row[relation.id_column()].as_str() else {
                continue;
            };
            let list = all(
                &admin,
                &format!("/{}?{}={parent}", resource.path, relation.id_column()),
            )
            .await;
            assert!(
                !ids(&list).contains(&id.as_str()),
                "{path} by {}",
                relation.name
            );
        }
        tried.push(resource.name);
    }
    assert!(tried.len() >= 15, "{tried:?}");
}

/// Nothing hangs on what is archived, searches find it no more, and counters forget it.
#[tokio::test]
async fn abuse_11_nothing_is_attached_to_an_archived_row_nor_counted() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let ana = server.member("ana").await;
    let (event, title, host): (Uuid, String, Uuid) = sqlx::query_as(
        "select e.id, e.title, e.host_id from app.events e join app.organizations o on o.id = e.host_id
         where e.state = 'published' and e.status = 'active' and e.visibility = 'public' and o.state = 'approved'
           and e.ticket_count = 0 and e.location is not null order by e.id limit 1",
    )
    .fetch_one(&mut conn)
    .await
    .expect("an event");
    let olga = server.member("olga").await;
    server
        .grant(&olga, "orgAdmin", Some(("organization", host)))
        .await;
    let path = format!("/events/{event}");
    let like = || serde_json::json!({ "event_id": event });
    let body = |id: Uuid| serde_json::json!({ "event_id": id });
    ana.client.post("/likes", like()).await.expect(201);
    let query = format!("/events?q={}", title.replace(' ', "%20"));
    assert!(ids(&all(&server.client, &query).await).contains(&event.to_string().as_str()));

    olga.client.delete(&path).await.expect(204);
    for client in [&server.client, &ana.client, &olga.client] {
        client.get(&path).await.expect(404);
        assert!(!ids(&all(client, &query).await).contains(&event.to_string().as_str()));
        let places = all(client, "/events?bbox=-180,-90,180,90").await;
        assert!(!ids(&places).contains(&event.to_string().as_str()));
    }
    let archived = ana.client.post("/likes", like()).await.expect(422);
    let missing = ana
        .client
        .post("/likes", body(Uuid::now_v7()))
        .await
        .expect(422);
    assert_eq!(
        without_instance(&archived.json),
        without_instance(&missing.json)
    );
    assert_eq!(
        all(&ana.client, "/me/likes").await.len(),
        0,
        "the like went along"
    );
    ana.client.act(&format!("{path}/restore")).await.expect(403);
    server
        .client
        .act(&format!("{path}/restore"))
        .await
        .expect(401);
    olga.client.delete(&path).await.expect(404);
    let back = olga
        .client
        .act(&format!("{path}/restore"))
        .await
        .expect(200);
    assert_eq!(back.json["status"], "active");
    assert_eq!(
        all(&ana.client, "/me/likes").await.len(),
        1,
        "and came back with it"
    );
}
