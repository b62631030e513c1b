//! Requests that try to use up resources: slow, long, compressed, or with contradicting headers.

use crate::support::{
    TestServer,
    database::Content,
    socket::{connect, talk, until_closed},
};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const LIMIT: usize = 1000;

async fn server() -> TestServer {
    TestServer::start_with(Content::Empty, |parts| {
        parts.http.header_timeout = Duration::from_millis(300);
        parts.http.keep_alive = Duration::from_millis(300);
        parts.http.body_timeout = Duration::from_millis(300);
        parts.http.body_limit = LIMIT;
    })
    .await
}

/// The head of a POST whose body the server reads.
fn head(headers: &str) -> String {
    format!(
        "POST /auth/forgot-password HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
         content-type: application/json\r\n{headers}\r\n\r\n"
    )
}

#[tokio::test]
async fn abuse_28_a_head_that_never_ends_is_cut_off() {
    let server = server().await;
    for start in ["", "GET", "GET /events HTTP/1.1\r\nhost: te"] {
        let mut stream = connect(server.client.base()).await;
        stream.write_all(start.as_bytes()).await.expect("sent");
        let answer = until_closed(stream).await;
        assert!(!answer.contains("200 OK"), "{start}: {answer}");
    }
    // Sending a byte now and then does not extend the time limit.
    let mut stream = connect(server.client.base()).await;
    let dripping = async {
        loop {
            if stream.write_all(b"x").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let cut = tokio::time::timeout(Duration::from_secs(10), dripping).await;
    assert!(cut.is_ok(), "still open");
    // Nor does a valid first request.
    let answer = talk(
        server.client.base(),
        "GET /livez HTTP/1.1\r\nhost: test\r\n\r\nGET /livez",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn abuse_28_a_body_that_never_ends_is_cut_off() {
    let server = server().await;
    let mut stream = connect(server.client.base()).await;
    let text = head("content-length: 900");
    stream.write_all(text.as_bytes()).await.expect("sent");
    let (reading, mut writing) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let answer = until_closed_half(reading).await;
    dripping.abort();
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("/problems/request-timeout"),
        "{answer}"
    );
    // The server does not wait for the body of a request that has none either.
    let answer = talk(
        server.client.base(),
        "GET /countries HTTP/1.1\r\nhost: test\r\ncontent-length: 900\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn until_closed_half(reading: tokio::net::tcp::OwnedReadHalf) -> String {
    use tokio::io::AsyncReadExt;
    let (mut reading, mut answer) = (reading, Vec::new());
    // Only the answer matters: the connection may be reset after it, since the rest of the request was not read.
    let read = tokio::time::timeout(Duration::from_secs(10), reading.read_to_end(&mut answer));
    assert!(read.await.is_ok(), "still open");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn abuse_29_bodies_and_heads_have_a_limit() {
    let server = server().await;
    let base = server.client.base();
    let fits = "x".repeat(LIMIT - 20);
    let body = format!("{{\"email\":\"{fits}\"}}");
    let answer = talk(
        base,
        head(&format!("content-length: {}", body.len())) + &body,
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 422"),
        "a body just below the limit is read: {answer}"
    );

    // The length is announced, so the request is refused before a byte of the body is sent.
    let told = talk(
        base,
        head("content-length: 10000000\r\nexpect: 100-continue"),
    )
    .await;
    assert!(
        told.starts_with("HTTP/1.1 413") && told.contains("/problems/content-too-large"),
        "{told}"
    );
    // The length is not announced, so bytes are counted while they arrive.
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    let chunked = head("transfer-encoding: chunked") + &chunk.repeat(11) + "0\r\n\r\n";
    let answer = talk(base, chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    let large = format!(
        "GET /countries HTTP/1.1\r\nhost: t\r\nconnection: close\r\nx: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let answer = talk(base, large).await;
    assert!(
        answer.starts_with("HTTP/1.1 431") && answer.contains("/problems/headers-too-large"),
        "{answer}"
    );
    let huge = format!(
        "GET /countries HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n",
        "x".repeat(1_000_000)
    );
    let answer = talk(base, huge).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    let many = format!(
        "GET /countries HTTP/1.1\r\nhost: t\r\n{}\r\n",
        "x: y\r\n".repeat(5000)
    );
    let answer = talk(base, many).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
}

#[tokio::test]
async fn abuse_29_lengths_that_lie_are_not_believed() {
    let server = server().await;
    let base = server.client.base();
    let body = r#"{"email":"ana@example.org"}"#;
    // The body ends earlier than announced.
    let mut stream = connect(base).await;
    let text = head("content-length: 500") + body;
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream.shutdown().await.expect("half closed");
    let answer = until_closed(stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    for lie in [
        "content-length: 27\r\ncontent-length: 28",
        "content-length: -1",
        "content-length: 27, 28",
        "content-length: +27",
        "content-length: 0x1b",
        "content-length: 99999999999999999999999",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, identity",
    ] {
        let answer = talk(base, head(lie) + body).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{lie}: {answer}"
        );
        assert!(
            !answer.contains("202 Accepted"),
            "the request with {lie} was carried out: {answer}"
        );
    }
    for encoding in ["gzip", "br", "deflate", "gzip, identity", "zstd"] {
        let headers = format!(
            "content-encoding: {encoding}\r\ncontent-length: {}",
            body.len()
        );
        let answer = talk(base, head(&headers) + body).await;
        assert!(
            answer.starts_with("HTTP/1.1 415"),
            "{encoding}: compressed bodies must be refused: {answer}"
        );
    }
    let honest = head(&format!("content-length: {}", body.len())) + body;
    assert!(talk(base, honest).await.starts_with("HTTP/1.1 202"));
}
