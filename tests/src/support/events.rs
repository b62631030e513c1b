//! A client for server-sent events, by the rules of the HTML standard (section 9.2.6).

use super::Client;
use serde_json::Value;
use std::time::Duration;

/// The path whose answer does not end while a client is listening. Tests that read every answer to its end leave it
/// out.
pub const ENDLESS: &str = "/notifications/stream";

/// The time after which an expected event is considered missing.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Events {
    answer: reqwest::Response,
    text: String,
    /// The id that a browser would send back as `Last-Event-ID`.
    pub last_id: Option<String>,
    pub retry_ms: Option<u64>,
}

/// An event with data.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

impl Client {
    /// Begins to listen; with `last_id` as after an interruption.
    pub async fn listen(&self, path: &str, last_id: Option<&str>) -> Events {
        let headers: Vec<_> = last_id.iter().map(|id| ("last-event-id", *id)).collect();
        let mut answer = self.open(path, &headers).await;
        // Retries while the server is busy, as clients do.
        for _ in 0..50 {
            if answer.status() != 503 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer = self.open(path, &headers).await;
        }
        assert_eq!(
            answer.status(),
            200,
            "{}",
            answer.text().await.unwrap_or_default()
        );
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store, no-transform");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        Events {
            answer,
            text: String::new(),
            last_id: last_id.map(str::to_owned),
            retry_ms: None,
        }
    }
}

impl Events {
    /// The next event. None: the server has ended the stream.
    pub async fn next(&mut self) -> Option<Event> {
        let next = tokio::time::timeout(PATIENCE, self.read()).await;
        next.expect("an event, or the end")
    }

    /// The data of the next event, which must have this name.
    pub async fn expect(&mut self, name: &'static str) -> Value {
        let event = self.next().await;
        let event = event.unwrap_or_else(|| panic!("the stream ended instead of {name}"));
        assert_eq!(event.name, name, "{event:?}");
        event.data
    }

    /// The titles of notifications up to the event `unread`, which ends a batch, and the number in it.
    pub async fn batch(&mut self) -> (Vec<String>, i64) {
        let mut titles = Vec::new();
        loop {
            let event = self.next().await.expect("the stream ended within a batch");
            match event.name.as_str() {
                "notification" => {
                    titles.push(event.data["title"].as_str().expect("a title").to_owned())
                }
                "unread" => return (titles, event.data["unread"].as_i64().expect("a number")),
                other => panic!("{other}"),
            }
        }
    }

    /// The number of events until the server ends the stream.
    pub async fn left(&mut self) -> usize {
        let mut count = 0;
        while self.next().await.is_some() {
            count += 1;
        }
        count
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.dispatch(&block) {
                    return Some(event);
                }
            }
            // A broken connection counts as the end as well.
            let chunk = self.answer.chunk().await.ok().flatten()?;
            self.text
                .push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    fn dispatch(&mut self, block: &str) -> Option<Event> {
        let (mut name, mut data) = ("message", None);
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = value,
                "data" => data = Some(value),
                "id" => self.last_id = Some(value.to_owned()),
                "retry" => self.retry_ms = Some(value.parse().expect("milliseconds")),
                "" => {}
                other => panic!("a field {other:?}"),
            }
        }
        let data = serde_json::from_str(data?).expect("JSON");
        Some(Event {
            name: name.to_owned(),
            data,
        })
    }
}
