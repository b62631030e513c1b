//! Pages follow each other without gaps and repetitions, even while rows are written.

use crate::support::{
    self, Client, TestServer,
    pages::{all, ids},
};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// All rows of a list, page by page; `between` runs after each page.
async fn walk(
    client: &Client,
    path: &str,
    limit: usize,
    mut between: impl AsyncFnMut(),
) -> Vec<String> {
    let mut seen = Vec::new();
    let mut next = format!("{path}&limit={limit}");
    loop {
        let page = client.get(&next).await.expect(200);
        let rows = page.json["data"].as_array().expect("a list");
        assert!(rows.len() <= limit, "{next}");
        seen.extend(ids(rows).into_iter().map(str::to_owned));
        let Some(cursor) = page.json["next_cursor"].as_str() else {
            return seen;
        };
        assert_eq!(rows.len(), limit, "only the last page is short: {next}");
        next = format!("{path}&limit={limit}&cursor={cursor}");
        between().await;
    }
}

#[tokio::test]
async fn pages_make_up_the_list_in_every_order() {
    let server = TestServer::sample().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let mut lists = 0;
    let mut resources: Vec<_> = support::resources().values().copied().collect();
    resources.sort_by_key(|resource| resource.name);
    for resource in resources {
        let path = format!("/{}", resource.path);
        let first = platform
            .client
            .get(&format!("{path}?limit=1&count=exact"))
            .await;
        if first.status != 200 || first.json["count"].as_i64() < Some(3) {
            continue;
        }
        let mut orders: Vec<String> = resource
            .sorts
            .iter()
            .flat_map(|sort| [sort.name.to_owned(), format!("-{}", sort.name)])
            .collect();
        orders.push("id".to_owned());
        for order in orders {
            let path = format!("{path}?sort={order}");
            let whole = all(&platform.client, &path).await;
            // Alternately with and without a remainder on the last page.
            let limit = match lists % 2 {
                0 => whole.len().div_ceil(3),
                _ => whole.len().div_ceil(3) + 1,
            };
            let limit = limit.clamp(1, 100);
            let pages = walk(&platform.client, &path, limit, async || ()).await;
            assert_eq!(pages, ids(&whole), "{path} by {limit}");
            assert_eq!(
                first.json["count"].as_i64(),
                Some(whole.len() as i64),
                "{path}"
            );
            lists += 1;
        }
    }
    assert!(lists >= 60, "{lists}");
}

/// Inserts copies of some events under other names, scattered over every order, and archives some events.
async fn disturb(conn: &mut PgConnection, round: usize) {
    let text = format!(
        "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state, visibility, created_at)
         select city_id, host_type, host_id, title, slug || '-copy-{round}', starts_at, ends_at, timezone, state, visibility,
                created_at - interval '1 day' * (random() * 3)
         from app.events where state = 'published' and visibility = 'public' and slug not like '%-copy-%' order by random() limit 6;
         update counters.events n set like_count = round(random() * 5) from app.events e where e.id = n.id and e.slug like '%-copy-{round}'"
    );
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut *conn)
        .await
        .expect("more events");
    sqlx::raw_sql(
        "update app.events set status = 'suspended' where slug like '%-copy-%' and random() < 0.3",
    )
    .execute(conn)
    .await
    .expect("fewer events");
}

#[tokio::test]
async fn a_cursor_holds_its_place_while_others_write() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let mut round = 0;
    for order in ["title", "-starts_at", "like_count", "-id"] {
        let path = format!("/events?state=published&sort={order}");
        let before: Vec<String> = ids(&all(&server.client, &path).await)
            .into_iter()
            .map(str::to_owned)
            .collect();
        assert!(before.len() > 40, "{}", before.len());
        let writer = &mut conn;
        let number = &mut round;
        let pages = walk(&server.client, &path, 14, async || {
            *number += 1;
            disturb(writer, *number).await;
        })
        .await;
        let distinct: BTreeSet<&String> = pages.iter().collect();
        assert_eq!(distinct.len(), pages.len(), "{path} repeats");
        // Rows that existed all the time are on the pages once, in the same order as before.
        let mut left = BTreeSet::new();
        for id in ids(&all(&server.client, &path).await) {
            left.insert(id.to_owned());
        }
        let stayed: Vec<&String> = before.iter().filter(|id| left.contains(*id)).collect();
        let seen: Vec<&String> = pages.iter().filter(|id| stayed.contains(id)).collect();
        assert_eq!(seen, stayed, "{path}");
        assert!(
            pages.len() > stayed.len() || order == "-id",
            "{path}: no new row appeared"
        );
    }
}

#[tokio::test]
async fn a_count_is_of_all_pages_and_of_what_the_caller_sees() {
    let server = TestServer::sample().await;
    let mira = server.sign_in(server::seed::demo::PEOPLE[4].id).await;
    for client in [&server.client, &mira.client] {
        for path in [
            "/events?state=published",
            "/reviews?rating.gte=4",
            "/communities?sort=name",
            "/users?q=a",
            "/events?bbox=-180,-90,180,90",
        ] {
            let whole = all(client, path).await.len() as i64;
            for limit in [1, 7, 100] {
                let page = client
                    .get(&format!("{path}&limit={limit}&count=exact"))
                    .await
                    .expect(200);
                assert_eq!(page.json["count"].as_i64(), Some(whole), "{path}");
            }
            let page = client.get(&format!("{path}&limit=1")).await.expect(200);
            assert!(
                page.json.get("count").is_none(),
                "a count is only sent on request"
            );
        }
    }
}
