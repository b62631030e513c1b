//! Classifies the result of an attempt: an answer, or one of the three classes of failure.
//!
//! A failure is definite only if the answer is an error in Stripe's own format. Any other answer, such as a proxy's
//! page or an incomplete answer, leaves open whether the call had its effect.

use crate::{
    convert,
    exchange::{Reply, TransportFailure},
};
use gateway::{Ambiguity, Failure, Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// The longest accepted `Retry-After`; a longer one could be a mistake.
const LONGEST_WAIT_S: u64 = 3600;

pub fn classify(exchanged: Result<Reply, TransportFailure>) -> Result<Vec<u8>, Failure> {
    let reply = match exchanged {
        Ok(reply) => reply,
        Err(TransportFailure::TimedOut) => return Err(ambiguous(Ambiguity::TimedOut, false)),
        Err(TransportFailure::Broken) => return Err(ambiguous(Ambiguity::Broken, false)),
        Err(TransportFailure::Refused) => return Err(Failure::Retryable { after: None }),
    };
    let replayed = is_replayed(&reply);
    match reply.status {
        200..=299 if is_json(&reply.body) => Ok(reply.body),
        400..=404 => Err(refusal(&reply).map_or_else(
            || ambiguous(Ambiguity::Undecodable, replayed),
            |refusal| Failure::Definite(Box::new(refusal)),
        )),
        // These requests were not executed: there were too many requests, or another request uses the key or the
        // object.
        409 | 429 => Err(Failure::Retryable {
            after: retry_after(&reply),
        }),
        status @ 405.. => Err(ambiguous(Ambiguity::ServerError(status), replayed)),
        _ => Err(ambiguous(Ambiguity::Undecodable, replayed)),
    }
}

pub fn ambiguous(why: Ambiguity, replayed: bool) -> Failure {
    Failure::Ambiguous { why, replayed }
}

/// Whether this is the stored answer to an earlier request with this key.
pub fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

/// An incomplete answer counts as no answer, and so does one in another encoding.
fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok()
        && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

fn retry_after(reply: &Reply) -> Option<Duration> {
    let seconds: u64 = reply.header("retry-after")?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT_S)))
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Error<'a>,
}

/// Parsed without the library's type, since an unknown field in the payment inside would make the whole error
/// unreadable.
#[derive(Deserialize)]
struct Error<'a> {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
    message: Option<String>,
    #[serde(borrow)]
    payment_intent: Option<&'a RawValue>,
}

fn refusal(reply: &Reply) -> Option<Refusal> {
    let Body { error } = serde_json::from_slice(&reply.body).ok()?;
    let payment = error.payment_intent.and_then(|raw| {
        let read = miniserde::json::from_str(raw.get()).ok()?;
        convert::payment(read).ok()
    });
    let request_id = reply.header("request-id").map(str::to_owned);
    Some(Refusal {
        http_status: Some(reply.status),
        kind: error.kind,
        code: error.code,
        decline_code: error.decline_code,
        param: error.param,
        message: error.message.unwrap_or_default(),
        payment: payment.map(Box::new),
        request_id,
    })
}
