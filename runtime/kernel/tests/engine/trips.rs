//! How often a request goes to the database: counted between the driver and the server.

use crate::support::{World, world_with};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Forwards connections and counts what the driver waits for: `Sync` and `Query` messages.
async fn counting(target: String) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicU32::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&target).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let counter = counter.clone();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut started = false;
                loop {
                    // The first messages (TLS request, start-up) have no type byte.
                    let kind = if started {
                        from_client.read_u8().await.ok()
                    } else {
                        Some(0)
                    };
                    let (Some(kind), Ok(length)) = (kind, from_client.read_u32().await) else {
                        return;
                    };
                    let mut body = vec![0; length as usize - 4];
                    if from_client.read_exact(&mut body).await.is_err() {
                        return;
                    }
                    // A rollback travels together with the ping that follows it.
                    let waited_for = kind == b'S' || (kind == b'Q' && body != b"ROLLBACK\0");
                    counter.fetch_add(u32::from(waited_for), SeqCst);
                    if started {
                        to_server.write_all(&[kind]).await.unwrap();
                    }
                    started |= body.len() > 4;
                    to_server.write_all(&length.to_be_bytes()).await.unwrap();
                    to_server.write_all(&body).await.unwrap();
                }
            });
        }
    });
    (port, count)
}

/// The ping with which the pool takes a connection back comes on top, after the answer.
const PING: u32 = 1;

#[tokio::test]
async fn a_read_takes_one_trip_secured_or_not_a_change_three() {
    let direct = world_with(|_| ()).await;
    let url = url::Url::parse(&direct.url).unwrap();
    let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let (port, count) = counting(target).await;
    let through = |config: &mut kernel::config::DbConfig| {
        let mut url = url::Url::parse(secrecy::ExposeSecret::expose_secret(&config.url)).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(port)).unwrap();
        config.url = url.to_string().into();
        config.connections = 1;
    };
    let world = world_with(through).await;
    let city = world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "open", "published").await);

    let trips = async |world: &World, what: &str, round: u32| {
        let before = count.load(SeqCst);
        let call = match what {
            "read" => world.get(&path),
            "list" => world.get("/things?state=published"),
            "secured read" => world.get(&path).by(&token),
            "secured list" => world.get("/things").by(&token),
            "create" => {
                let body = json!({"title": format!("t{round}"), "city_id": city});
                world.post("/things").by(&token).json(body)
            }
            "update" => {
                let tag = format!("\"{}-0\"", round + 1);
                world
                    .request("PATCH", &path)
                    .by(&token)
                    .header("if-match", &tag)
                    .json(json!({"rank": round}))
            }
            _ => unreachable!(),
        };
        let answer = call.send().await;
        assert!(answer.status.is_success(), "{what} {:?}", answer.json);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        count.load(SeqCst) - before
    };
    for (what, expected) in [
        ("read", 1),
        ("list", 1),
        ("secured read", 1),
        ("secured list", 1),
        ("create", 3),
        ("update", 3),
    ] {
        // the first prepares
        trips(&world, what, 0).await;
        assert_eq!(trips(&world, what, 1).await, expected + PING, "{what}");
    }
}
