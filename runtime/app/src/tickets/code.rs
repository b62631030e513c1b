//! The signed code of a ticket, as the QR code contains it.
//!
//! A scanner without a connection accepts a code that is signed by one of the published keys, is for its event, and
//! whose ticket is not on the list of revoked codes. Layout, before base64url without padding: version (1 byte), key
//! (4), ticket (16), event (16), secret version (4), not before and not after (8 each, seconds since 1970,
//! big-endian), then the Ed25519 signature (64) of all of it. Knows no database.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u8 = 1;
const SIGNED: usize = 1 + 4 + 16 + 16 + 4 + 8 + 8;
const WHOLE: usize = SIGNED + 64;

/// The content of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    pub ticket: Uuid,
    pub event: Uuid,
    /// Incremented when the ticket is transferred.
    pub secret_version: i32,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
}

/// The key that signs new codes, and the keys whose codes are accepted: the same one and earlier ones.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    signing: Ed25519KeyPair,
    believed: Vec<PublicKey>,
}

/// A key whose signatures scanners accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The first bytes of the SHA-256 digest of `bytes`.
    pub id: [u8; 4],
    pub bytes: Vec<u8>,
}

impl PublicKey {
    fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut id = [0; 4];
        id.copy_from_slice(&digest[..4]);
        Self {
            id,
            bytes: bytes.to_vec(),
        }
    }
}

impl Keys {
    /// Each secret is a seed of any length; the first one signs. None if there are no secrets.
    pub fn new(secrets: &[SecretString]) -> Option<Self> {
        let pairs: Vec<Ed25519KeyPair> = secrets
            .iter()
            .map(|secret| {
                let seed = Sha256::digest(secret.expose_secret().as_bytes());
                Ed25519KeyPair::from_seed_unchecked(&seed).ok()
            })
            .collect::<Option<_>>()?;
        let believed = pairs
            .iter()
            .map(|pair| PublicKey::of(pair.public_key().as_ref()))
            .collect();
        let signing = pairs.into_iter().next()?;
        Some(Self(Arc::new(Inner { signing, believed })))
    }

    pub fn believed(&self) -> &[PublicKey] {
        &self.0.believed
    }

    pub fn sign(&self, claims: &Claims) -> String {
        let mut bytes = Vec::with_capacity(WHOLE);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.0.believed[0].id);
        bytes.extend_from_slice(claims.ticket.as_bytes());
        bytes.extend_from_slice(claims.event.as_bytes());
        bytes.extend_from_slice(&claims.secret_version.to_be_bytes());
        bytes.extend_from_slice(&claims.not_before.to_be_bytes());
        bytes.extend_from_slice(&claims.not_after.to_be_bytes());
        let signature = self.0.signing.sign(&bytes);
        bytes.extend_from_slice(signature.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the content of a code, if it has a valid signature by one of the keys.
    pub fn read(&self, code: &str) -> Option<Claims> {
        let bytes = URL_SAFE_NO_PAD.decode(code.trim()).ok()?;
        if bytes.len() != WHOLE || bytes[0] != VERSION {
            return None;
        }
        let (signed, signature) = bytes.split_at(SIGNED);
        let key = self.0.believed.iter().find(|key| key.id == signed[1..5])?;
        UnparsedPublicKey::new(&ED25519, &key.bytes)
            .verify(signed, signature)
            .ok()?;
        let eight = |at: usize| signed[at..at + 8].try_into().map(i64::from_be_bytes).ok();
        Some(Claims {
            ticket: Uuid::from_slice(&signed[5..21]).ok()?,
            event: Uuid::from_slice(&signed[21..37]).ok()?,
            secret_version: signed[37..41].try_into().map(i32::from_be_bytes).ok()?,
            not_before: eight(41)?,
            not_after: eight(49)?,
        })
    }
}

impl Claims {
    /// The content of a code for an event that ends at `ends_at`. Events may be postponed, so `not_after` is a year
    /// later, for scanners that know nothing else; the door checks the time against the event's current end. `now`
    /// must be the database's time, since the door compares it with that clock.
    pub fn new(
        ticket: Uuid,
        event: Uuid,
        secret_version: i32,
        now: DateTime<Utc>,
        ends_at: DateTime<Utc>,
    ) -> Self {
        Self {
            ticket,
            event,
            secret_version,
            not_before: now.timestamp(),
            not_after: ends_at.timestamp() + 365 * 86_400,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let now = Utc::now();
        Claims::new(Uuid::now_v7(), Uuid::now_v7(), 3, now, now)
    }

    #[test]
    fn o9_a_code_is_short_and_says_what_was_signed() {
        let keys = Keys::new(&["one".into()]).unwrap();
        let claims = claims();
        let code = keys.sign(&claims);
        assert!(code.len() <= 180, "{}", code.len());
        assert_eq!(keys.read(&code), Some(claims));
        assert_eq!(keys.read(&format!(" {code}\n")), Some(claims));
    }

    #[test]
    fn t13_no_changed_bit_is_believed() {
        let keys = Keys::new(&["one".into()]).unwrap();
        let code = keys.sign(&claims());
        let bytes = URL_SAFE_NO_PAD.decode(&code).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                keys.read(&URL_SAFE_NO_PAD.encode(forged)),
                None,
                "bit {bit}"
            );
        }
        for text in ["", "x", &code[1..], &format!("{code}AA"), "ü"] {
            assert_eq!(keys.read(text), None, "{text}");
        }
    }

    #[test]
    fn o9_keys_change_and_old_codes_are_good_as_long_as_theirs_is_believed() {
        let old = Keys::new(&["old".into()]).unwrap();
        let code = old.sign(&claims());
        let both = Keys::new(&["new".into(), "old".into()]).unwrap();
        assert!(both.read(&code).is_some());
        assert!(old.read(&both.sign(&claims())).is_none());
        assert!(Keys::new(&["new".into()]).unwrap().read(&code).is_none());
    }
}
