//! Answers that are decided before the body of the request has arrived.

use crate::support::{TestServer, database::Content, socket::connect};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Requests that are answered before their body was read, and how many bytes of body they announce.
const EARLY: [(&str, &str, usize); 7] = [
    ("POST /events", "", 20),
    ("POST /events", "authorization: Bearer nonsense\r\n", 20),
    ("PUT /nowhere", "", 20),
    ("DELETE /openapi.json", "", 20),
    ("POST /auth/sign-in", "content-type: text/plain\r\n", 20),
    ("POST /events", "", 300_000),
    ("POST /auth/sign-in", "expect: 100-continue\r\n", 300_000),
];

/// The client sends its next request on the connection unless the answer says that it is closed. A body that comes after
/// the answer was decided must not end it in silence: clients do not repeat a POST.
#[tokio::test]
async fn an_early_answer_leaves_the_connection_or_says_that_it_ends() {
    let server = TestServer::start_with(Content::Empty, |_| {}).await;
    let (mut left, mut ended) = (0, 0);
    for (line, headers, length) in EARLY {
        let mut stream = connect(server.client.base()).await;
        let head =
            format!("{line} HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        // Long enough for the server to have refused it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        // What is too long is not even begun.
        if length < 1000 {
            let _ = stream.write_all(&vec![b' '; length]).await;
        }
        let answer = answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{line}: {answer}");
        if answer.to_lowercase().contains("connection: close") {
            ended += 1;
            continue;
        }
        left += 1;
        let next = "GET /livez HTTP/1.1\r\nhost: t\r\n\r\n";
        stream.write_all(next.as_bytes()).await.expect("sent");
        let next = self::answer(&mut stream).await;
        assert!(next.starts_with("HTTP/1.1 200"), "{line} {headers}: {next}");
    }
    assert!(left >= 5 && ended >= 2, "{left} {ended}");
}

/// The head of the next answer; its body is read and dropped. Empty if the connection ends before.
async fn answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.expect("the body");
    head
}
