//! How to reach Stripe, and how long to wait for it.

use secrecy::SecretString;
use std::{fmt, time::Duration};
use url::Url;

#[derive(Clone)]
pub struct Settings {
    /// `sk_…` or `rk_…`.
    pub secret_key: SecretString,
    /// Without `/v1`. `http://127.0.0.1:…` for one that plays Stripe.
    pub base_url: Url,
    pub connect_timeout: Duration,
    /// For one attempt. Stripe itself can take 30 seconds and more with a slow bank.
    pub attempt_timeout: Duration,
    /// For a call with all its attempts and the pauses between them.
    pub total_timeout: Duration,
    /// At most, the first included.
    pub attempts: u32,
    /// Before the second attempt; doubles each time, half of it at random.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// So many attempts in a row without an answer, or with a 5xx, and calls are refused…
    pub failures_in_a_row: u32,
    /// …for so long, until one of them is let through to see.
    pub refusing: Duration,
    /// Tells whether the current task has a database transaction open, which is a mistake of the caller: a call can
    /// take as long as `total_timeout`. A debug build stops there, a release build complains in the log.
    pub in_transaction: fn() -> bool,
}

impl Settings {
    pub const BASE_URL: &str = "https://api.stripe.com";

    pub fn new(secret_key: SecretString, base_url: Url) -> Self {
        Self {
            secret_key,
            base_url,
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(75),
            attempts: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            failures_in_a_row: 8,
            refusing: Duration::from_secs(15),
            in_transaction: || false,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("base_url", &self.base_url.as_str())
            .field("connect_timeout", &self.connect_timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("total_timeout", &self.total_timeout)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
