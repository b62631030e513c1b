//! One HTTP exchange in plain types, so that a program or a test can stand in for the network.

use std::{fmt, future::Future, pin::Pin};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Post,
    Delete,
}

/// A request as it is sent. `Debug` shows neither headers (which hold the secret key) nor parameters (which hold
/// customers' data).
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// Path and query: `/v1/payment_intents?limit=100`.
    pub path_and_query: String,
    /// Headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// Form-encoded parameters, sorted by name, so that the same call always has the same bytes. Empty if there are
    /// none.
    pub body: String,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no reply. Only `Refused` guarantees that the server received nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportFailure {
    TimedOut,
    /// The connection ended after the request had begun to be sent.
    Broken,
    /// No connection could be made.
    Refused,
}

pub type Exchanged<'a> = Pin<Box<dyn Future<Output = Result<Reply, TransportFailure>> + Send + 'a>>;

pub trait Exchange: Send + Sync {
    /// Sends the request once. Retries and the time limit are the caller's.
    fn exchange<'a>(&'a self, request: &'a Request) -> Exchanged<'a>;
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut named = headers
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.as_str())
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} bytes", self.status, self.body.len())
    }
}
