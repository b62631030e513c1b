//! Idempotency keys as v1 of Stripe's API has them.
//!
//! The first status and body are kept once the endpoint began, whatever they are; a 500 too. They are forgotten 24
//! hours later. Answers from before the endpoint began (parameters that can't be read, rate limits, conflicts) are
//! not kept, so the same key may be tried again.

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
    /// Until then the first request still runs, for everybody else.
    busy_until: i64,
    reply: Reply,
}

/// By account and key: each connected account has keys of its own.
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
    /// Nothing yet: the work is to be done.
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
        // Not at every call: it looks at all of them.
        if now - self.pruned_at >= 60 {
            self.kept.retain(|_, kept| now - kept.at < KEPT_SECONDS);
            self.pruned_at = now;
        }
    }
}
