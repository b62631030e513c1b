//! Cursors, which mark the end of a page: opaque to clients, signed, and valid only for the same list.
//!
//! The signature covers the list, parent, filters, sort and caller without containing them. A client that changes one
//! of them gets 400 and not a page of something else.

use crate::{
    error::{Error, Result},
    problems,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const SIGNATURE: usize = 16;
/// Longer cursors are refused without decoding them.
pub const MAX_LENGTH: usize = 1000;

/// The same key on all instances.
pub struct CursorKey([u8; 32]);

/// What a cursor is bound to. Parts are length-prefixed, so that different parts can't produce the same bytes.
#[derive(Clone)]
pub struct Scope(Hmac<Sha256>);

impl CursorKey {
    pub fn new(secret: &SecretString) -> Self {
        Self(
            Sha256::new()
                .chain_update("cursor")
                .chain_update(secret.expose_secret())
                .finalize()
                .into(),
        )
    }

    pub fn scope(&self) -> Scope {
        Scope(Hmac::new_from_slice(&self.0).expect("any length will do"))
    }
}

impl Scope {
    pub fn part(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    /// `key` is the value of the sorted column as text; `None` if rows are sorted by id.
    pub fn seal(mut self, key: Option<&str>, id: Uuid) -> String {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(id.as_bytes());
        bytes.push(u8::from(key.is_some()));
        bytes.extend_from_slice(key.unwrap_or_default().as_bytes());
        self.part(&bytes);
        let signature = self.0.finalize().into_bytes();
        bytes.extend_from_slice(&signature[..SIGNATURE]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn open(mut self, cursor: &str) -> Result<(Option<String>, Uuid)> {
        let refused = || Error::new(&problems::CURSOR);
        if cursor.len() > MAX_LENGTH {
            return Err(refused());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        let length = bytes
            .len()
            .checked_sub(SIGNATURE)
            .filter(|length| *length >= 17)
            .ok_or_else(refused)?;
        let (content, signature) = bytes.split_at(length);
        self.part(content);
        self.0
            .verify_truncated_left(signature)
            .map_err(|_| refused())?;
        let id = Uuid::from_slice(&content[..16]).map_err(|_| refused())?;
        let key = match content[16] {
            0 => None,
            _ => Some(String::from_utf8(content[17..].to_vec()).map_err(|_| refused())?),
        };
        Ok((key, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(secret: &str, parts: &[&str]) -> Scope {
        let mut scope = CursorKey::new(&secret.into()).scope();
        parts.iter().for_each(|part| scope.part(part.as_bytes()));
        scope
    }

    #[test]
    fn a_cursor_opens_only_where_it_was_made() {
        let id = Uuid::from_u128(9);
        let cursor = scope("k", &["event", "me"]).seal(Some("2026-05-01T00:00:00Z"), id);
        let opened = scope("k", &["event", "me"]).open(&cursor).unwrap();
        assert_eq!(opened, (Some("2026-05-01T00:00:00Z".to_owned()), id));
        for other in [
            scope("k", &["event", "you"]),
            scope("k", &["even", "tme"]),
            scope("other", &["event", "me"]),
        ] {
            assert_eq!(
                other.open(&cursor).unwrap_err().kind().slug,
                "invalid-cursor"
            );
        }
    }

    #[test]
    fn damage_is_noticed() {
        let cursor = scope("k", &[]).seal(None, Uuid::nil());
        for at in 0..cursor.len() {
            let mut damaged = cursor.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            assert!(
                scope("k", &[])
                    .open(std::str::from_utf8(&damaged).unwrap())
                    .is_err(),
                "{at}"
            );
        }
        for bad in ["", "AAAA", "%%%", &"A".repeat(2000)] {
            assert!(scope("k", &[]).open(bad).is_err());
        }
    }
}
