//! Members who listen to their notifications: one connection each. Requests are written and answers parsed by hand, so
//! that thousands of clients need few resources.

use anyhow::{Result, ensure};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

/// The number of clients that connect at the same time.
const AT_ONCE: usize = 32;

/// The prefix of the number in a notification's title; the number has [`DIGITS`] digits.
pub const MARK: &str = "news-";
pub const DIGITS: usize = 8;

/// The number of a notification that a client received, and when.
pub type Heard = (usize, Instant);

pub struct Listeners {
    tasks: JoinSet<()>,
    ended: Arc<AtomicUsize>,
    pub heard: mpsc::UnboundedReceiver<Heard>,
}

impl Listeners {
    /// Connects the clients. When it returns, the server has confirmed all of them.
    pub async fn connect(port: u16, tokens: &[&str]) -> Result<Self> {
        let (sender, heard) = mpsc::unbounded_channel();
        let ended = Arc::new(AtomicUsize::new(0));
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut connecting = JoinSet::new();
        for token in tokens {
            let turn = turns.clone().acquire_owned().await?;
            let token = (*token).to_owned();
            connecting.spawn(async move {
                let begun = begin(port, &token).await;
                drop(turn);
                begun
            });
        }
        let mut tasks = JoinSet::new();
        while let Some(begun) = connecting.join_next().await {
            let (stream, rest) = begun??;
            tasks.spawn(listen(stream, rest, sender.clone(), ended.clone()));
        }
        Ok(Self {
            tasks,
            ended,
            heard,
        })
    }

    /// The number of connections that the server has closed.
    pub fn ended(&self) -> usize {
        self.ended.load(Relaxed)
    }

    pub async fn leave(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn begin(port: u16, token: &str) -> Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "GET /notifications/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    // `unread` is the last of the initial events.
    while !contains(&text, b"event: unread") {
        let read = stream.read_buf(&mut text).await?;
        let told = String::from_utf8_lossy(&text);
        ensure!(read > 0, "a stream ended at once: {told}");
        ensure!(
            !told.starts_with("HTTP/1.1 ") || told.starts_with("HTTP/1.1 200"),
            "no stream: {told}"
        );
    }
    text.clear();
    text.shrink_to_fit();
    Ok((stream, text))
}

async fn listen(
    mut stream: TcpStream,
    mut text: Vec<u8>,
    heard: mpsc::UnboundedSender<Heard>,
    ended: Arc<AtomicUsize>,
) {
    while let Ok(1..) = stream.read_buf(&mut text).await {
        let now = Instant::now();
        for number in numbers(&mut text) {
            let _ = heard.send((number, now));
        }
    }
    ended.fetch_add(1, Relaxed);
}

/// Removes and returns the numbers in the text; keeps what may be the beginning of another number.
fn numbers(text: &mut Vec<u8>) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = place(&text[from..], MARK.as_bytes()) {
        let digits = from + at + MARK.len();
        let Some(number) = text.get(digits..digits + DIGITS) else {
            from += at;
            break;
        };
        found.extend(
            std::str::from_utf8(number)
                .ok()
                .and_then(|n| n.parse::<usize>().ok()),
        );
        from = digits + DIGITS;
    }
    let keep = text.len().saturating_sub(MARK.len() + DIGITS).max(from);
    text.drain(..keep);
    found
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    place(text, part).is_some()
}

fn place(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_come_in_pieces_are_read_once() {
        let mut text = b"data: news-00000001 and news-000".to_vec();
        assert_eq!(numbers(&mut text), [1]);
        text.extend_from_slice(b"00002 and more than that, and ne");
        assert_eq!(numbers(&mut text), [2]);
        text.extend_from_slice(b"ws-00000003");
        assert_eq!(numbers(&mut text), [3]);
        assert!(numbers(&mut text).is_empty());
    }
}
