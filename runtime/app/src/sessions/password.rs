//! Hashing and checking passwords with argon2id, off the async threads and only so many at once.
//!
//! Knows no accounts: a check without a hash takes as long as one with.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use kernel::{Error, Result, input::FieldError};
use secrecy::{ExposeSecret, SecretString};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

pub const MIN_CHARS: u32 = 10;
pub const MAX_CHARS: u32 = 128;

/// Longer queues answer 503 instead of piling up.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Hasher {
    argon: Arc<Argon2<'static>>,
    at_once: Arc<Semaphore>,
    /// Checked for accounts that do not exist.
    dummy: Arc<str>,
}

impl Hasher {
    pub fn new(memory_kib: u32, passes: u32, at_once: usize) -> Self {
        let params = Params::new(memory_kib, passes, 1, None).expect("settings were checked");
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Self {
            dummy: nobodys(argon.params()).into(),
            argon: Arc::new(argon),
            at_once: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// The hash as a PHC string.
    pub async fn hash(&self, password: SecretString) -> Result<String> {
        let argon = self.argon.clone();
        self.run(move || {
            let hash = argon
                .hash_password(password.expose_secret().as_bytes())
                .map_err(Error::internal)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// `None` for the hash of an account that does not exist or has no password: never right, never faster.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool> {
        let argon = self.argon.clone();
        let dummy = self.dummy.clone();
        self.run(move || {
            let text = hash.as_deref().unwrap_or(&dummy);
            let parsed = PasswordHash::new(text).map_err(Error::internal)?;
            let right = argon
                .verify_password(password.expose_secret().as_bytes(), &parsed)
                .is_ok();
            Ok(right && hash.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = tokio::time::timeout(PATIENCE, self.at_once.clone().acquire_owned())
            .await
            .map_err(|_| Error::unavailable())?
            .map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            // Held by the work, not by the request: one that is given up still occupies a core.
            let _permit = permit;
            work()
        })
        .await
        .map_err(Error::internal)?
    }
}

/// A hash that takes as long to check as any new one, and that no password leads to: written down instead of
/// computed, because computing it would take a tenth of a second of every start and all the memory of a sign-in.
fn nobodys(params: &Params) -> String {
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let (salt, output) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}")
}

/// A hash as new passwords get, for programs that load data.
pub fn hash_once(password: &SecretString) -> Result<String> {
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
    Ok(hash.map_err(Error::internal)?.to_string())
}

/// What a new password may not be, beyond its length.
pub fn weakness(password: &str, personal: &[&str]) -> Option<FieldError> {
    let lower = password.to_lowercase();
    let common = COMMON
        .iter()
        .any(|word| lower.contains(word) && lower.chars().count() < word.len() + 6);
    let one_char = lower.chars().all(|c| lower.starts_with(c));
    let own = personal
        .iter()
        .any(|part| part.chars().count() >= 4 && lower.contains(&part.to_lowercase()));
    (common || one_char || own).then(|| FieldError {
        pointer: "/password".to_owned(),
        code: "weak",
        detail: if own {
            "must not contain your handle, name or address".to_owned()
        } else {
            "is among the first ones that are tried; take several words".to_owned()
        },
    })
}

/// Lower case. With up to five characters around them they are still guessed at once.
const COMMON: &[&str] = &[
    "password",
    "passw0rd",
    "passwort",
    "contraseña",
    "contrasena",
    "motdepasse",
    "1234567890",
    "123456789",
    "0123456789",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "qwerty123",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "abcdefghij",
    "iloveyou",
    "letmein",
    "welcome",
    "administrator",
    "changeme",
    "football",
    "baseball",
    "superman",
    "princess",
    "sunshine",
    "trustno1",
    "whatever",
    "starwars",
    "dragon123",
    "monkey123",
    "culturepass",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> Hasher {
        Hasher::new(64, 1, 2)
    }

    #[tokio::test]
    async fn only_the_right_password_of_an_existing_account_is_right() {
        let hasher = hasher();
        let hash = hasher.hash("correct horse battery".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(
            hasher
                .verify("correct horse battery".into(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify("correct horse batterY".into(), Some(hash))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify("correct horse battery".into(), None)
                .await
                .unwrap()
        );
    }

    /// As one that was computed: only then does checking it take the same time.
    #[test]
    fn the_hash_of_nobody_differs_from_others_in_salt_and_output_alone() {
        let params = Params::new(128, 3, 1, None).unwrap();
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let computed = argon.hash_password(b"correct horse").unwrap().to_string();
        let nobody = nobodys(&params);
        let parts = |text: &str| -> Vec<String> { text.split('$').map(str::to_owned).collect() };
        let (computed, nobody) = (parts(&computed), parts(&nobody));
        assert_eq!(computed[..4], nobody[..4]);
        let lengths = |parts: &[String]| [parts[4].len(), parts[5].len()];
        assert_eq!(lengths(&computed), lengths(&nobody));
        let nobody = nobody.join("$");
        let checked = argon.verify_password(b"", &PasswordHash::new(&nobody).unwrap());
        assert!(checked.unwrap_err().to_string().contains("password"));
    }

    #[test]
    fn what_everybody_tries_is_weak() {
        for weak in [
            "password12",
            "Password123!",
            "1234567890",
            "aaaaaaaaaaaa",
            "QWERTYuiop1",
            "xx-maria.lopez-99",
        ] {
            assert!(weakness(weak, &["maria.lopez"]).is_some(), "{weak}");
        }
        for strong in [
            "correct horse battery",
            "password is not a good one",
            "Tn7#qk2!vPz0",
            "ein kleiner Elefant",
        ] {
            assert_eq!(weakness(strong, &["maria.lopez", "ein"]), None, "{strong}");
        }
    }
}
