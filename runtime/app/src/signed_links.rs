//! Links in mail that work without a session: the token in a link contains what the link is about, and a signature.
//!
//! Each purpose has a key of its own, so a token for one purpose is not valid for another. Mail programs and scanners
//! open links by themselves: therefore a GET only shows a page that asks for confirmation, and a POST does the work.
//! This module may not know any table.

use crate::{module::Parts, texts::Direction};
use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts as Head},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{
    Error,
    http::ConfigError,
    problem::{Item, Problem},
    problems,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::sync::Arc;
use url::Url;

/// The length to which the signature in a link is truncated.
const SIGNATURE_BYTES: usize = 16;

/// The length of the hash by which a link names the address that it was mailed to.
pub const ADDRESS_BYTES: usize = 8;

/// The links of one purpose. Cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

struct Inner {
    /// The first one signs; what the others have signed is still accepted.
    keys: Vec<SecretString>,
    page: Url,
}

/// The `token` in the query string of a link; 422 without one. Other parameters are ignored, since programs that handle
/// mail add some.
pub struct Token(pub String);

impl<S: Sync> FromRequestParts<S> for Token {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Head, _: &S) -> Result<Self, Error> {
        let query = parts.uri.query().unwrap_or_default();
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        let token = pairs.find(|(name, _)| name == "token");
        let token = token.filter(|(_, token)| !token.is_empty());
        let missing = || {
            let detail = "Use the whole link in the mail: it ends with the token.";
            let mut problem = Problem::new(&problems::INVALID);
            problem.errors = vec![Item::query("token", "required", detail)];
            problem
        };
        let (_, token) = token.ok_or_else(missing)?;
        Ok(Self(token.into_owned()))
    }
}

impl Links {
    /// `path` is the path of the page that the links open.
    pub fn new(parts: &Parts, purpose: &str, path: &str) -> Result<Self, ConfigError> {
        Self::with(parts.secrets(purpose), &parts.public_url, path)
    }

    fn with(keys: Vec<SecretString>, public_url: &Url, path: &str) -> Result<Self, ConfigError> {
        let text = format!("{}{path}", public_url.as_str().trim_end_matches('/'));
        let page = text.parse().map_err(|error: url::ParseError| ConfigError {
            setting: "PUBLIC_URL",
            reason: error.to_string(),
        })?;
        Ok(Self(Arc::new(Inner { keys, page })))
    }

    /// The link with these contents; the same contents always give the same link.
    pub fn url(&self, said: &[u8]) -> Url {
        let mut bytes = said.to_vec();
        let mac = mac(&self.0.keys[0], said).finalize().into_bytes();
        bytes.extend(&mac[..SIGNATURE_BYTES]);
        let mut url = self.0.page.clone();
        url.query_pairs_mut()
            .append_pair("token", &URL_SAFE_NO_PAD.encode(bytes));
        url
    }

    /// The contents of a token. `None`: it was not signed by us, or for another purpose.
    pub fn read(&self, token: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let signature = bytes.split_off(bytes.len().checked_sub(SIGNATURE_BYTES)?);
        // Each comparison takes constant time.
        let signed = |key| mac(key, &bytes).verify_truncated_left(&signature).is_ok();
        self.0.keys.iter().any(signed).then_some(bytes)
    }

    /// A keyed hash of the address that a link is mailed to, to be put into the link's contents: the link is valid only
    /// as long as the member has this address, whoever reads the old mailbox.
    pub fn address(&self, email: &str) -> [u8; ADDRESS_BYTES] {
        address(&self.0.keys[0], email)
    }

    /// Whether a hash that a link contains is that of this address, by any of the keys.
    pub fn is_address(&self, email: &str, hash: &[u8]) -> bool {
        let keys = &self.0.keys;
        keys.iter().any(|key| address(key, email)[..] == *hash)
    }
}

fn address(key: &SecretString, email: &str) -> [u8; ADDRESS_BYTES] {
    let mut said = b"mailed to ".to_vec();
    said.extend(email.to_lowercase().as_bytes());
    let hash = mac(key, &said).finalize().into_bytes();
    std::array::from_fn(|at| hash[at])
}

fn mac(key: &SecretString, bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).expect("any length will do");
    mac.update(bytes);
    mac
}

/// The texts of the pages that a link leads to, in one of the languages of the mails.
pub struct Pages {
    pub language: &'static str,
    /// `{}` is what it is about.
    pub question: &'static str,
    pub button: &'static str,
    pub done: &'static str,
}

impl Pages {
    /// Those for a member's locale, or else the first.
    pub fn of(all: &'static [Self], locale: &str) -> &'static Self {
        let language = locale.split('-').next().unwrap_or_default();
        let known = all.iter().find(|pages| pages.language == language);
        known.unwrap_or(&all[0])
    }

    /// A page with a button that posts to the page's own URL. The caller must escape texts of external origin.
    pub fn ask(&self, about: &str) -> Response {
        let (text, button) = (self.question.replace("{}", about), self.button);
        self.page(&format!(
            "<p>{text}</p><form method=\"post\"><button>{button}</button></form>"
        ))
    }

    /// A page without a button.
    pub fn done(&self) -> Response {
        self.page(&format!("<p>{}</p>", self.done))
    }

    fn page(&self, body: &str) -> Response {
        page(self.language, body)
    }
}

fn page(language: &str, body: &str) -> Response {
    let direction = Direction::of(language).name();
    let html = format!(
        "<!doctype html><html lang=\"{language}\" dir=\"{direction}\"><meta charset=\"utf-8\"><title>CulturePass</title><body>{body}</body></html>"
    );
    let policy =
        HeaderValue::from_static("default-src 'none'; form-action 'self'; frame-ancestors 'none'");
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The URL contains the token, which must not be sent to other sites.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    (StatusCode::OK, headers, Html(html)).into_response()
}

#[cfg(test)]
impl Links {
    /// Links signed with this key.
    pub fn tried(key: &str) -> Self {
        Self::of(&[key])
    }

    /// Links signed with the first of these keys.
    fn of(keys: &[&str]) -> Self {
        let url = "https://api.test".parse().expect("an address");
        let keys = keys.iter().map(|key| SecretString::from(*key));
        Self::with(keys.collect(), &url, "/page").expect("links")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(of: &Links, said: &[u8]) -> String {
        let url = of.url(said);
        url.query_pairs().next().expect("a token").1.into_owned()
    }

    #[test]
    fn an_address_has_one_hash_under_each_key() {
        let (ours, others) = (Links::tried("key"), Links::tried("other"));
        let hash = ours.address("ana@example.org");
        assert_eq!(hash, ours.address("Ana@Example.org"));
        assert_ne!(hash, ours.address("ana@example.com"));
        assert_ne!(hash, others.address("ana@example.org"));
    }

    /// A mail may be opened long after the key was replaced.
    #[test]
    fn links_outlive_the_key_that_signed_them() {
        let (before, after) = (Links::tried("old"), Links::of(&["new", "old"]));
        let hash = before.address("ana@example.org");
        let old = token(&before, &hash);
        assert_eq!(after.read(&old).as_deref(), Some(&hash[..]));
        assert!(after.is_address("Ana@example.org", &hash));
        assert!(!after.is_address("ana@example.com", &hash));
        // New links are signed with the new key.
        assert_eq!(before.read(&token(&after, &hash)), None);
        let unrelated = Links::tried("new");
        assert_eq!(unrelated.read(&old), None, "without the old key");
        assert!(!unrelated.is_address("ana@example.org", &hash));
    }

    #[test]
    fn a_token_says_what_was_signed_and_nothing_else() {
        let (ours, others) = (Links::tried("key"), Links::tried("other"));
        let good = token(&ours, b"about this");
        assert_eq!(ours.read(&good).as_deref(), Some(&b"about this"[..]));
        assert_eq!(ours.read(&token(&others, b"about this")), None);
        let bytes = URL_SAFE_NO_PAD.decode(&good).expect("bytes");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(ours.read(&URL_SAFE_NO_PAD.encode(changed)), None, "{at}");
        }
        for wrong in [&bytes[1..], &bytes[..bytes.len() - 1], &bytes[..15], &[]] {
            assert_eq!(ours.read(&URL_SAFE_NO_PAD.encode(wrong)), None);
        }
        for none in ["=", "AAAA", "a b"] {
            assert_eq!(ours.read(none), None);
        }
    }
}
