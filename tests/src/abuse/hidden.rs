//! Rows that a caller must not see change nothing that is seen.

use crate::support::{self, Client, TestServer};
use kernel::{Actor, Caller, Db, resource::Resource};
use sqlx::AssertSqlSafe;
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
        let (_, mut json) = answer.told();
        // A cursor is a signature of the place; whether there is one is what counts.
        let cursor = json["next_cursor"].is_string();
        if let Some(object) = json.as_object_mut() {
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
    let server = TestServer::sample().await;
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
            assert_eq!(hidden.told(), missing.told());
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
