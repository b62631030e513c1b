//! The exchange over the network: pooled connections, no redirects, no proxy, answers of a limited size.

use crate::{
    exchange::{Exchange, Exchanged, Method, Reply, Request, TransportFailure},
    settings::Settings,
};
use reqwest::header::HeaderValue;
use std::time::Duration;

/// The maximum size of an answer, in bytes. A page of 100 large events is smaller; a larger answer can't be Stripe's.
const LARGEST_BODY: usize = 8 << 20;

/// How long an idle connection is kept: shorter than Stripe's servers keep theirs, so that a request is rarely sent on
/// a connection that the server is just closing.
const IDLE: Duration = Duration::from_secs(50);

pub struct Network {
    client: reqwest::Client,
    base: String,
}

impl Network {
    pub fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.attempt_timeout)
            .pool_idle_timeout(IDLE)
            // A redirect would send the secret key to another server.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Retries by the HTTP client itself would not be counted as attempts.
            .retry(reqwest::retry::never())
            .build()?;
        let base = settings.base_url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base })
    }

    async fn send(&self, request: &Request) -> Result<Reply, TransportFailure> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let url = format!("{}{}", self.base, request.path_and_query);
        let mut sending = self.client.request(method, url);
        for (name, value) in &request.headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| TransportFailure::Refused)?;
            // Marked as sensitive, since the libraries below may log headers.
            value.set_sensitive(name == "authorization");
            sending = sending.header(name, value);
        }
        if !request.body.is_empty() {
            sending = sending.body(request.body.clone());
        }
        let mut response = sending.send().await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(TransportFailure::Broken);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

/// `Refused` only if no connection was established, including a time-out while connecting: in every other case the
/// server may have received the request.
fn failure(error: &reqwest::Error) -> TransportFailure {
    if error.is_connect() || error.is_builder() {
        TransportFailure::Refused
    } else if error.is_timeout() {
        TransportFailure::TimedOut
    } else {
        TransportFailure::Broken
    }
}

impl Exchange for Network {
    fn exchange<'a>(&'a self, request: &'a Request) -> Exchanged<'a> {
        Box::pin(self.send(request))
    }
}
