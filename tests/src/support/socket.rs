//! A raw client that need not follow HTTP: it sends bytes and receives bytes.

use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer than any limit that a test sets: if the connection is still open after this, the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn connect(base: &str) -> TcpStream {
    let address = base.strip_prefix("http://").expect("an address");
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends the bytes and reads until the server closes the connection.
pub async fn talk(base: &str, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = connect(base).await;
    // Errors are ignored: the server may refuse and close the connection before everything was sent.
    let _ = stream.write_all(bytes.as_ref()).await;
    until_closed(stream).await
}

/// Reads until the server closes the connection; fails if it does not.
pub async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(closed.is_ok(), "still open after {PATIENCE:?}: {answer}");
    answer
}
