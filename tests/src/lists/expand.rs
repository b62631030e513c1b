//! Expanded objects: the right ones, only those that the caller may see, and with the same number of statements
//! however many rows there are.

use crate::support::{self, Client, TestServer, database::Content, pages::all};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[tokio::test]
async fn what_comes_along_is_what_the_caller_would_get() {
    let server = TestServer::sample().await;
    let mira = server.sign_in(server::seed::demo::PEOPLE[4].id).await;
    let (mut shown, mut hidden) = (0, 0);
    for client in [&server.client, &mira.client] {
        for resource in support::resources().values() {
            for expand in resource.expands.iter().filter(|one| one.is_reference()) {
                let path = format!("/{}?expand={}&limit=15", resource.path, expand.name);
                let page = client.get(&path).await;
                for row in page.json["data"].as_array().into_iter().flatten() {
                    let target = match expand.type_column {
                        Some(column) => row[column].as_str(),
                        None => expand.targets.first().copied(),
                    };
                    let (Some(target), Some(id)) = (target, row[expand.column].as_str()) else {
                        assert!(row[expand.name].is_null(), "{path}");
                        continue;
                    };
                    match same(client, target, id, &row[expand.name]).await {
                        true => shown += 1,
                        false => hidden += 1,
                    }
                }
            }
        }
    }
    assert!(shown > 200 && hidden > 0, "{shown} shown, {hidden} hidden");
}

/// The expanded object must be null if the caller can't read it by itself, and equal to it otherwise.
async fn same(client: &Client, target: &str, id: &str, expanded: &Value) -> bool {
    let path = support::resources()[target].path;
    let alone = client.get(&format!("/{path}/{id}")).await;
    if alone.status != 200 {
        assert!(
            expanded.is_null(),
            "/{path}/{id} is {} alone: {expanded}",
            alone.status
        );
        return false;
    }
    let mut alone = alone.json;
    alone
        .as_object_mut()
        .expect("an object")
        .remove("allowed_actions");
    assert_eq!(&alone, expanded, "/{path}/{id}");
    true
}

/// A proxy that counts what the driver waits for: `Sync` and `Query` messages.
async fn counting(target: String) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicU32::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.expect("the database");
            tokio::spawn(forward(client, server, counter.clone()));
        }
    });
    (port, count)
}

async fn forward(client: TcpStream, server: TcpStream, counter: Arc<AtomicU32>) -> Option<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut started = false;
    loop {
        // The first messages (TLS request, start-up) have no type byte.
        let kind = if started {
            Some(from_client.read_u8().await.ok()?)
        } else {
            None
        };
        let length = from_client.read_u32().await.ok()?;
        let mut body = vec![0; length as usize - 4];
        from_client.read_exact(&mut body).await.ok()?;
        counter.fetch_add(u32::from(matches!(kind, Some(b'S' | b'Q'))), SeqCst);
        if let Some(kind) = kind {
            to_server.write_all(&[kind]).await.ok()?;
        }
        started |= body.len() > 4;
        to_server.write_all(&length.to_be_bytes()).await.ok()?;
        to_server.write_all(&body).await.ok()?;
    }
}

#[tokio::test]
async fn more_rows_take_no_more_statements() {
    let url = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL");
    let place = url
        .rsplit('@')
        .next()
        .and_then(|rest| rest.split('/').next())
        .expect("a host")
        .to_owned();
    let (port, count) = counting(place.clone()).await;
    let server = TestServer::start_with(Content::Demo, |parts| {
        let url = parts
            .db
            .url
            .expose_secret()
            .replace(&place, &format!("127.0.0.1:{port}"));
        parts.db.url = url.into();
        parts.db.connections = 1;
    })
    .await;
    let statements = async |path: &str| {
        // The first request prepares the statements.
        server.client.get(path).await.expect(200);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let before = count.load(SeqCst);
        let rows = server.client.get(path).await.expect(200).json["data"]
            .as_array()
            .map_or(0, Vec::len);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        (rows, count.load(SeqCst) - before)
    };
    for (path, names) in [
        ("/events", "city,host,venue,cover,cheapest_ticket_type"),
        ("/reviews", "reviewer,entity"),
        ("/likes", "user,event"),
        ("/community-members", "community,user"),
    ] {
        let (few, for_few) = statements(&format!("{path}?limit=10&expand={names}")).await;
        let (many, for_many) = statements(&format!("{path}?limit=100&expand={names}")).await;
        assert!(few == 10 && many >= 90, "{path}: {few} and {many} rows");
        // One for the page, one per kind of target, and the ping of the pool.
        let targets: usize = support::resources()
            .values()
            .find(|resource| format!("/{}", resource.path) == path)
            .expect("a list")
            .expands
            .iter()
            .map(|expand| expand.targets.len())
            .sum();
        assert!(
            for_many as usize <= 2 + targets + 2,
            "{path}: {for_many} for {many} rows"
        );
        assert!(
            for_many <= for_few + 2,
            "{path}: {for_few} for 10 rows, {for_many} for {many}"
        );
        let (_, plain) = statements(&format!("{path}?limit=100")).await;
        assert!(plain < for_many, "an expansion runs further statements");
    }
    assert!(!all(&server.client, "/events?expand=city").await.is_empty());
}
