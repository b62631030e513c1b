//! Our own access tokens: Ed25519, short-lived, without roles.
//!
//! `typ` is `at+jwt` (RFC 9068), so that no other kind of token from the same issuer is accepted as one.

use super::{Identified, Refused};
use crate::{actor::Actor, config::TokenConfig};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    jwk::{Jwk, ThumbprintHash},
};
use moka::sync::Cache;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// How many verified tokens are remembered by their digest.
const REMEMBERED: u64 = 10_000;

pub struct Tokens {
    signing: EncodingKey,
    header: Header,
    issuer: String,
    audience: String,
    lifetime: i64,
    leeway: i64,
    /// By key id.
    keys: HashMap<String, DecodingKey>,
    verified: Cache<[u8; 32], Claims>,
}

/// A fresh access token.
pub struct Issued {
    pub token: String,
    /// Seconds.
    pub expires_in: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Tokens {
    pub fn new(config: &TokenConfig) -> Result<Self, jsonwebtoken::errors::Error> {
        let signing = EncodingKey::from_ed_pem(config.signing_key.expose_secret().as_bytes())?;
        let public = Jwk::from_encoding_key(&signing, Algorithm::EdDSA)?;
        let current = public.thumbprint(ThumbprintHash::SHA256)?;
        let mut keys = HashMap::from([(current.clone(), DecodingKey::from_jwk(&public)?)]);
        for pem in &config.former_keys {
            let (id, key) = verifying(pem.expose_secret())?;
            keys.insert(id, key);
        }
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(current);
        Ok(Self {
            signing,
            header,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            lifetime: config.lifetime.as_secs() as i64,
            leeway: config.leeway.as_secs() as i64,
            keys,
            verified: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(Duration::from_secs(300))
                .build(),
        })
    }

    /// A token for this user in this session, valid from `now` (Unix seconds).
    pub fn issue(
        &self,
        user: Uuid,
        session: Uuid,
        now: i64,
    ) -> Result<Issued, jsonwebtoken::errors::Error> {
        self.issue_until(user, session, now, i64::MAX)
    }

    /// The same for a session that ends at `until`: the token expires no later. Both times in seconds since 1970.
    pub fn issue_until(
        &self,
        user: Uuid,
        session: Uuid,
        now: i64,
        until: i64,
    ) -> Result<Issued, jsonwebtoken::errors::Error> {
        let exp = until.min(now + self.lifetime);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user,
            sid: session,
            iat: now,
            nbf: now,
            exp,
        };
        Ok(Issued {
            token: encode(&self.header, &claims, &self.signing)?,
            expires_in: (exp - now).max(0) as u64,
        })
    }

    /// Names the token one of our keys? Says nothing about its validity.
    pub fn is_ours(&self, token: &str) -> bool {
        decode_header(token)
            .is_ok_and(|header| header.kid.is_some_and(|kid| self.keys.contains_key(&kid)))
    }

    /// Signature and claims at `now` (Unix seconds).
    pub fn verify(&self, token: &str, now: i64) -> Result<Identified, Refused> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let claims = match self.verified.get(&digest) {
            Some(claims) => claims,
            None => {
                let claims = self.check_signature(token)?;
                self.verified.insert(digest, claims.clone());
                claims
            }
        };
        if claims.iss != self.issuer {
            return Err(Refused("issuer"));
        }
        if claims.aud != self.audience {
            return Err(Refused("audience"));
        }
        check_times(claims.iat, Some(claims.nbf), claims.exp, self.leeway, now)?;
        Ok(Identified {
            actor: Actor::User {
                id: claims.sub,
                session: Some(claims.sid),
            },
            until: Some(claims.exp),
        })
    }

    fn check_signature(&self, token: &str) -> Result<Claims, Refused> {
        let header = decode_header(token).map_err(|_| Refused("header"))?;
        if header.alg != Algorithm::EdDSA {
            return Err(Refused("algorithm"));
        }
        if !header
            .typ
            .as_deref()
            .is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt"))
        {
            return Err(Refused("type"));
        }
        check_header(&header)?;
        let key = header
            .kid
            .as_ref()
            .and_then(|kid| self.keys.get(kid))
            .ok_or(Refused("key"))?;
        let data = decode::<Claims>(token, key, &signature_only(Algorithm::EdDSA))
            .map_err(|_| Refused("signature"))?;
        Ok(data.claims)
    }
}

/// Whether a text is a key that tokens can be verified with: an Ed25519 key in PEM, public or private.
pub fn is_key(pem: &str) -> bool {
    verifying(pem).is_ok()
}

/// A token must not contain its own key, nor have critical headers that we do not understand.
pub(super) fn check_header(header: &Header) -> Result<(), Refused> {
    if header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some()
    {
        return Err(Refused("brings its own key"));
    }
    if header.crit.is_some() || header.zip.is_some() || header.enc.is_some() {
        return Err(Refused("critical header"));
    }
    Ok(())
}

pub(super) fn check_times(
    issued: i64,
    not_before: Option<i64>,
    expires: i64,
    leeway: i64,
    now: i64,
) -> Result<(), Refused> {
    if expires.saturating_add(leeway) <= now {
        return Err(Refused("expired"));
    }
    if not_before.is_some_and(|not_before| not_before > now.saturating_add(leeway)) {
        return Err(Refused("not valid yet"));
    }
    if issued > now.saturating_add(leeway) {
        return Err(Refused("issued in the future"));
    }
    Ok(())
}

/// Claims are checked here, against a clock that tests can set.
pub(super) fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// The id of a key, and what verifies tokens that are signed with it.
fn verifying(pem: &str) -> Result<(String, DecodingKey), jsonwebtoken::errors::Error> {
    let (public, key) = match EncodingKey::from_ed_pem(pem.as_bytes()) {
        Ok(private) => {
            let public = Jwk::from_encoding_key(&private, Algorithm::EdDSA)?;
            let key = DecodingKey::from_jwk(&public)?;
            (public, key)
        }
        Err(_) => {
            let key = DecodingKey::from_ed_pem(pem.as_bytes())?;
            (Jwk::from_decoding_key(&key, Some(Algorithm::EdDSA))?, key)
        }
    };
    Ok((public.thumbprint(ThumbprintHash::SHA256)?, key))
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
