//! Rows that a caller must not see have no influence on what the caller sees.

use crate::support::{self, Client, TestServer};
use kernel::{
    Actor, Caller, Db,
    resource::Resource,
    rule::possible::{Possible, possible},
};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

fn resources() -> Vec<&'static Resource> {
    let mut all: Vec<_> = support::resources().values().copied().collect();
    all.sort_by_key(|resource| resource.name);
    all
}

/// Every list, with some of its sorts and filters.
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
        // Cursors are signed and therefore differ; only their presence is compared.
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

/// Paths of some objects, and of the lists below them.
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

/// The ids of rows that the database shows to a caller.
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

/// The strongest form: after deleting all hidden rows, all answers are the same, including counts and ETags.
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

    // The negative control: a policy that is too permissive changes the snapshot.
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
    // Without triggers: only the rows are deleted, and counters stay unchanged.
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

/// Tables with private rows, and an expression over the row `t` for its owner.
const PRIVATE: [(&str, &str); 11] = [
    ("tickets", "t.holder_id"),
    ("payment_methods", "t.user_id"),
    ("wallet_accounts", "t.user_id"),
    ("wallet_transactions", OF_WALLET),
    ("wallet_holds", OF_WALLET),
    ("transactions", "t.user_id"),
    ("notifications", "t.user_id"),
    ("devices", "t.user_id"),
    ("notification_preferences", "t.user_id"),
    ("orders", "case when not t.sold_at_door then t.user_id end"),
    ("referrals", "t.referrer_id"),
];
const OF_WALLET: &str = "(select w.user_id from app.wallet_accounts w where w.id = t.wallet_id)";

/// The number of owners whose rows are tested.
const OWNERS: usize = 4;

/// Tables of which platform administrators see only their own rows, too.
const NOT_FOR_THE_PLATFORM: [&str; 4] = [
    "devices",
    "notifications",
    "payment_methods",
    "notification_preferences",
];

fn of_table(table: &str) -> &'static Resource {
    let mut all = resources().into_iter();
    all.find(|resource| resource.plural == table)
        .expect("an entity")
}

/// Rows with their owners, who have no roles: what roles allow is tested by the matrix.
async fn owned(conn: &mut PgConnection, table: &str, owner: &str) -> Vec<(Uuid, Uuid)> {
    let text = format!(
        "select distinct on (owner) t.id, owner from app.{table} t cross join lateral (select {owner} as owner) o
         join app.users u on u.id = owner and u.status = 'active'
         where not exists (select from app.role_assignments r where r.user_id = owner)
         order by owner, t.id limit {OWNERS}"
    );
    sqlx::query_as(AssertSqlSafe(text))
        .fetch_all(conn)
        .await
        .expect("rows")
}

#[tokio::test]
async fn abuse_10_what_is_private_is_there_for_its_owner_alone() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    more_movements(&mut conn).await;
    let stranger = server.member("stranger").await;
    for (table, owner) in PRIVATE {
        let resource = of_table(table);
        let rows = owned(&mut conn, table, owner).await;
        assert!(rows.len() > 1, "{table}: {}", rows.len());
        let mut clients = Vec::new();
        for (_, owner) in &rows {
            clients.push(server.sign_in(*owner).await.client);
        }
        for (at, (id, owner)) in rows.iter().enumerate() {
            let path = format!("/{}/{id}", resource.path);
            clients[at].get(&path).await.expect(200);
            let other = &clients[(at + 1) % clients.len()];
            is_hidden(other, resource, &path).await;
            is_hidden(&stranger.client, resource, &path).await;
            let never = possible(resource.rules.read, &Actor::Anonymous, None) == Possible::Never;
            let nobody = server.client.get(&path).await;
            assert_eq!(nobody.status, if never { 401 } else { 404 }, "{path}");
            has_none(&stranger.client, resource, *owner).await;
        }
    }
}

/// The answer is exactly the same as for an object that does not exist.
async fn is_hidden(client: &Client, resource: &Resource, path: &str) {
    let hidden = client.get(path).await;
    assert_eq!(hidden.status, 404, "{path}: {}", hidden.text);
    let missing = format!("/{}/{}", resource.path, Uuid::now_v7());
    let missing = client.get(&missing).await;
    assert_eq!(hidden.told(), missing.told());
}

/// The object is neither in the list nor in that below its owner.
async fn has_none(client: &Client, resource: &Resource, owner: Uuid) {
    let path = format!("/{}?count=exact", resource.path);
    let list = client.get(&path).await.expect(200);
    assert_eq!(list.json["count"], 0, "{path}");
    let path = format!("/users/{owner}/{}?count=exact", resource.path);
    let below = client.get(&path).await;
    assert!(
        below.status == 404 || below.json["count"] == 0,
        "{path}: {}",
        below.text
    );
}

/// Adds movements of money, of which the demonstration data have few.
async fn more_movements(conn: &mut PgConnection) {
    sqlx::raw_sql(
        "insert into app.wallet_holds (wallet_id, amount_cents, currency, reference, expires_at)
         select id, 1, currency, 'test', now() + interval '1 day' from app.wallet_accounts
         where user_id is not null order by id limit 5;
         insert into app.transactions (user_id, type, amount_cents, currency, stripe_idempotency_key)
         select id, 'ticket', 100, 'AUD', 'test:' || id from app.users u
         where not exists (select from app.role_assignments r where r.user_id = u.id) order by id limit 5;
         insert into app.payment_methods (user_id, stripe_payment_method_id, brand, last4, exp_month, exp_year)
         select id, 'pm_test_' || id, 'visa', '4242', 1, 2100 from app.users u
         where not exists (select from app.role_assignments r where r.user_id = u.id) order by id limit 5",
    )
    .execute(conn)
    .await
    .expect("holds, payments and cards");
}

/// The state of deliveries is internal: even the recipient can't see it.
#[tokio::test]
async fn abuse_10_deliveries_are_there_for_nobody() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let id: Uuid = sqlx::query_scalar("select id from app.notification_deliveries limit 1")
        .fetch_one(&mut conn)
        .await
        .expect("a delivery");
    // There is no route to other members' addresses and devices, for any caller.
    for path in [
        "/notification-deliveries".to_owned(),
        format!("/notification-deliveries/{id}"),
    ] {
        for client in [&platform.client, &server.client] {
            let answer = client.get(&path).await.expect(404);
            assert_eq!(answer.problem(), "no-such-route");
        }
    }
    for table in [
        "notification_deliveries",
        "mail_suppressions",
        "delivery_pauses",
        "event_schedules",
        "payment_looks",
        "sales_stops",
    ] {
        let text = format!("select 1 from app.{table}");
        let mut request = server.database.request_role().await;
        let refused = sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut request)
            .await;
        let refused = refused.expect_err(table).to_string();
        assert!(refused.contains("permission denied"), "{refused}");
    }
}

#[tokio::test]
async fn abuse_10_the_platform_sees_only_what_the_matrix_says() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    for table in NOT_FOR_THE_PLATFORM {
        let resource = of_table(table);
        let rows = owned(&mut conn, table, "t.user_id").await;
        assert!(!rows.is_empty(), "{table}");
        for (id, _) in rows {
            let path = format!("/{}/{id}", resource.path);
            is_hidden(&platform.client, resource, &path).await;
        }
    }
}
