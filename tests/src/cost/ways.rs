//! Lists of which most callers may read few rows: these rows are found by what names the caller, in indexes.

use super::{
    plans::{explain, nodes, pretend_to_be_large, request, run},
    proxy::Proxy,
};
use crate::support::{TestServer, database::Content, resources};
use kernel::resource::Resource;
use serde_json::Value;
use server::seed::demo::PEOPLE;

/// The reads of the list's own table that are not by an index of a column.
fn walks<'p>(plan: &'p Value, resource: &Resource) -> Vec<&'p Value> {
    let own = |node: &&&Value| {
        let alias = node["Alias"].as_str().unwrap_or_default();
        node["Relation Name"] == resource.plural && (alias == "t" || alias.starts_with("t_"))
    };
    let found = |node: &&&Value| node["Index Cond"].is_string() || node["Recheck Cond"].is_string();
    let all: Vec<&Value> = nodes(plan);
    let read: Vec<&&Value> = all.iter().filter(own).collect();
    assert!(read.len() >= 2, "{}: {plan:#}", resource.name);
    (read.into_iter())
        .filter(|node| !found(node))
        .copied()
        .collect()
}

/// Claim: on 200,000 rows, the first page and the count of such a list read the table in its order for callers who may
/// read everything or have very many ids, and by an index on a column that names the caller for all others.
#[tokio::test]
async fn a_list_by_ways_looks_up_the_rows_of_its_caller() {
    let mut proxy = None;
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.db.connections = 1;
        parts.db.search_connections = 1;
        proxy = Some(Proxy::before(parts));
    })
    .await;
    let proxy = proxy.expect("set above");
    let paula = server.sign_in(PEOPLE[0].id).await.client;
    pretend_to_be_large(&server.database).await;
    // Ten rows have the same value of a column.
    run(
        &mut *server.superuser().await,
        "update pg_statistic s set stanullfrac = 0, stadistinct = -0.1 from pg_class c
         where c.oid = s.starelid and c.relnamespace = 'app'::regnamespace",
    )
    .await;
    let mut conn = request(&server.database).await;
    let (mut wrong, mut asked) = (Vec::new(), 0);
    let mut of_orders = None;
    for resource in resources().values() {
        if resource.sql.ways.is_none() {
            continue;
        }
        for query in ["", "?count=exact"] {
            proxy.take_prepared();
            let path = format!("/{}{query}", resource.path);
            match paula.get(&path).await.status.as_u16() {
                200 => {}
                403 => continue,
                status => panic!("{path}: {status}"),
            }
            for text in proxy.take_prepared() {
                if !text.contains("caller as materialized") {
                    continue;
                }
                asked += 1;
                let parameters = (1..200).take_while(|n| text.contains(&format!("${n}")));
                let plan = explain(&mut conn, &text, parameters.count()).await;
                let found = walks(&plan, resource);
                let whole = found.iter().any(|node| node["Node Type"] == "Seq Scan");
                // A count has no order.
                if found.len() > 1 || (whole && query.is_empty()) {
                    wrong.push(format!("{path}: {plan:#}"));
                }
                if resource.name == "order" && query.is_empty() {
                    of_orders = Some(text);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 20, "{asked}");

    // The control: a missing index is noticed.
    run(
        &mut *server.superuser().await,
        "drop index app.orders_user_id_idx, app.orders_user_id_idempotency_key_key",
    )
    .await;
    let text = of_orders.expect("a list of orders");
    let parameters = (1..200).take_while(|n| text.contains(&format!("${n}")));
    let plan = explain(&mut conn, &text, parameters.count()).await;
    assert!(walks(&plan, resources()["order"]).len() > 1, "{plan:#}");
}
