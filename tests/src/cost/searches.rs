//! The number of searches that one list request runs.

use crate::support::{Client, TestServer, resources, rows};
use kernel::resource::Kind;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Ends connections, so that new ones have other settings; at their end, connections report what they have counted.
const END: &str = "select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and usename = 'culturepass_app'";

/// Claim: however many rows PostgreSQL believes that a policy leaves, a list runs its search once and not once per
/// row.
#[tokio::test]
async fn a_list_searches_once() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let people = rows::people(&mut conn).await;
    let database = server.database.name();
    run(
        &mut conn,
        &format!("alter database {database} set track_functions = 'all'"),
    )
    .await;
    // Forces each join method, including those chosen if one side is believed to be a single row.
    for way in ["material", "hashjoin", "mergejoin", "hashagg", "sort"] {
        run(
            &mut conn,
            &format!("alter database {database} set enable_{way} = off"),
        )
        .await;
    }
    run(&mut conn, END).await;

    let everybody = [
        server.client.clone(),
        server.sign_in(people[0]).await.client,
        server.sign_in(people[4]).await.client,
    ];
    let mut answered = BTreeMap::new();
    for resource in resources().values() {
        let searched = (resource.filters.iter()).find(|filter| filter.kind == Kind::Search);
        let Some(filter) = searched else { continue };
        let function = filter.sql.strip_prefix("app.").expect("a function");
        for client in &everybody {
            let path = format!("/{}?{}=mar", resource.path, filter.param);
            *answered.entry(function).or_insert(0) += asked(client, &path).await;
        }
    }
    assert!(answered.len() >= 10, "{answered:?}");
    run(&mut conn, END).await;
    for (function, requests) in answered {
        for function in [function.to_owned(), format!("{function}_own")] {
            let calls: i64 = sqlx::query_scalar(
                "select coalesce(sum(calls), 0)::int8 from pg_stat_user_functions where schemaname = 'app' and funcname = $1",
            )
            .bind(&function)
            .fetch_one(&mut conn)
            .await
            .expect("a count");
            assert_eq!(calls, requests, "{function}");
        }
    }
}

/// 1 if the request was answered; callers who may not request the list cause no search.
async fn asked(client: &Client, path: &str) -> i64 {
    let mut answer = client.get(path).await;
    // The first request after the connections were terminated.
    if answer.status == 503 {
        answer = client.get(path).await;
    }
    i64::from(answer.status == 200)
}
