//! Signatures of webhooks: `t=…,v1=…` with HMAC-SHA-256 over `{t}.{payload}`.
//!
//! The signature must be checked over the unchanged bytes of the body, before anything is stored or acknowledged.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// The largest difference between the sender's clock and ours, in both directions. An older signature is treated as a
/// replay.
const TOLERANCE_S: i64 = 300;

/// The maximum number of signatures in a header. Rotating secrets explains a few; checking more would only cost time.
const MOST_SIGNATURES: usize = 16;

const DIGEST_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The header has no time, no signature of the scheme v1 (the only accepted one), or too many signatures.
    #[error("the signature header is malformed")]
    Malformed,
    #[error("signed too long ago, or in the future")]
    OutOfTime,
    #[error("no signature matches")]
    NoMatch,
}

/// Accepts the payload if any of its signatures was made with any of the secrets, since both sides rotate secrets.
pub fn verify(
    payload: &[u8],
    header: &str,
    secrets: &[&str],
    now: DateTime<Utc>,
) -> Result<(), SignatureFault> {
    let (time, signatures) = read(header).ok_or(SignatureFault::Malformed)?;
    let mut matches = Choice::from(0);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let expected = digest(payload, time, secret);
        for signature in &signatures {
            matches |= expected.ct_eq(signature);
        }
    }
    if !bool::from(matches) {
        return Err(SignatureFault::NoMatch);
    }
    // The clock is checked after the signature, so that a sender without a secret learns nothing about our clock.
    let seconds: i64 = time.parse().map_err(|_| SignatureFault::Malformed)?;
    if now.timestamp().abs_diff(seconds) > TOLERANCE_S.unsigned_abs() {
        return Err(SignatureFault::OutOfTime);
    }
    Ok(())
}

/// The header for a payload, for tests and tools that act as the sender.
pub fn sign(payload: &[u8], secret: &str, at: DateTime<Utc>) -> String {
    let time = at.timestamp().to_string();
    let signature = hex::encode(digest(payload, &time, secret));
    format!("t={time},v1={signature}")
}

/// The time is signed as the text that was received, not as a number that was parsed and formatted again.
fn digest(payload: &[u8], time: &str, secret: &str) -> [u8; DIGEST_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(payload);
    mac.finalize().into_bytes().into()
}

fn read(header: &str) -> Option<(&str, Vec<[u8; DIGEST_BYTES]>)> {
    let mut time = None;
    let mut signatures = Vec::new();
    for (name, value) in header.split(',').filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "t" if time.is_some() => return None,
            "t" => time = Some(value.trim()),
            "v1" if signatures.len() == MOST_SIGNATURES => return None,
            "v1" => {
                let mut signature = [0; DIGEST_BYTES];
                // A value that is not a digest can't match, but the other signatures may.
                if hex::decode_to_slice(value.trim(), &mut signature).is_ok() {
                    signatures.push(signature);
                }
            }
            _ => {}
        }
    }
    let time = time.filter(|time| !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit()))?;
    (!signatures.is_empty()).then_some((time, signatures))
}

#[cfg(test)]
mod tests;
