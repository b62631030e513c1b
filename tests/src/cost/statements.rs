//! The number of statements that a connection keeps prepared.

use super::proxy::Proxy;
use crate::support::{TestServer, database::Content, resources, rows};
use kernel::{
    config::DbConfig,
    resource::{Kind, Resource},
};
use std::collections::BTreeSet;

/// The number of texts that exist regardless of clients, plus those of usual lists: the first and the following pages
/// in the default order, of all rows or of one parent, with one filter each, and the count.
fn usual(resource: &Resource) -> usize {
    let sql = &resource.sql;
    let texts = [
        sql.get,
        sql.get_anonymous,
        sql.by_ids,
        sql.create,
        sql.update,
        sql.archive,
        sql.restore,
        sql.suspend,
        sql.unsuspend,
        sql.probe,
        sql.national.map_or("", |found| found.country),
    ];
    let texts: BTreeSet<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    let exists = 1;
    // Their second forms, used within a transaction.
    let again = [sql.create, sql.update, sql.archive];
    let again = again.iter().filter(|text| !text.is_empty()).count();
    let lists = 2 * (1 + resource.children.len()) + resource.filters.len() + 1;
    // Each guarded column by itself, and all of them; with more than these, other sets are rare.
    let guarded = sql
        .update_guarded
        .map_or(0, |update| update.columns.len() + 1);
    texts.len() + again + guarded + resource.transitions.len() + exists + lists
}

/// Claim: the usual statements of clients for all entities together fit into the cache of one connection, with room
/// for a thousand rarer lists (orders, ranges).
#[test]
fn the_usual_statements_of_all_entities_fit_into_one_connection() {
    let count: usize = resources().values().map(|resource| usual(resource)).sum();
    let capacity = DbConfig::new("".into()).statement_cache;
    assert!(count > 10 * resources().len(), "{count}");
    assert!(count + 1000 <= capacity, "{count} of {capacity}");
}

/// Claim: repeated requests are not prepared again, even after those of all other entities; and unusual ones (another
/// page size, two filters) take no place in the cache unless they are repeated, too.
#[tokio::test]
async fn a_second_round_of_all_lists_prepares_nothing() {
    let mut proxy = None;
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.db.connections = 1;
        proxy = Some(Proxy::before(parts));
    })
    .await;
    let proxy = proxy.expect("set above");
    let mut conn = server.superuser().await;
    let people = rows::people(&mut conn).await;
    let paula = server.sign_in(people[0]).await.client;

    let mut paths = Vec::new();
    for resource in resources().values() {
        let path = format!("/{}", resource.path);
        if paula.get(&path).await.status == 200 {
            let example = |kind: Kind| match kind {
                Kind::Uuid => Some("00000000-0000-7000-8000-000000000000".to_owned()),
                Kind::Enum(words) => Some(words[0].to_owned()),
                Kind::Bool => Some("true".to_owned()),
                _ => None,
            };
            let filters = resource.filters.iter();
            let filtered = filters.filter_map(|filter| Some((filter.param, example(filter.kind)?)));
            let filtered = filtered.map(|(name, value)| format!("{path}?{name}={value}"));
            // Planning takes most of the time here.
            paths.extend(filtered.take(1));
            paths.push(path);
        }
    }
    assert!(paths.len() > 50, "{}", paths.len());
    for path in &paths {
        paula.get(path).await.expect(200);
    }
    let first: BTreeSet<String> = proxy.take_prepared().into_iter().collect();
    assert!(first.len() >= paths.len(), "{}", first.len());
    for path in &paths {
        paula.get(path).await.expect(200);
    }
    assert_eq!(proxy.take_prepared(), Vec::<String>::new());

    let unusual = [
        "/events?limit=7",
        "/events?limit=8&state=published",
        "/events?state=published&category=talk",
    ];
    for path in unusual {
        paula.get(path).await.expect(200);
    }
    assert_eq!(proxy.take_prepared(), Vec::<String>::new());
    for path in unusual.into_iter().flat_map(|path| [path; 3]) {
        paula.get(path).await.expect(200);
    }
    assert_eq!(proxy.take_prepared().len(), unusual.len());
    // The control: a new statement is counted.
    paula.get("/events?sort=-title").await.expect(200);
    assert_eq!(proxy.take_prepared().len(), 1);
}
