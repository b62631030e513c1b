//! A single HTTP exchange with a service: sends a JSON body and reads an answer of a limited size.
//!
//! This module does not know any service: interpreting an answer is the adapter's task. Error texts contain only the
//! service's name and the status of its answer, never text from the answer, which may repeat addresses, tokens and
//! messages.

use chrono::{DateTime, Utc};
use reqwest::{
    Client, StatusCode,
    header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect, retry,
};
use serde_json::Value;
use std::time::Duration;

/// The number of bytes after which an answer is not read further: enough for every error that a service documents.
const LARGEST_BODY: usize = 64 << 10;

/// The longest accepted pause. A service that asks for a longer one probably has a wrong clock, which must not stop a
/// channel for weeks.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause after a service has refused our key: until an operator has corrected the key, more frequent attempts are
/// useless.
pub(crate) const UNTIL_MENDED: Duration = Duration::from_secs(60);

/// Why there is no answer. Unless there was no connection, the message may have arrived nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    NoConnection,
    Late,
    Broken,
}

impl Silence {
    pub fn of(self, service: &str) -> String {
        match self {
            Self::NoConnection => format!("no connection to {service}"),
            Self::Late => format!("{service} did not answer in time"),
            Self::Broken => format!("the connection to {service} broke"),
        }
    }
}

pub(crate) struct Exchange {
    client: Client,
    base: String,
}

pub(crate) struct Reply {
    pub status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Exchange {
    /// `timeout` is the time limit of a whole exchange, including connecting.
    pub fn new(base: &url::Url, timeout: Duration) -> Result<Self, String> {
        let client = Client::builder()
            .timeout(timeout)
            // Resend answers 403 to requests without a `User-Agent`.
            .user_agent(concat!("culturepass/", env!("CARGO_PKG_VERSION")))
            // A redirect would send the key and the message to another server.
            .redirect(redirect::Policy::none())
            .no_proxy()
            // Retries are decided and counted by the caller.
            .retry(retry::never())
            .build()
            .map_err(|error| error.to_string())?;
        let base = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base })
    }

    pub async fn post(
        &self,
        path: &str,
        bearer: &str,
        headers: &[(&'static str, String)],
        body: &Value,
    ) -> Result<Reply, Silence> {
        // A key that is not a valid header value would not be accepted by the service either.
        let value = HeaderValue::from_str(&format!("Bearer {bearer}"));
        let mut value = value.map_err(|_| Silence::NoConnection)?;
        value.set_sensitive(true);
        let mut request = self.client.post(format!("{}{path}", self.base));
        request = request.header(AUTHORIZATION, value).json(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut response = request.send().await.map_err(|error| silence(&error))?;
        let mut reply = Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: Vec::new(),
        };
        while reply.body.len() < LARGEST_BODY {
            match response.chunk().await {
                Ok(Some(chunk)) => reply.body.extend_from_slice(&chunk),
                Ok(None) => break,
                // The status already tells that the message was not accepted.
                Err(_) if response.status() != StatusCode::OK => break,
                Err(error) => return Err(silence(&error)),
            }
        }
        Ok(reply)
    }
}

impl Reply {
    #[cfg(test)]
    pub fn made(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| {
            let name = name.parse::<reqwest::header::HeaderName>().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        Self {
            status,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    /// The body as JSON. Null if it isn't JSON, for example a proxy's page.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    }

    /// The pause asked for by `Retry-After`, which is a number of seconds or a date (RFC 9110).
    pub fn retry_after(&self, now: DateTime<Utc>) -> Option<Duration> {
        let text = self.header(RETRY_AFTER.as_str())?;
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let until = DateTime::<Utc>::from(httpdate::parse_http_date(text).ok()?);
                (until - now).to_std().unwrap_or_default()
            }
        };
        Some(bounded(wait))
    }

    pub fn answered(&self, service: &str) -> String {
        format!("{service} answered {}", self.status)
    }
}

/// The service's id of a message, if it looks like an id: it is stored, and shown to operators.
pub(crate) fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/%=+~".contains(c);
    let is_name = !text.is_empty() && text.len() <= 255 && text.chars().all(plain);
    is_name.then(|| text.to_owned())
}

pub(crate) fn bounded(wait: Duration) -> Duration {
    wait.min(LONGEST_PAUSE)
}

fn silence(error: &reqwest::Error) -> Silence {
    match error {
        error if error.is_connect() || error.is_builder() => Silence::NoConnection,
        error if error.is_timeout() => Silence::Late,
        _ => Silence::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no9_retry_after_is_seconds_or_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-11-28T12:00:00Z").unwrap();
        let now = now.to_utc();
        let cases = [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Sat, 28 Nov 2026 12:01:30 GMT", Some(90)),
            ("Saturday, 28-Nov-26 12:01:30 GMT", Some(90)),
            ("Sat Nov 28 12:01:30 2026", Some(90)),
            // A date in the past.
            ("Sat, 28 Nov 2026 11:00:00 GMT", Some(0)),
            ("99999999999", Some(24 * 60 * 60)),
            ("Thu, 31 Dec 2099 00:00:00 GMT", Some(24 * 60 * 60)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999999", None),
        ];
        for (text, seconds) in cases {
            let reply = Reply::made(503, &[("retry-after", text)], "");
            let wait = reply.retry_after(now).map(|wait| wait.as_secs());
            assert_eq!(wait, seconds, "{text:?}");
        }
        assert_eq!(Reply::made(503, &[], "").retry_after(now), None);
    }
}
