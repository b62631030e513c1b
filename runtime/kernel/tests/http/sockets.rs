//! Connections: what they may cost before there is a request, and how they end.

use crate::support::{LARGE, health, http, routes};
use kernel::{config::HttpConfig, http::health::Health, serve::serve};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

struct Server {
    address: SocketAddr,
    health: Health,
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::io::Result<()>>,
}

async fn server(configure: impl FnOnce(&mut HttpConfig)) -> Server {
    let http = http(configure);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let health = health();
    let routes = routes(&http);
    let done = tokio::spawn(serve(listener, routes, http, health.clone(), async {
        let _ = stopped.await;
    }));
    Server {
        address,
        health,
        stop,
        done,
    }
}

async fn talk(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await;
    answer
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn half_a_header_is_not_waited_for() {
    let server = server(|config| config.header_timeout = Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /echo HTTP/1.1\r\nhost: te")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "still open");
}

/// A connection that has asked once and then waits, as those of proxies do; sends `next` after a while. Returns what
/// comes back after that, until the connection is closed.
async fn ask_again(address: SocketAddr, next: &str) -> String {
    let (mut stream, served) = connect("127.0.0.1", address).await;
    assert!(served);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let _ = stream.write_all(next.as_bytes()).await;
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "still open");
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_for_longer_than_a_head_may_take() {
    let soon = Duration::from_millis(100);
    let keeping = server(|config| config.header_timeout = soon).await;
    let answer = ask_again(keeping.address, &get("/echo")).await;
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    // A head that has begun is not waited for any longer than the first one.
    let answer = ask_again(keeping.address, "GET /echo HTTP/1.1\r\nhost: te").await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    let closing = server(|config| {
        config.header_timeout = soon;
        config.keep_alive = soon;
    });
    let answer = ask_again(closing.await.address, &get("/echo")).await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
}

/// Asks for much and reads `step` bytes now and then, `times` times, then all that is still there. How much in all.
async fn read_slowly(address: SocketAddr, step: usize, times: usize) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    (stream.write_all(get("/large").as_bytes()).await).unwrap();
    let mut part = vec![0; step];
    let mut read = 0;
    for _ in 0..times {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if step > 0 {
            read += stream.read(&mut part).await.unwrap_or(0);
        }
    }
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    read + rest.len()
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_not_waited_for() {
    let patient = server(|_| ()).await;
    let hasty = server(|config| config.write_timeout = Duration::from_millis(200)).await;
    for (step, times) in [(0, 10), (10_000, 10)] {
        let all = read_slowly(patient.address, step, times).await;
        assert!(all > LARGE, "whoever is waited for gets everything: {all}");
        let cut = read_slowly(hasty.address, step, times).await;
        assert!(cut < LARGE, "{step} bytes a time: {cut}");
    }
    let quick = talk(hasty.address, &get("/large")).await;
    assert!(quick.len() > LARGE, "who reads is served: {}", quick.len());
}

/// A connection from this address that has been accepted; whether it is served.
async fn connect(from: &str, to: SocketAddr) -> (TcpStream, bool) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let keep = "GET /echo HTTP/1.1\r\nhost: test\r\n\r\n";
    let _ = stream.write_all(keep.as_bytes()).await;
    let mut answer = [0; 15];
    let served = stream.read_exact(&mut answer).await.is_ok() && answer.ends_with(b"200 OK");
    (stream, served)
}

#[tokio::test]
async fn one_address_does_not_hold_all_connections() {
    let server = server(|config| config.max_connections_per_address = 2).await;
    let (first, second) = (
        connect("127.0.0.1", server.address).await,
        connect("127.0.0.1", server.address).await,
    );
    assert!(first.1 && second.1);
    assert!(!connect("127.0.0.1", server.address).await.1, "a third");
    assert!(
        connect("127.0.0.2", server.address).await.1,
        "another address"
    );
    drop(first);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(connect("127.0.0.1", server.address).await.1, "room again");
}

#[tokio::test]
async fn a_trusted_proxy_holds_the_connections_of_everybody() {
    let server = server(|config| {
        config.max_connections_per_address = 2;
        config.trusted_proxies = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let (stream, served) = connect("127.0.0.1", server.address).await;
        assert!(served);
        open.push(stream);
    }
}

#[tokio::test]
async fn too_large_headers_are_refused_and_huge_ones_not_even_read() {
    let server = server(|_| ()).await;
    let large = format!(
        "GET /echo HTTP/1.1\r\nhost: t\r\nconnection: close\r\nx: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let answer = talk(server.address, &large).await;
    assert!(
        answer.starts_with("HTTP/1.1 431") && answer.contains("/problems/headers-too-large"),
        "{answer}"
    );
    let huge = format!(
        "GET /echo HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let answer = talk(server.address, &huge).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
}

#[tokio::test]
async fn unknown_paths_are_a_problem_beside_the_probes_too() {
    for expose_admin in [false, true] {
        let server = server(|config| config.expose_admin = expose_admin).await;
        let answer = talk(server.address, &get("/nowhere")).await;
        assert!(
            answer.starts_with("HTTP/1.1 404") && answer.contains("/problems/no-such-route"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_address_of_the_peer_is_known() {
    let server = server(|_| ()).await;
    assert!(
        talk(server.address, &get("/ip"))
            .await
            .contains("Some(127.0.0.1)")
    );
}

#[tokio::test]
async fn probes_answer_where_they_should() {
    let closed = server(|_| ()).await;
    assert!(
        talk(closed.address, &get("/livez"))
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        talk(closed.address, &get("/readyz"))
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(
        talk(closed.address, &get("/metrics"))
            .await
            .starts_with("HTTP/1.1 404")
    );
    let open = server(|config| config.expose_admin = true).await;
    assert!(
        talk(open.address, &get("/readyz"))
            .await
            .starts_with("HTTP/1.1 503"),
        "there is no database"
    );
    assert!(
        talk(open.address, &get("/metrics"))
            .await
            .contains("policy_divergence_total")
    );
}

#[tokio::test]
async fn requests_in_progress_finish_before_the_end() {
    let server = server(|_| ()).await;
    let brief = tokio::spawn(async move { talk(server.address, &get("/brief")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(()).unwrap();
    assert!(brief.await.unwrap().starts_with("HTTP/1.1 200"));
    server.done.await.unwrap().unwrap();
    assert_eq!(server.health.ready().await, Err("stopping".to_owned()));
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_the_drain() {
    let server = server(|config| config.drain_timeout = Duration::from_millis(100)).await;
    let _slow = tokio::spawn(async move { talk(server.address, &get("/slow")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(()).unwrap();
    let done = tokio::time::timeout(Duration::from_secs(5), server.done).await;
    done.unwrap().unwrap().unwrap();
}
