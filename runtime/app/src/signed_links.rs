//! Links in mail that work without a session: the token in a link contains what the link is about, and a signature.
//!
//! Each purpose has a key of its own, so a token for one purpose is not valid for another. Mail programs and scanners
//! open links by themselves: therefore a GET only shows a page that asks for confirmation, and a POST does the work.
//! This module may not know any table.

use crate::module::Parts;
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
    key: SecretString,
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
        Self::with(parts.secret(purpose), &parts.public_url, path)
    }

    fn with(key: SecretString, public_url: &Url, path: &str) -> Result<Self, ConfigError> {
        let text = format!("{}{path}", public_url.as_str().trim_end_matches('/'));
        let page = text.parse().map_err(|error: url::ParseError| ConfigError {
            setting: "PUBLIC_URL",
            reason: error.to_string(),
        })?;
        Ok(Self(Arc::new(Inner { key, page })))
    }

    /// The link with these contents; the same contents always give the same link.
    pub fn url(&self, said: &[u8]) -> Url {
        let mut bytes = said.to_vec();
        bytes.extend(&self.mac(said).finalize().into_bytes()[..SIGNATURE_BYTES]);
        let mut url = self.0.page.clone();
        url.query_pairs_mut()
            .append_pair("token", &URL_SAFE_NO_PAD.encode(bytes));
        url
    }

    /// The contents of a token. `None`: it was not signed by us, or for another purpose.
    pub fn read(&self, token: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let signature = bytes.split_off(bytes.len().checked_sub(SIGNATURE_BYTES)?);
        // The comparison takes constant time.
        self.mac(&bytes).verify_truncated_left(&signature).ok()?;
        Some(bytes)
    }

    /// A keyed hash of the address that a link is mailed to, to be put into the link's contents: the link is valid only
    /// as long as the member has this address, whoever reads the old mailbox.
    pub fn address(&self, email: &str) -> [u8; ADDRESS_BYTES] {
        let mut said = b"mailed to ".to_vec();
        said.extend(email.to_lowercase().as_bytes());
        let hash = self.mac(&said).finalize().into_bytes();
        std::array::from_fn(|at| hash[at])
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.key.expose_secret().as_bytes())
            .expect("any length will do");
        mac.update(bytes);
        mac
    }
}

/// A page with a button that posts to the page's own URL. The caller must escape texts of external origin.
pub fn question(text: &str, button: &str) -> Response {
    page(&format!(
        "<p>{text}</p><form method=\"post\"><button>{button}</button></form>"
    ))
}

/// A page with a text and no button. The caller must escape texts of external origin.
pub fn statement(text: &str) -> Response {
    page(&format!("<p>{text}</p>"))
}

fn page(body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>CulturePass</title><body>{body}</body></html>"
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
        let url = "https://api.test".parse().expect("an address");
        Self::with(key.to_owned().into(), &url, "/page").expect("links")
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
