//! How to reach Stripe, and how long to wait for it.

use secrecy::SecretString;
use std::{fmt, time::Duration};
use url::Url;

#[derive(Clone)]
pub struct Settings {
    /// The secret key: `sk_…` or `rk_…`.
    pub secret_key: SecretString,
    /// The API's base URL without `/v1`. `http://127.0.0.1:…` for a fake of Stripe.
    pub base_url: Url,
    pub connect_timeout: Duration,
    /// The time limit of an attempt. Stripe itself can take 30 seconds and more with a slow bank.
    pub attempt_timeout: Duration,
    /// The time limit of a call, including all its attempts and the pauses between them.
    pub total_timeout: Duration,
    /// The maximum number of attempts, including the first.
    pub attempts: u32,
    /// The pause before the second attempt. It doubles with each attempt, and half of it is random.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// The number of consecutive attempts without an answer, or with a 5xx, after which calls are refused.
    pub failures_in_a_row: u32,
    /// How long calls are then refused, before a single call is let through again.
    pub refusing: Duration,
    /// Tells whether the current task has a database transaction open, which is a bug of the caller: a call can take
    /// as long as `total_timeout`. A debug build panics, a release build logs an error.
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
