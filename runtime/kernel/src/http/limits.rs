//! Rate limits: token buckets by key, and the headers that describe them.
//!
//! The application uses them for its own sensitive routes too (sign-in, mails).

use super::ConfigError;
use crate::{
    config::RateLimit,
    error::{Error, Result},
    problems,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use std::{fmt::Write, hash::Hash, num::NonZeroU32, time::Duration};

pub(crate) static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

pub struct Limiter<K: Hash + Eq + Clone> {
    name: &'static str,
    policy: HeaderValue,
    /// The same as numbers: how many in how many seconds.
    numbers: (u32, u64),
    clock: DefaultClock,
    buckets: RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub fn new(name: &'static str, limit: RateLimit) -> Result<Self, ConfigError> {
        let error = |reason: &str| ConfigError {
            setting: "rate limit",
            reason: format!("{name}: {reason}"),
        };
        let per_minute = NonZeroU32::new(limit.per_minute)
            .ok_or_else(|| error("needs at least 1 per minute"))?;
        let burst =
            NonZeroU32::new(limit.burst).ok_or_else(|| error("needs a burst of at least 1"))?;
        let window = Duration::from_secs(60) * burst.get() / per_minute.get();
        let window = window.as_secs().max(1);
        let policy = format!("\"{name}\";q={burst};w={window}");
        Ok(Self {
            name,
            policy: HeaderValue::from_str(&policy).map_err(|_| error("the name is not a token"))?,
            numbers: (burst.get(), window),
            clock: DefaultClock::default(),
            buckets: RateLimiter::dashmap(Quota::per_minute(per_minute).allow_burst(burst))
                .with_middleware(),
        })
    }

    /// Takes one token from the bucket of `key` and returns how many are left.
    pub fn check(&self, key: &K) -> Result<u32> {
        match self.buckets.check_key(key) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(not_until) => {
                let seconds = not_until.wait_time_from(self.clock.now()).as_secs() + 1;
                super::metrics::RATE_LIMITED.add();
                Err(Error::new(&problems::QUOTA).limited(self.name, Some(self.numbers), seconds))
            }
        }
    }

    /// The same for callers that don't need the number.
    pub fn take(&self, key: &K) -> Result<()> {
        self.check(key).map(drop)
    }

    /// Tells how many are left, unless the answer tells of another limit that has refused the request.
    pub(crate) fn describe(&self, left: u32, headers: &mut HeaderMap) {
        if headers.contains_key(&RATELIMIT) {
            return;
        }
        let mut text = String::with_capacity(24);
        let _ = write!(text, "\"{}\";r={left}", self.name);
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
            headers.insert(RATELIMIT.clone(), value);
            headers.insert(RATELIMIT_POLICY.clone(), self.policy.clone());
        }
    }

    pub fn tidy(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    #[test]
    fn a_burst_is_free_and_one_more_is_not() {
        let limiter = Limiter::new(
            "ip",
            RateLimit {
                per_minute: 6,
                burst: 2,
            },
        )
        .unwrap();
        assert_eq!(limiter.check(&1).ok(), Some(1));
        assert_eq!(limiter.check(&1).ok(), Some(0));
        let refused = limiter.check(&1).err().unwrap().into_response();
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["ratelimit-policy"], "\"ip\";q=2;w=20");
        assert!(refused.headers().contains_key("ratelimit"));
        let wait: u64 = refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=10).contains(&wait));
        assert!(limiter.check(&2).is_ok(), "another key has its own bucket");
    }

    #[test]
    fn a_limit_of_nothing_is_a_mistake() {
        assert!(
            Limiter::<u8>::new(
                "ip",
                RateLimit {
                    per_minute: 0,
                    burst: 1
                }
            )
            .is_err()
        );
        assert!(
            Limiter::<u8>::new(
                "ip",
                RateLimit {
                    per_minute: 1,
                    burst: 0
                }
            )
            .is_err()
        );
    }
}
