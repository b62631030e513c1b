//! How far a client has been told: the `id` of a server-sent event, which the client sends back as `Last-Event-ID`.
//!
//! A position contains a snapshot of the database, whose numbers reveal how much is written there; therefore it is
//! encrypted, and valid for its member only.

use super::snapshot::Snapshot;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Error, Result, http::ConfigError};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

const NONCE_BYTES: usize = 12;

/// Longer positions are refused without being decrypted.
const TEXT_MAX: usize = 4096;

#[derive(Clone)]
pub(in super::super) struct Positions(Arc<RandomizedNonceKey>);

impl Positions {
    pub(in super::super) fn new(secret: &SecretString) -> Result<Self, ConfigError> {
        let key = Sha256::digest(secret.expose_secret());
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| ConfigError {
            setting: "TOKEN_SIGNING_KEY",
            reason: "no key for streams can be made of it".into(),
        })?;
        Ok(Self(Arc::new(key)))
    }

    pub(super) fn seal(&self, member: Uuid, seen: &Snapshot) -> Result<String> {
        let mut sealed = seen.text().into_bytes();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(member.as_bytes()), &mut sealed);
        let nonce = nonce.map_err(|_| Error::internal("a position could not be sealed"))?;
        let mut bytes = nonce.as_ref().to_vec();
        bytes.append(&mut sealed);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Decrypts a position. None: it was not made by us, or belongs to another member.
    pub(super) fn open(&self, member: Uuid, text: &str) -> Option<Snapshot> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(member.as_bytes()), sealed)
            .ok()?;
        std::str::from_utf8(opened).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_for_its_member_and_unreadable() {
        let positions = Positions::new(&"a secret".to_owned().into()).expect("a key");
        let other = Positions::new(&"another".to_owned().into()).expect("a key");
        let (ana, ben) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let seen: Snapshot = "10:20:12".parse().expect("a snapshot");
        let text = positions.seal(ana, &seen).expect("sealed");
        assert_eq!(positions.open(ana, &text), Some(seen.clone()));
        assert_eq!(positions.open(ben, &text), None);
        assert_eq!(other.open(ana, &text), None);
        let bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64");
        assert!(!bytes.windows(5).any(|part| part == b"10:20"));
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert_eq!(positions.open(ana, &URL_SAFE_NO_PAD.encode(forged)), None);
        }
        for text in ["", "AAAA", "not base64!", &"A".repeat(5000)] {
            assert_eq!(positions.open(ana, text), None);
        }
    }
}
