//! Signatures of webhooks: `t=…,v1=…` with HMAC-SHA-256 over `{t}.{payload}`.
//!
//! To be checked over the bytes as they came, before anything is stored or acknowledged.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// How far the sender's clock may be from ours, both ways; an older one is a replay.
const TOLERANCE_S: i64 = 300;

/// More signatures than secrets being rotated can explain; a longer header only costs time.
const MOST_SIGNATURES: usize = 16;

const DIGEST_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// No time, no signature of the only scheme that counts (v1), or more than can be meant.
    #[error("the signature header is malformed")]
    Malformed,
    #[error("signed too long ago, or in the future")]
    OutOfTime,
    #[error("no signature matches")]
    NoMatch,
}

/// Any of the signatures by any of the secrets: both sides rotate.
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
    // Afterwards: to somebody without a secret the clock is none of their business.
    let seconds: i64 = time.parse().map_err(|_| SignatureFault::Malformed)?;
    if now.timestamp().abs_diff(seconds) > TOLERANCE_S.unsigned_abs() {
        return Err(SignatureFault::OutOfTime);
    }
    Ok(())
}

/// The header for a payload, for whoever plays the sender.
pub fn sign(payload: &[u8], secret: &str, at: DateTime<Utc>) -> String {
    let time = at.timestamp().to_string();
    let signature = hex::encode(digest(payload, &time, secret));
    format!("t={time},v1={signature}")
}

/// Over the time as it was written, not as a number that was read and written again.
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
                // One that is no digest can't match; the others still may.
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
