//! Excessive page sizes and foreign cursors, for every list.

use crate::support::{Answer, Client, TestServer, resources, rows};
use kernel::resource::Resource;
use server::seed::demo::PEOPLE;
use std::collections::BTreeSet;
use uuid::Uuid;

/// All paths of the document that accept `limit`, with a random id.
fn lists() -> Vec<String> {
    let document: serde_json::Value =
        serde_json::from_str(app::api::document()).expect("the document");
    let paths = document["paths"].as_object().expect("paths");
    let is_list = |operations: &serde_json::Value| {
        let parameters = operations["get"]["parameters"].as_array();
        parameters.into_iter().flatten().any(|parameter| {
            let reference = parameter["$ref"].as_str().unwrap_or_default();
            reference.contains("/limit") || parameter["name"] == "limit"
        })
    };
    let nobody = Uuid::now_v7().to_string();
    let lists = paths
        .iter()
        .filter(|(_, operations)| is_list(operations))
        .map(|(path, _)| path.replace("{id}", &nobody));
    lists.collect()
}

#[tokio::test]
async fn abuse_30_a_page_has_its_size_and_nothing_else_moves_it() {
    let mut server = TestServer::demo().await;
    let mut people = Vec::new();
    for person in &PEOPLE[..4] {
        people.push(server.sign_in(person.id).await.client);
    }
    let paula = people[0].clone();
    let lists = lists();
    assert!(
        lists.len() > resources().len(),
        "nested lists are missing: {lists:?}"
    );
    for path in &lists {
        let somebody = who_might(&people, path).await;
        // Nested lists use the same code.
        let nested = path.matches('/').count() > 1;
        for bad in [
            "limit=0",
            "limit=-1",
            "limit=101",
            "limit=1000000000",
            "limit=99999999999999999999",
            "limit=ten",
            "limit=1e2",
            "limit=1.5",
            "limit=%31%30%30%30",
            "limit=",
            "limit=5&limit=6",
            "offset=1",
            "page=2",
            "skip=5",
            "per_page=500",
        ]
        .into_iter()
        .step_by(if nested { 5 } else { 1 })
        {
            let answer = somebody.get(&format!("{path}?{bad}")).await;
            assert_eq!(answer.status, 422, "{path}?{bad}: {}", answer.text);
        }
    }
    for resource in resources().values() {
        for (query, most) in [("", resource.page as usize), ("?limit=100", 100)] {
            let page = paula.get(&format!("/{}{query}", resource.path)).await;
            if page.status != 200 {
                continue;
            }
            let length = page.json["data"].as_array().expect("a page").len();
            assert!(length <= most, "{}{query}: {length}", resource.path);
        }
    }
    let full = paula.get("/likes?limit=100").await;
    assert_eq!(full.json["data"].as_array().expect("likes").len(), 100);
    server.stop().await;
}

/// A client that may read the list; others would get 403 before the query is checked.
async fn who_might<'a>(people: &'a [Client], path: &str) -> &'a Client {
    for client in people {
        if client.get(&format!("{path}?limit=0")).await.status != 403 {
            return client;
        }
    }
    panic!("nobody may read {path}");
}

#[tokio::test]
async fn abuse_31_a_cursor_opens_only_where_it_was_given() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let people = rows::people(&mut conn).await;
    let mut clients = Vec::new();
    for person in &people[..8] {
        clients.push(server.sign_in(*person).await.client);
    }
    let (mut covered, mut foreign) = (BTreeSet::new(), 0);
    for resource in resources().values() {
        let Some((who, cursor)) = first_page(&clients, resource).await else {
            continue;
        };
        covered.insert(resource.name);
        foreign += usize::from(misuse(&clients, who, resource, &cursor).await);
    }
    assert!(covered.len() > 25, "{covered:?}");
    assert!(
        foreign > 20,
        "only {foreign} lists that the stranger may read"
    );
}

/// The index of a client who sees more than one row, and the cursor after the first row.
async fn first_page(clients: &[Client], resource: &Resource) -> Option<(usize, String)> {
    for (who, client) in clients.iter().enumerate() {
        let page = client.get(&format!("/{}?limit=1", resource.path)).await;
        if let Some(cursor) = page.json["next_cursor"].as_str() {
            return Some((who, cursor.to_owned()));
        }
    }
    None
}

#[track_caller]
fn expect(path: &str, answer: &Answer, status: u16, problem: &str) {
    let found = (answer.status.as_u16(), answer.problem());
    assert_eq!(found, (status, problem), "{path}: {}", answer.text);
}

/// Returns whether the stranger may read the list.
async fn misuse(clients: &[Client], who: usize, resource: &Resource, cursor: &str) -> bool {
    let own = &clients[who];
    let path = resource.path;
    let at = |query: &str| format!("/{path}?{query}");
    let next = own.get(&at(&format!("limit=1&cursor={cursor}"))).await;
    assert_eq!(next.status, 200, "{path}: {}", next.text);

    let stranger = &clients[(who + 1) % clients.len()];
    let other = if path == "cities" {
        "countries"
    } else {
        "cities"
    };
    let mut refused = vec![
        own.get(&format!("/{other}?cursor={cursor}")).await,
        own.get(&at(&format!("sort=id&cursor={cursor}"))).await,
    ];
    if let Some(filter) = resource
        .filters
        .iter()
        .find(|filter| filter.kind == kernel::resource::Kind::Uuid)
    {
        let query = format!("{}={}&cursor={cursor}", filter.param, Uuid::nil());
        refused.push(own.get(&at(&query)).await);
    }
    for at_byte in [0, cursor.len() / 2, cursor.len() - 2] {
        let mut damaged = cursor.as_bytes().to_vec();
        damaged[at_byte] = if damaged[at_byte] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(damaged).expect("ASCII");
        refused.push(own.get(&at(&format!("cursor={damaged}"))).await);
    }
    for garbage in [
        "AAAA",
        "'%20or%201=1--",
        "%00",
        "%ff%fe",
        "%F0%9F%8E%AD",
        "eyJpZCI6MX0",
        "../..",
    ] {
        refused.push(own.get(&at(&format!("cursor={garbage}"))).await);
    }
    for answer in refused {
        expect(path, &answer, 400, "invalid-cursor");
    }
    // A caller who may not read the list at all gets 403 instead.
    let (status, problem) = match stranger.get(&at("limit=1")).await.status.as_u16() {
        403 => (403, "forbidden"),
        _ => (400, "invalid-cursor"),
    };
    let answer = stranger.get(&at(&format!("cursor={cursor}"))).await;
    expect(path, &answer, status, problem);
    // A cursor longer than the document allows is reported like other texts that are too long.
    for length in [1001, 5000] {
        let long = own
            .get(&at(&format!("cursor={}", "A".repeat(length))))
            .await;
        expect(path, &long, 422, "invalid-request");
        assert_eq!(long.json["errors"][0]["code"], "length", "{}", long.text);
    }
    let longest = own.get(&at(&format!("cursor={}", "A".repeat(1000)))).await;
    expect(path, &longest, 400, "invalid-cursor");
    status == 400
}
