//! Lists whose rows name the caller are read by each way separately. They contain the same rows as the policy shows, for
//! callers who are named by few rows, by many, or who may read all.

use crate::support::{
    Database, TestServer,
    pages::{all, ids},
    resources, rows,
};
use kernel::resource::Resource;
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// The ids that the policy shows to a member, in this order.
async fn shown(database: &Database, me: Uuid, resource: &Resource, order: &str) -> Vec<String> {
    let mut conn = database.request_role().await;
    run(&mut conn, "begin").await;
    let enter = format!("select sec.enter('{me}', null, 'read', gen_random_uuid())");
    run(&mut conn, &enter).await;
    let text = format!(
        "select t.id::text from app.{} as t order by {order}",
        resource.plural
    );
    sqlx::query_scalar(AssertSqlSafe(text.clone()))
        .fetch_all(&mut conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The lists that differ for this member, and the number of rows of all.
async fn differing(server: &TestServer, me: Uuid) -> (Vec<String>, usize) {
    let client = server.sign_in(me).await.client;
    let (mut wrong, mut count) = (Vec::new(), 0);
    let by_ways = resources()
        .values()
        .filter(|resource| resource.sql.ways.is_some());
    for resource in by_ways {
        let path = format!("/{}", resource.path);
        match client.get(&path).await.status.as_u16() {
            200 => {}
            403 => continue,
            status => panic!("{path}: {status}"),
        }
        let sorts = resource
            .sorts
            .iter()
            .filter(|sort| sort.sql.starts_with("t."));
        let mut orders = vec![("-id".to_owned(), "t.id desc".to_owned())];
        orders.extend(sorts.map(|sort| {
            let order = format!("{} nulls last, t.id", sort.sql);
            (sort.name.to_owned(), order)
        }));
        for (sort, order) in orders {
            let of_policy = shown(&server.database, me, resource, &order).await;
            let suffix = if sort == "-id" {
                String::new()
            } else {
                format!("?sort={sort}")
            };
            let listed = all(&client, &format!("{path}{suffix}")).await;
            count += listed.len();
            if ids(&listed) != of_policy {
                wrong.push(format!(
                    "{path}{suffix} as {me}: {} rows, of {}",
                    listed.len(),
                    of_policy.len()
                ));
            }
        }
        let counted = client
            .get(&format!("{path}?count=exact"))
            .await
            .expect(200)
            .json["count"]
            .as_u64();
        let of_policy = shown(&server.database, me, resource, "t.id").await.len();
        if counted != Some(of_policy as u64) {
            wrong.push(format!("{path} as {me}: {counted:?}, not {of_policy}"));
        }
    }
    (wrong, count)
}

#[tokio::test]
async fn a_list_by_ways_contains_what_the_policy_shows() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let by_ways = resources()
        .values()
        .filter(|resource| resource.sql.ways.is_some());
    assert!(by_ways.count() > 10);
    let mut count = 0;
    for person in &rows::people(&mut conn).await[..12] {
        let (wrong, rows) = differing(&server, *person).await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        count += rows;
    }
    assert!(count > 500, "only {count} rows");

    // A host with so many events that the list is read in its order.
    let olga = PEOPLE[2].id;
    run(
        &mut conn,
        "set session_replication_role = replica;
         insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
         select o.city_id, 'organization', o.id, 'Evening ' || g, 'evening-' || g, now(), now() + interval '1 hour', 'UTC', 'published'
         from app.role_assignments a join app.organizations o on o.id = a.scope_organization_id, generate_series(1, 600) g
         where a.user_id = '0199c000-0000-7000-8000-000000000003' and a.role = 'orgAdmin' and a.status = 'active' and a.state = 'accepted'
           and o.id = (select min(x.scope_id::text)::uuid from app.role_assignments x
             where x.user_id = a.user_id and x.role = 'orgAdmin' and x.scope_type = 'organization' and x.status = 'active' and x.state = 'accepted');
         insert into counters.events (id) select id from app.events on conflict do nothing;
         reset session_replication_role",
    )
    .await;
    let (wrong, rows) = differing(&server, olga).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows > 0);

    // The control: rows that the policy shows for a reason that is no way are noticed to be missing.
    run(
        &mut conn,
        "alter policy orders_select on app.orders using (true)",
    )
    .await;
    let (wrong, _) = differing(&server, PEOPLE[5].id).await;
    assert!(
        wrong.iter().any(|list| list.starts_with("/orders ")),
        "{wrong:?}"
    );
}
