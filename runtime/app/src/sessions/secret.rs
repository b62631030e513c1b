//! Random tokens, their digests, and values derived with the module's key.
//!
//! Only digests are stored in tables. Knows no database.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A new secret of 256 bits, as 43 characters that never need escaping.
pub fn random() -> SecretString {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// The digest of a token, which is what tables hold. Tokens are random, so a plain hash suffices.
pub fn digest(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()))
}

/// A token for a link in an email. The number from which it is derived is of no use without the server's secret.
pub struct Mailed {
    number: String,
    token: SecretString,
}

impl Mailed {
    pub fn fresh(key: &Key) -> Self {
        key.mailed(random().expose_secret())
    }

    pub fn made_of(&self) -> &str {
        &self.number
    }

    pub fn token(&self) -> &SecretString {
        &self.token
    }

    pub fn digest(&self) -> String {
        digest(self.token.expose_secret())
    }
}

/// Derives values that can't be computed without the server's secret.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    pub fn new(secret: &SecretString) -> Self {
        Self(Hmac::new_from_slice(secret.expose_secret().as_bytes()).expect("any length will do"))
    }

    /// The refresh token that follows this one. Since it is derived from it, concurrent requests with the same token
    /// all get the same answer, and the chain can't fork.
    pub fn next_refresh(&self, token: &str) -> SecretString {
        self.derive(&["refresh", token]).into()
    }

    /// The token of a link in an email, derived from a number that need not be secret: the queue holds it until the
    /// email is sent.
    pub fn mailed(&self, number: &str) -> Mailed {
        Mailed {
            number: number.to_owned(),
            token: self.derive(&["mailed", number]).into(),
        }
    }

    /// The digest of what a link in an email depends on.
    pub fn issued_for(&self, parts: &[&str]) -> String {
        let mut all = vec!["issued for"];
        all.extend(parts);
        self.derive(&all)
    }

    /// A few bits of a password's digest: enough to notice that the same password is tried on many accounts, too few
    /// to find it out.
    pub fn few_bits(&self, password: &str) -> String {
        self.derive(&["password", password])[..4].to_owned()
    }

    /// The key under which attempts of this kind are counted.
    pub fn throttle(&self, kind: &str, parts: &[&str]) -> String {
        let mut all = vec!["throttle", kind];
        all.extend(parts);
        self.derive(&all)
    }

    fn derive(&self, parts: &[&str]) -> String {
        let mut mac = self.0.clone();
        for part in parts {
            // The lengths are included, so that ("ab", "c") and ("a", "bc") differ.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_random_and_fit_their_column() {
        let (one, other) = (random(), random());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(one.expose_secret().len(), 43);
        assert_eq!(digest(one.expose_secret()).len(), 43);
    }

    #[test]
    fn what_waits_for_a_mail_is_not_its_token() {
        let (key, other) = (Key::new(&"one".into()), Key::new(&"two".into()));
        let mailed = Mailed::fresh(&key);
        assert_eq!(key.mailed(mailed.made_of()).digest(), mailed.digest());
        assert_ne!(other.mailed(mailed.made_of()).digest(), mailed.digest());
        assert_ne!(mailed.made_of(), mailed.token().expose_secret());
        assert_ne!(digest(mailed.made_of()), mailed.digest());
        assert_ne!(Mailed::fresh(&key).digest(), mailed.digest());
        assert_eq!(mailed.token().expose_secret().len(), 43);
    }

    #[test]
    fn derived_values_depend_on_key_kind_and_parts() {
        let key = Key::new(&"one".into());
        let next = key.next_refresh("t").expose_secret().to_owned();
        assert_eq!(next, key.next_refresh("t").expose_secret());
        assert_ne!(
            next,
            Key::new(&"two".into()).next_refresh("t").expose_secret()
        );
        assert_ne!(
            key.throttle("mail", &["ab", "c"]),
            key.throttle("mail", &["a", "bc"])
        );
        assert_ne!(
            key.throttle("mail", &["a"]),
            key.throttle("password", &["a"])
        );
        assert_eq!(key.throttle("mail", &["a"]).len(), 43);
        assert_eq!(key.few_bits("seven small elephants").len(), 4);
    }
}
