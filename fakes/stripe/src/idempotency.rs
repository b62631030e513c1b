//! Idempotency keys, with the rules of Stripe's API v1.
//!
//! The first status and body are stored once the endpoint has begun, whatever they are, even a 500. They are removed
//! after 24 hours. Answers from before the endpoint began (invalid parameters, rate limits, conflicts) are not stored,
//! so the same key can be used again.

use crate::{
    error::{ApiError, Result},
    message::Reply,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const KEPT_SECONDS: i64 = 24 * 60 * 60;
const LONGEST: usize = 255;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    fingerprint: String,
    at: i64,
    /// The time until which the first request seems to be still running to others.
    busy_until: i64,
    reply: Reply,
}

/// Stored answers by account and key: each connected account has keys of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Keys {
    kept: HashMap<String, Kept>,
    pruned_at: i64,
}

#[derive(Clone, Debug)]
pub struct Claim {
    scope: String,
    fingerprint: String,
}

pub enum Found {
    /// The key is new: the call must be run.
    New(Claim),
    Replay(Reply),
}

impl Keys {
    pub fn find(
        &mut self,
        account: &str,
        key: &str,
        fingerprint: String,
        now: i64,
    ) -> Result<Found> {
        if key.is_empty() || key.len() > LONGEST {
            return Err(ApiError::parameter(
                "parameter_invalid_string",
                "Idempotency-Key",
                format!("Idempotency keys have 1 to {LONGEST} characters."),
            ));
        }
        self.prune(now);
        let scope = format!("{account} {key}");
        let Some(kept) = self.kept.get(&scope) else {
            return Ok(Found::New(Claim { scope, fingerprint }));
        };
        if kept.fingerprint != fingerprint {
            return Err(ApiError::other_parameters(key));
        }
        if now < kept.busy_until {
            return Err(ApiError::in_flight(key));
        }
        let mut reply = kept.reply.clone();
        let replayed = ("Idempotent-Replayed".to_owned(), "true".to_owned());
        reply.headers.push(replayed);
        Ok(Found::Replay(reply))
    }

    pub fn keep(&mut self, claim: Claim, reply: Reply, now: i64, busy_seconds: u32) {
        let kept = Kept {
            fingerprint: claim.fingerprint,
            at: now,
            busy_until: now + i64::from(busy_seconds),
            reply,
        };
        self.kept.insert(claim.scope, kept);
    }

    fn prune(&mut self, now: i64) {
        // Only once a minute, since all keys are scanned.
        if now - self.pruned_at >= 60 {
            self.kept.retain(|_, kept| now - kept.at < KEPT_SECONDS);
            self.pruned_at = now;
        }
    }
}
