//! Cursors, which mark the end of a page: opaque to clients, and valid only for the same list.
//!
//! A cursor is bound to the list, parent, filters, sort and caller without containing them. A client that changes one
//! of them gets 400 and not a page of something else. Its content is encrypted: where a list leaves out rows after
//! they were found, because the caller may not see them, a page may end at such a row.

use crate::{
    error::{Error, Result},
    problems,
};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// Longer cursors are refused without decoding them.
pub const MAX_LENGTH: usize = 1000;

/// The same key on all instances.
pub struct CursorKey {
    scopes: [u8; 32],
    contents: Arc<LessSafeKey>,
}

/// What a cursor is bound to. Parts are length-prefixed, so that different parts can't produce the same bytes.
#[derive(Clone)]
pub struct Scope {
    parts: Hmac<Sha256>,
    contents: Arc<LessSafeKey>,
}

impl CursorKey {
    pub fn new(secret: &SecretString) -> Self {
        let key = |purpose: &str| -> [u8; 32] {
            Sha256::new()
                .chain_update(purpose)
                .chain_update(secret.expose_secret())
                .finalize()
                .into()
        };
        let contents = UnboundKey::new(&AES_256_GCM_SIV, &key("cursor contents"));
        Self {
            scopes: key("cursor"),
            contents: Arc::new(LessSafeKey::new(contents.expect("a key of 256 bits"))),
        }
    }

    pub fn scope(&self) -> Scope {
        Scope {
            parts: Hmac::new_from_slice(&self.scopes).expect("any length will do"),
            contents: self.contents.clone(),
        }
    }
}

/// Always the same: the same page has the same cursor, so that the answer has the same ETag. This cipher then only
/// reveals that two cursors are equal.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl Scope {
    pub fn part(&mut self, part: &[u8]) {
        self.parts.update(&(part.len() as u64).to_be_bytes());
        self.parts.update(part);
    }

    fn bound(self) -> (Aad<[u8; 32]>, Arc<LessSafeKey>) {
        (
            Aad::from(self.parts.finalize().into_bytes().into()),
            self.contents,
        )
    }

    /// `key` is the value of the sorted column as text; `None` if rows are sorted by id.
    pub fn seal(self, key: Option<&str>, id: Uuid) -> String {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend_from_slice(id.as_bytes());
        bytes.push(u8::from(key.is_some()));
        bytes.extend_from_slice(key.unwrap_or_default().as_bytes());
        let (scope, contents) = self.bound();
        contents
            .seal_in_place_append_tag(nonce(), scope, &mut bytes)
            .expect("shorter than the cipher's limit of gigabytes");
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn open(self, cursor: &str) -> Result<(Option<String>, Uuid)> {
        let refused = || Error::new(&problems::CURSOR);
        if cursor.len() > MAX_LENGTH {
            return Err(refused());
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        let (scope, contents) = self.bound();
        let content = contents.open_in_place(nonce(), scope, &mut bytes);
        let content = content.map_err(|_| refused())?;
        let (id, key) = content.split_at_checked(16).ok_or_else(refused)?;
        let id = Uuid::from_slice(id).map_err(|_| refused())?;
        let key = match key.split_first().ok_or_else(refused)? {
            (0, _) => None,
            (_, key) => Some(String::from_utf8(key.to_vec()).map_err(|_| refused())?),
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
    fn a_cursor_says_nothing_and_is_the_same_for_the_same_place() {
        let (id, key) = (Uuid::from_u128(0x0123_4567_89ab), "2026-05-01T00:00:00Z");
        let sealed = || scope("k", &["event"]).seal(Some(key), id);
        assert_eq!(sealed(), sealed());
        let bytes = URL_SAFE_NO_PAD.decode(sealed()).unwrap();
        for said in [&id.as_bytes()[10..], &key.as_bytes()[..4]] {
            assert!(!bytes.windows(said.len()).any(|part| part == said));
        }
        // Of two cursors that differ in the id alone, not even the key looks alike.
        let other = scope("k", &["event"]).seal(Some(key), Uuid::from_u128(1));
        let other = URL_SAFE_NO_PAD.decode(other).unwrap();
        let alike = bytes.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!(alike < bytes.len() / 4, "{alike} of {} bytes", bytes.len());
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
