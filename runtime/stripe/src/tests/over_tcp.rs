//! Failures of the network: refused, broken, slow or redirected connections.

use super::script::{key, settings};
use crate::{Exchange, Method, Network, Request, Settings, StripeGateway, TransportFailure};
use gateway::{Ambiguity, Currency, Failure, Gateway, NewPayment};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn request() -> Request {
    Request {
        method: Method::Post,
        path_and_query: "/v1/things?a=b".into(),
        headers: vec![("idempotency-key".into(), "k".into())],
        body: "a=1".into(),
    }
}

async fn listener() -> (TcpListener, Settings) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let settings = Settings {
        base_url: url.parse().unwrap(),
        attempt_timeout: Duration::from_millis(300),
        attempts: 1,
        ..settings()
    };
    (listener, settings)
}

/// Reads until the body of three bytes has arrived.
async fn read(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !text.ends_with(b"\r\n\r\na=1") {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the request ended early");
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn nobody_listens() {
    let (listener, settings) = listener().await;
    drop(listener);
    let network = Network::new(&settings).unwrap();
    assert_eq!(
        network.exchange(&request()).await,
        Err(TransportFailure::Refused)
    );
    let gateway = StripeGateway::new(settings).unwrap();
    let new = NewPayment::new(1, Currency::new("AUD").unwrap());
    let failure = gateway.create_payment(&key("k"), &new).await;
    assert_eq!(failure, Err(Failure::Retryable { after: None }));
}

#[tokio::test]
async fn connections_are_kept_and_requests_arrive_as_they_are() {
    let (listener, settings) = listener().await;
    let network = Network::new(&settings).unwrap();
    let server = tokio::spawn(async move {
        // Only one connection is ever accepted.
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(read(&mut stream).await);
            let answer = "HTTP/1.1 200 OK\r\nRequest-Id: req_1\r\nContent-Length: 2\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        seen
    });
    for _ in 0..2 {
        let reply = network.exchange(&request()).await.unwrap();
        assert_eq!(
            (reply.status, reply.header("Request-ID")),
            (200, Some("req_1"))
        );
        assert_eq!(reply.body, b"{}");
    }
    let seen = server.await.unwrap();
    assert!(
        seen[0].starts_with("POST /v1/things?a=b HTTP/1.1\r\n"),
        "{}",
        seen[0]
    );
    assert!(seen[0].contains("idempotency-key: k\r\n"), "{}", seen[0]);
}

#[tokio::test]
async fn what_was_received_may_have_been_done() {
    for (answer, expected) in [
        ("", TransportFailure::Broken),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"id\"",
            TransportFailure::Broken,
        ),
        ("this is not HTTP\r\n\r\n", TransportFailure::Broken),
    ] {
        let (listener, settings) = listener().await;
        let network = Network::new(&settings).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        assert_eq!(
            network.exchange(&request()).await,
            Err(expected),
            "{answer}"
        );
        server.await.unwrap();
    }
}

#[tokio::test]
async fn silence_is_a_time_out() {
    let (listener, settings) = listener().await;
    let network = Network::new(&settings).unwrap();
    assert_eq!(
        network.exchange(&request()).await,
        Err(TransportFailure::TimedOut)
    );
    let gateway = StripeGateway::new(settings).unwrap();
    let why = Ambiguity::TimedOut;
    let failure = gateway.payment("pi_1").await;
    assert_eq!(
        failure,
        Err(Failure::Ambiguous {
            why,
            replayed: false
        })
    );
    drop(listener);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (listener, settings) = listener().await;
    let network = Network::new(&settings).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read(&mut stream).await;
        let answer = "HTTP/1.1 307 Moved\r\nLocation: /v1/elsewhere\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Nothing more is sent over this connection.
        let mut buffer = [0; 1];
        tokio::time::timeout(Duration::from_millis(100), stream.read(&mut buffer))
            .await
            .is_err()
    });
    assert_eq!(network.exchange(&request()).await.unwrap().status, 307);
    assert!(server.await.unwrap());
}
