//! `Stripe-Signature`: HMAC-SHA256 over time and body, with one `v1` for each secret in use.
//!
//! [`verify`] is what a receiver must do, implemented here so that signing and verifying are both tested with vectors
//! made by Stripe's own library. The product has its own implementation.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;

pub const TOLERANCE_SECONDS: i64 = 300;
pub const LARGEST_BODY: usize = 1024 * 1024;

/// The header for a body sent at this time. Several secrets are used during a rotation.
pub fn sign(secrets: &[String], at: i64, body: &[u8]) -> String {
    let mut header = format!("t={at}");
    for secret in secrets {
        if let Some(mac) = mac(secret, &at.to_string(), body) {
            header.push_str(",v1=");
            for byte in mac.finalize().into_bytes() {
                let _ = write!(header, "{byte:02x}");
            }
        }
    }
    header
}

/// Whether any of the signatures was made with any of the secrets, and its time is neither too old nor in the future.
pub fn verify(secrets: &[String], header: &str, body: &[u8], now: i64) -> bool {
    if body.len() > LARGEST_BODY {
        return false;
    }
    let parts: Vec<(&str, &str)> = header
        .split(',')
        .filter_map(|part| part.split_once('='))
        .collect();
    let Some((_, at)) = parts.iter().find(|(name, _)| *name == "t") else {
        return false;
    };
    let Ok(time) = at.parse::<i64>() else {
        return false;
    };
    if now.abs_diff(time) > TOLERANCE_SECONDS.unsigned_abs() {
        return false;
    }
    let signatures = parts.iter().filter(|(name, _)| *name == "v1");
    let signatures: Vec<Vec<u8>> = signatures.filter_map(|(_, hex)| from_hex(hex)).collect();
    secrets.iter().any(|secret| {
        signatures.iter().any(|signature| {
            mac(secret, at, body).is_some_and(|mac| mac.verify_slice(signature).is_ok())
        })
    })
}

fn mac(secret: &str, at: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(at.as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |two: &[u8]| {
        let two = std::str::from_utf8(two).ok().filter(|two| two.len() == 2)?;
        u8::from_str_radix(two, 16).ok()
    };
    digits.map(byte).collect()
}
