//! How a call is made: key, headers, attempts.
//!
//! A call that changes something needs the caller's idempotency key; without a key it is refused here, and so are the
//! library's strategies that generate a key. All attempts of a call have the same key and the same bytes.

use crate::{
    breaker::Breaker,
    classify::{ambiguous, classify, is_replayed},
    exchange::{Exchange, Method, Reply, Request, TransportFailure},
    settings::Settings,
};
use bytes::Bytes;
use gateway::{Ambiguity, Failure, Key};
use secrecy::ExposeSecret;
use std::{sync::Arc, time::Duration};
use stripe_client_core::{
    CustomizedStripeRequest, IdempotencyKey, RequestBuilder, RequestStrategy, StripeClient,
    StripeClientErr, StripeMethod, StripeRequest,
};
use tokio::time::{Instant, sleep, timeout_at};

#[derive(Clone)]
pub struct Client {
    exchange: Arc<dyn Exchange>,
    settings: Arc<Settings>,
    breaker: Arc<Breaker>,
}

/// A failure as the error type that the library requires of a client, since undecodable answers become such errors.
#[derive(Debug)]
pub struct Fault(pub Failure);

impl StripeClientErr for Fault {
    fn deserialize_err(_: impl std::fmt::Display) -> Self {
        Self(ambiguous(Ambiguity::Undecodable, false))
    }
}

impl Client {
    pub fn new(settings: Settings, exchange: Arc<dyn Exchange>) -> Self {
        let breaker = Breaker::new(settings.failures_in_a_row, settings.refusing);
        Self {
            exchange,
            settings: Arc::new(settings),
            breaker: Arc::new(breaker),
        }
    }

    /// Makes a call that changes something.
    pub async fn change<R>(&self, key: &Key, request: R) -> Result<R::Output, Failure>
    where
        R: StripeRequest,
        R::Output: miniserde::Deserialize,
    {
        let key = IdempotencyKey::new(key.as_str())
            .map_err(|error| Failure::unsent("idempotency_key", error.to_string()))?;
        let request = request
            .customize()
            .request_strategy(RequestStrategy::Idempotent(key));
        request.send(self).await.map_err(|fault| fault.0)
    }

    /// Makes a call that only reads.
    pub async fn read<R>(&self, request: R) -> Result<R::Output, Failure>
    where
        R: StripeRequest,
        R::Output: miniserde::Deserialize,
    {
        request
            .customize()
            .send(self)
            .await
            .map_err(|fault| fault.0)
    }

    /// Makes a call that only reads, for a connected account if one is given, and returns the answer without decoding
    /// it.
    pub async fn read_raw(
        &self,
        request: RequestBuilder,
        account: Option<&str>,
    ) -> Result<Vec<u8>, Failure> {
        let request = self.request(request, None, account)?;
        self.send(&request).await
    }

    fn request(
        &self,
        builder: RequestBuilder,
        key: Option<&str>,
        account: Option<&str>,
    ) -> Result<Request, Failure> {
        let method = match builder.method {
            StripeMethod::Get => Method::Get,
            StripeMethod::Post => Method::Post,
            StripeMethod::Delete => Method::Delete,
        };
        if method != Method::Get && key.is_none() {
            return Err(Failure::unsent(
                "missing_idempotency_key",
                "a call that changes something needs an idempotency key",
            ));
        }
        let secret = self.settings.secret_key.expose_secret();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::unsent(
                "malformed_secret_key",
                "the secret key of Stripe is empty or has characters that no key has",
            ));
        }
        let mut headers = vec![
            ("authorization".to_owned(), format!("Bearer {secret}")),
            (
                "stripe-version".to_owned(),
                stripe_client_core::VERSION.as_str().to_owned(),
            ),
            ("user-agent".to_owned(), USER_AGENT.to_owned()),
        ];
        let mut header =
            |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        if method == Method::Post {
            header("content-type", "application/x-www-form-urlencoded");
        }
        if let Some(key) = key {
            header("idempotency-key", key);
        }
        if let Some(account) = account {
            header("stripe-account", part(account)?);
        }
        let query = builder.query.filter(|query| !query.is_empty());
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        Ok(Request {
            method,
            path_and_query: format!("/v1{}{query}", builder.path),
            headers,
            body: canonical(&builder.body.unwrap_or_default()),
        })
    }

    /// Repeats attempts until there is an answer, a definite failure, or no time left.
    async fn send(&self, request: &Request) -> Result<Vec<u8>, Failure> {
        self.check_transaction();
        let deadline = Instant::now() + self.settings.total_timeout;
        // The last attempt that may have had its effect: a later retryable failure does not undo that effect.
        let mut doubt = None;
        for attempt in 1.. {
            if let Err(wait) = self.breaker.admit() {
                let not_now = Failure::Retryable { after: Some(wait) };
                return Err(doubt.unwrap_or(not_now));
            }
            let (reply, retry) = self.attempt(request, attempt, deadline).await;
            let failure = match classify(reply) {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            match &failure {
                Failure::Definite(_) if settles(request.method, &failure) => return Err(failure),
                Failure::Definite(_) => return Err(doubt.unwrap_or(failure)),
                Failure::Ambiguous { replayed: true, .. } => return Err(failure),
                Failure::Ambiguous { .. } => doubt = Some(failure.clone()),
                Failure::Retryable { .. } => {}
            }
            let pause = self.pause(attempt, &failure);
            if !retry || attempt >= self.settings.attempts || Instant::now() + pause >= deadline {
                return Err(doubt.unwrap_or(failure));
            }
            sleep(pause).await;
        }
        unreachable!("attempts are counted")
    }

    /// Makes one attempt; also returns whether Stripe allows another attempt.
    async fn attempt(
        &self,
        request: &Request,
        attempt: u32,
        deadline: Instant,
    ) -> (Result<Reply, TransportFailure>, bool) {
        let begin = Instant::now();
        let until = deadline.min(begin + self.settings.attempt_timeout);
        let exchanged = timeout_at(until, self.exchange.exchange(request)).await;
        let exchanged = exchanged.unwrap_or(Err(TransportFailure::TimedOut));
        // A stored answer with status 500 still counts as an answer: Stripe is reachable.
        let answered = |reply: &Reply| reply.status < 500 || is_replayed(reply);
        self.breaker.record(exchanged.as_ref().is_ok_and(answered));
        let (method, path) = (request.method.as_str(), request.path());
        let took_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let retry = match &exchanged {
            Ok(reply) => {
                let request_id = reply.header("request-id").unwrap_or_default();
                let (status, replayed) = (reply.status, is_replayed(reply));
                tracing::info!(
                    method, path, status, replayed, request_id, attempt, took_ms, "stripe"
                );
                reply.header("stripe-should-retry") != Some("false")
            }
            Err(failure) => {
                tracing::warn!(method, path, ?failure, attempt, took_ms, "stripe");
                true
            }
        };
        (exchanged, retry)
    }

    /// The pause doubles with each attempt, and half of it is random, so that calls that failed together are not
    /// repeated together.
    fn pause(&self, attempt: u32, failure: &Failure) -> Duration {
        let doubled = self.settings.first_pause * 2_u32.saturating_pow(attempt - 1).min(1 << 16);
        let half = doubled.min(self.settings.longest_pause) / 2;
        let random_ms = fastrand::u64(0..=u64::try_from(half.as_millis()).unwrap_or(u64::MAX));
        let pause = half + Duration::from_millis(random_ms);
        match failure {
            Failure::Retryable { after: Some(after) } => pause.max(*after),
            _ => pause,
        }
    }

    fn check_transaction(&self) {
        let open = (self.settings.in_transaction)();
        debug_assert!(
            !open,
            "a database transaction is open during a call to Stripe"
        );
        if open {
            tracing::error!("a database transaction is open during a call to Stripe");
        }
    }
}

impl StripeClient for Client {
    type Err = Fault;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, Fault> {
        let (builder, config) = request.into_pieces();
        // Only a key that the caller gave is accepted: the library's other strategies generate a new key for every
        // call.
        let key = match config.request_strategy {
            Some(RequestStrategy::Idempotent(key)) => Some(key.into_inner()),
            _ => None,
        };
        let account = config.account_id.as_ref().map(|account| account.as_str());
        let request = self
            .request(builder, key.as_deref(), account)
            .map_err(Fault)?;
        self.send(&request).await.map(Bytes::from).map_err(Fault)
    }
}

const USER_AGENT: &str = concat!("culturepass/", env!("CARGO_PKG_VERSION"));

/// Refuses an id with characters that have a meaning in a path or a header.
pub fn part(id: &str) -> Result<&str, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if id.is_empty() || id.len() > 255 || !id.bytes().all(plain) {
        return Err(Failure::unsent("malformed_id", "not an id of Stripe's"));
    }
    Ok(id)
}

/// Whether a refusal also tells the result of earlier attempts. Stripe returns the stored answer of a key, but checks
/// the secret key first; and a DELETE has no stored answer: if the first attempt succeeded, the second finds nothing
/// to delete.
fn settles(method: Method, failure: &Failure) -> bool {
    let status = failure.refusal().and_then(|refusal| refusal.http_status);
    method != Method::Delete && !matches!(status, Some(401 | 403))
}

/// Sorts the parameters by name; those of the same name keep their order. The library has metadata in a hash map,
/// whose order differs between processes. Empty metadata would be sent as `metadata=`, which tells Stripe to remove
/// the existing metadata, so it is left out.
fn canonical(form: &str) -> String {
    let given = |pair: &&str| !pair.is_empty() && *pair != "metadata=";
    let mut pairs: Vec<&str> = form.split('&').filter(given).collect();
    pairs.sort_by_key(|pair| pair.split('=').next());
    pairs.join("&")
}
