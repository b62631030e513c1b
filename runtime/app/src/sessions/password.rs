//! Hashes and checks passwords with argon2id, on blocking threads and with a limit on concurrent hashes.
//!
//! Passwords are converted to Unicode's form NFKC, so that different keyboards produce the same password. Knows no
//! accounts: a check for an account without a hash takes as long as one with a hash.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use kernel::{Error, Result, input::FieldError};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

/// How long a request waits for its turn. After that it is answered 503, so that queues stay short.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Hasher {
    argon: Arc<Argon2<'static>>,
    at_once: Arc<Semaphore>,
    /// How many of the `at_once` places one network may occupy or wait for.
    share: usize,
    patience: Duration,
    networks: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    /// The hash that is checked for accounts that don't exist.
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
            share: (at_once / 2).max(1),
            patience: PATIENCE,
            networks: Arc::default(),
        }
    }

    /// Returns the hash as a PHC string.
    pub async fn hash(&self, network: &str, password: SecretString) -> Result<String> {
        let argon = self.argon.clone();
        self.run(network, move || hash_normal(&argon, &password))
            .await
    }

    /// Checks a password. `hash` is None for an account that does not exist or has no password: the verdict is then
    /// always `Wrong`, after the same time.
    pub async fn verify(
        &self,
        network: &str,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<Verdict> {
        let argon = self.argon.clone();
        let dummy = self.dummy.clone();
        self.run(network, move || {
            let text = hash.as_deref().unwrap_or(&dummy);
            let parsed = PasswordHash::new(text).map_err(Error::internal)?;
            let is = |text: &str| argon.verify_password(text.as_bytes(), &parsed).is_ok();
            let typed = password.expose_secret();
            let normal = normal(&password);
            let right = is(normal.expose_secret());
            // Hashes from before passwords were normalised are of the password as it was typed.
            let as_typed = !right && normal.expose_secret() != typed && is(typed);
            if !(right || as_typed) || hash.is_none() {
                return Ok(Verdict::Wrong);
            }
            let former = Params::try_from(&parsed.params).map_err(Error::internal)?;
            let now = argon.params();
            let cheap = former.m_cost() < now.m_cost() || former.t_cost() < now.t_cost();
            Ok(Verdict::Right {
                better_hash: match as_typed || cheap {
                    true => Some(hash_normal(&argon, &password)?),
                    false => None,
                },
            })
        })
        .await
    }

    /// Runs the work once a place is free. A network first waits for its own share, so that however many requests it
    /// sends, places for others remain.
    async fn run<T: Send + 'static>(
        &self,
        network: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let share = self.share_of(network);
        let permits = async {
            let own = share.acquire_owned().await?;
            Ok::<_, tokio::sync::AcquireError>((own, self.at_once.clone().acquire_owned().await?))
        };
        let permits = tokio::time::timeout(self.patience, permits).await;
        self.tidy();
        let permits = permits
            .map_err(|_| Error::unavailable())?
            .map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            // The permits are held by the work, not by the request: work whose request was given up still occupies a
            // core.
            let _permits = permits;
            work()
        })
        .await
        .map_err(Error::internal)?
    }

    fn share_of(&self, network: &str) -> Arc<Semaphore> {
        let mut networks = self.networks.lock().expect("never poisoned");
        let share = networks.entry(network.to_owned());
        share
            .or_insert_with(|| Arc::new(Semaphore::new(self.share)))
            .clone()
    }

    /// Drops the shares of networks that no request uses, once there are many.
    fn tidy(&self) {
        let mut networks = self.networks.lock().expect("never poisoned");
        if networks.len() > 1000 {
            networks.retain(|_, share| Arc::strong_count(share) > 1);
        }
    }
}

/// The result of checking a password.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    Right {
        /// The hash to store instead, if the old one was made with other rules or weaker settings.
        better_hash: Option<String>,
    },
}

/// Normalises a password: ligatures, full-width letters and accents have several encodings, which must count as the
/// same password.
pub(super) fn normal(password: &SecretString) -> SecretString {
    password.expose_secret().nfkc().collect::<String>().into()
}

/// Hashes a password in the same way, for programs that load data.
pub fn hash_once(password: &SecretString) -> Result<String> {
    hash_normal(&Argon2::default(), password)
}

/// Returns what is wrong with a new password, apart from its length. `personal` are names that it may not contain.
pub fn weakness(password: &str, personal: &[&str]) -> Option<FieldError> {
    let lower = password.nfkc().collect::<String>().to_lowercase();
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
            "is too easy to guess; use several words".to_owned()
        },
    })
}

fn hash_normal(argon: &Argon2<'_>, password: &SecretString) -> Result<String> {
    let hash = argon.hash_password(normal(password).expose_secret().as_bytes());
    Ok(hash.map_err(Error::internal)?.to_string())
}

/// A hash that takes as long to check as a new one and that no password matches. It is written out rather than
/// computed, because computing it would cost every start a tenth of a second and the memory of a sign-in.
fn nobodys(params: &Params) -> String {
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let (salt, output) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}")
}

/// Common passwords in lower case. Even with up to five characters around them they are easy to guess.
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
        let hash = hasher
            .hash("", "correct horse battery".into())
            .await
            .unwrap();
        assert!(hash.starts_with("$argon2id$"));
        let verify = async |password: &str, hash: Option<String>| {
            hasher.verify("", password.into(), hash).await.unwrap()
        };
        assert_eq!(
            verify("correct horse battery", Some(hash.clone())).await,
            RIGHT
        );
        assert_eq!(
            verify("correct horse batterY", Some(hash)).await,
            Verdict::Wrong
        );
        assert_eq!(verify("correct horse battery", None).await, Verdict::Wrong);
    }

    const RIGHT: Verdict = Verdict::Right { better_hash: None };

    #[tokio::test]
    async fn a_password_is_the_same_in_every_form() {
        let hasher = hasher();
        let (composed, decomposed, wide) =
            ("caf\u{e9} \u{fb01}sh", "cafe\u{301} fish", "ｃａｆé fish");
        let hash = hasher.hash("", composed.into()).await.unwrap();
        for typed in [composed, decomposed, wide] {
            let verdict = hasher.verify("", typed.into(), Some(hash.clone())).await;
            assert_eq!(verdict.unwrap(), RIGHT, "{typed}");
        }
        // A hash from before normalisation accepts only the form that was typed then; its replacement accepts every
        // form.
        let old = hasher.argon.hash_password(decomposed.as_bytes()).unwrap();
        let old = Some(old.to_string());
        let verdict = hasher
            .verify("", composed.into(), old.clone())
            .await
            .unwrap();
        assert_eq!(verdict, Verdict::Wrong);
        let verdict = hasher.verify("", decomposed.into(), old).await.unwrap();
        let Verdict::Right {
            better_hash: Some(better),
        } = verdict
        else {
            panic!("{verdict:?}")
        };
        let verdict = hasher.verify("", composed.into(), Some(better)).await;
        assert_eq!(verdict.unwrap(), RIGHT);
    }

    #[tokio::test]
    async fn cheap_hashes_of_former_settings_are_replaced() {
        let hash = hasher().hash("", "correct horse".into()).await.unwrap();
        let hasher = Hasher::new(128, 2, 1);
        let verdict = hasher.verify("", "correct horse".into(), Some(hash)).await;
        let Verdict::Right {
            better_hash: Some(better),
        } = verdict.unwrap()
        else {
            panic!("kept")
        };
        assert!(better.contains("m=128,t=2"), "{better}");
    }

    /// A network whose only place is taken waits, while other networks don't.
    #[tokio::test]
    async fn one_network_does_not_take_all_places() {
        let mut hasher = Hasher::new(64, 1, 2);
        hasher.patience = Duration::from_millis(50);
        let _busy = hasher.share_of("192.0.2.1").acquire_owned().await.unwrap();
        let refused = hasher.hash("192.0.2.1", "correct horse".into()).await;
        assert_eq!(refused.unwrap_err().status(), 503);
        hasher
            .hash("198.51.100.7", "correct horse".into())
            .await
            .unwrap();
    }

    /// The dummy must have the form of a computed hash, since only then does checking it take the same time.
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
