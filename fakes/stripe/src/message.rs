//! Requests and answers as plain types, independent of sockets, to which any transport can be adapted.

use serde::{Deserialize, Serialize};

/// A request to `/v1/…`. The path includes the query; the body is a form, as in Stripe's API v1.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![("Authorization".to_owned(), "Bearer sk_test_fake".to_owned())],
            body: Vec::new(),
        }
    }

    /// Sets the body to a form of these names and values, such as `transfer_data[destination]`.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.body = crate::form::encode(fields).into_bytes();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        let found = all.find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        let found = all.find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON. None: it is none, for example because of a fault.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// The outcome of a request, as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Reply(Reply),
    /// The connection closed and nothing was done.
    DroppedBefore,
    /// The connection closed after everything was done. The caller can't distinguish this from
    /// [`Self::DroppedBefore`].
    DroppedAfter,
    Stall(Stalled),
}

/// A delayed answer: a caller that gives up before does not get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stalled {
    pub seconds: u32,
    pub reply: Reply,
}

impl Outcome {
    /// The answer that a caller gets who waits for so many seconds.
    pub fn within(self, seconds: u32) -> Option<Reply> {
        match self {
            Self::Reply(reply) => Some(reply),
            Self::Stall(late) if late.seconds <= seconds => Some(late.reply),
            Self::DroppedBefore | Self::DroppedAfter | Self::Stall(_) => None,
        }
    }
}
