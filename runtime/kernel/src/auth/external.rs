//! Tokens of OpenID Connect issuers, verified with the keys they publish.
//!
//! Keys are fetched outside any transaction, at most twice a minute, from the one configured place.

use super::{
    Identified, Refused, refuse,
    token::{check_header, check_times, signature_only},
};
use crate::{
    actor::Actor,
    config::{IssuerConfig, Jwks},
    error::{Error, Result},
};
use futures_util::future::BoxFuture;
use jsonwebtoken::{
    Algorithm, DecodingKey, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use moka::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use uuid::Uuid;

const LEEWAY: i64 = 5;
const FETCH_PAUSE: Duration = Duration::from_secs(30);
const MAX_KEY_SET_BYTES: usize = 256 * 1024;
const REMEMBERED: u64 = 10_000;

/// Maps a subject of an issuer to one of our users. Implemented by the application, which may create the user.
pub trait Resolver: Send + Sync {
    fn resolve<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<Option<Known>>>;
}

/// The user and session that a token stands for. The session is checked in the database at every request, like that of
/// our own tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub user: Uuid,
    pub session: Uuid,
}

/// What a verified external token says about its holder.
#[derive(Clone, Debug, Deserialize)]
pub struct Identity {
    #[serde(rename = "iss")]
    pub issuer: String,
    #[serde(rename = "sub")]
    pub subject: String,
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    pub name: Option<String>,
    /// The issuer's session, where it names one.
    #[serde(rename = "sid")]
    pub session: Option<String>,
    /// Unix seconds.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// Unix seconds.
    #[serde(rename = "exp")]
    pub expires_at: i64,
}

/// One accepted issuer.
pub struct External {
    config: IssuerConfig,
    resolver: Arc<dyn Resolver>,
    client: reqwest::Client,
    keys: RwLock<Arc<Keys>>,
    /// Held while fetching keys, so that concurrent requests wait for one fetch.
    fetched: Mutex<Option<Instant>>,
    verified: Cache<[u8; 32], Verified>,
}

type Keys = HashMap<String, (Algorithm, DecodingKey)>;

#[derive(Clone, Copy)]
struct Verified {
    known: Known,
    issued: i64,
    not_before: Option<i64>,
    expires: i64,
}

#[derive(Deserialize)]
struct Claims {
    aud: Audience,
    /// The client that the token was issued to.
    azp: Option<String>,
    nbf: Option<i64>,
    #[serde(flatten)]
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl External {
    pub fn new(config: IssuerConfig, resolver: Arc<dyn Resolver>) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            config,
            resolver,
            client,
            keys: RwLock::default(),
            fetched: Mutex::default(),
            verified: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(Duration::from_secs(60))
                .build(),
        })
    }

    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Signature, claims and user at `now` (Unix seconds).
    pub async fn verify(&self, token: &str, now: i64) -> Result<Identified> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let verified = match self.verified.get(&digest) {
            Some(verified) => verified,
            None => {
                let claims = self.check_signature(token).await?;
                let (issued, expires) = (claims.identity.issued_at, claims.identity.expires_at);
                check_times(issued, claims.nbf, expires, LEEWAY, now).map_err(refuse)?;
                self.check_lifetime(issued, expires).map_err(refuse)?;
                let known = self.resolver.resolve(&claims.identity).await?;
                let known = known.ok_or_else(|| refuse(Refused("no user for this subject")))?;
                let verified = Verified {
                    known,
                    issued,
                    not_before: claims.nbf,
                    expires,
                };
                self.verified.insert(digest, verified);
                verified
            }
        };
        check_times(
            verified.issued,
            verified.not_before,
            verified.expires,
            LEEWAY,
            now,
        )
        .map_err(refuse)?;
        Ok(Identified {
            actor: Actor::User {
                id: verified.known.user,
                session: Some(verified.known.session),
            },
            until: Some(verified.expires),
        })
    }

    /// Refuses a token that is valid for too long: nothing but its expiry ends a token that never reaches us again.
    fn check_lifetime(&self, issued: i64, expires: i64) -> Result<(), Refused> {
        let longest = i64::try_from(self.config.max_lifetime.as_secs()).unwrap_or(i64::MAX);
        match expires.checked_sub(issued) {
            Some(lifetime) if lifetime <= longest => Ok(()),
            _ => Err(Refused("lives too long")),
        }
    }

    /// Whether the token is for one of our audiences and, where it names the client that it was issued to (`azp`), for
    /// one of our clients. A token for several audiences must name the client, since it may have been issued to
    /// another one's.
    fn check_audience(&self, claims: &Claims) -> Result<(), Refused> {
        let audiences = match &claims.aud {
            Audience::One(audience) => std::slice::from_ref(audience),
            Audience::Several(audiences) => audiences,
        };
        if !audiences.contains(&self.config.audience) {
            return Err(Refused("audience"));
        }
        match &claims.azp {
            Some(party) if self.config.authorized_parties.contains(party) => Ok(()),
            Some(_) => Err(Refused("issued to another client")),
            None if audiences
                .iter()
                .all(|audience| *audience == self.config.audience) =>
            {
                Ok(())
            }
            None => Err(Refused("several audiences")),
        }
    }

    async fn check_signature(&self, token: &str) -> Result<Claims> {
        let header = decode_header(token).map_err(|_| refuse(Refused("header")))?;
        check_header(&header).map_err(refuse)?;
        let kid = header.kid.ok_or_else(|| refuse(Refused("key")))?;
        let (algorithm, key) = self
            .key(&kid)
            .await?
            .ok_or_else(|| refuse(Refused("key")))?;
        if header.alg != algorithm {
            return Err(refuse(Refused("algorithm")));
        }
        let claims = decode::<Claims>(token, &key, &signature_only(algorithm))
            .map_err(|_| refuse(Refused("signature")))?
            .claims;
        if claims.identity.issuer != self.config.issuer {
            return Err(refuse(Refused("issuer")));
        }
        self.check_audience(&claims).map_err(refuse)?;
        Ok(claims)
    }

    async fn key(&self, kid: &str) -> Result<Option<(Algorithm, DecodingKey)>> {
        let known = |external: &Self| {
            external
                .keys
                .read()
                .expect("never poisoned")
                .get(kid)
                .cloned()
        };
        let mut fetched = match known(self) {
            Some(key) => {
                // A stale key set is refreshed by the first request that finds no refresh running.
                match self.fetched.try_lock() {
                    Ok(fetched) if fetched.is_none_or(|at| at.elapsed() > self.config.refresh) => {
                        fetched
                    }
                    _ => return Ok(Some(key)),
                }
            }
            None => {
                let fetched = self.fetched.lock().await;
                if fetched.is_some_and(|at| at.elapsed() < FETCH_PAUSE) {
                    return Ok(known(self));
                }
                fetched
            }
        };
        *fetched = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => *self.keys.write().expect("never poisoned") = Arc::new(keys),
            Err(cause) if known(self).is_none() => return Err(Error::unavailable().because(cause)),
            Err(cause) => {
                tracing::warn!(issuer = self.issuer(), %cause, "keys of the issuer could not be fetched")
            }
        }
        Ok(known(self))
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let text = match &self.config.jwks {
            Jwks::File(path) => tokio::fs::read(path)
                .await
                .map_err(|error| error.to_string())?,
            Jwks::Url(url) => {
                let answer = self.client.get(url.clone()).send().await;
                let mut answer = answer
                    .and_then(|answer| answer.error_for_status())
                    .map_err(|e| e.to_string())?;
                let mut text = Vec::new();
                while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
                    text.extend_from_slice(&chunk);
                    if text.len() > MAX_KEY_SET_BYTES {
                        return Err("the key set is too large".to_owned());
                    }
                }
                text
            }
        };
        read_keys(&text)
    }
}

/// The issuer that a token claims to be from, to choose the keys for verifying that claim.
pub(super) fn issuer_of(token: &str) -> Result<String, Refused> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let claims: Issuer =
        jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| Refused("claims"))?;
    Ok(claims.iss)
}

/// How many keys of a key set tokens can be verified with.
pub fn usable_keys(text: &[u8]) -> usize {
    read_keys(text).map_or(0, |keys| keys.len())
}

/// Signing keys of the accepted kinds; others in the set are passed over.
fn read_keys(text: &[u8]) -> Result<Keys, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut keys = Keys::new();
    for value in set.keys {
        let Ok(jwk) = serde_json::from_value::<Jwk>(value) else {
            continue;
        };
        // A key that is for encrypting, and may be in other hands than those for signing.
        if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
            continue;
        }
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            _ => continue,
        };
        if let (Some(kid), Ok(key)) = (&jwk.common.key_id, DecodingKey::from_jwk(&jwk)) {
            keys.insert(kid.clone(), (algorithm, key));
        }
    }
    Ok(keys)
}

#[cfg(test)]
#[path = "external_tests.rs"]
mod tests;
