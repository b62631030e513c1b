//! The dependencies from which modules are built, and the secrets derived for each purpose.

use crate::{clock::Clock, tickets::Tickets, trending::Trending};
use base64::{Engine, engine::general_purpose::STANDARD};
use delivery::{mail::Mailer, push::Pusher, webhooks};
use gateway::Gateway;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Db, auth::Tokens, http::ConfigError, idempotency::Keyed, jobs::Work};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::sync::{Arc, OnceLock};
use url::Url;

/// The dependencies from which modules are built.
#[derive(Clone)]
pub struct Parts {
    pub db: Db,
    /// For routes that move money: requires an `Idempotency-Key`, and limits the number of requests of a member.
    pub keyed: Keyed,
    pub tokens: Arc<Tokens>,
    pub mailer: Arc<dyn Mailer>,
    pub pusher: Arc<dyn Pusher>,
    /// Keys for verifying the webhooks of mail services.
    pub mail_webhooks: webhooks::Keys,
    pub clock: Clock,
    /// Jobs of all modules; set once all modules have been created.
    pub work: Arc<OnceLock<Work>>,
    /// The key from which all other secrets are derived, by [`Parts::secret`].
    pub key: SecretString,
    /// Keys from which they were derived before, or will be soon, while the key is being replaced.
    pub former_keys: Vec<SecretString>,
    /// The base URL of the web app, for links in mail. `None`: this server's own.
    pub app_url: Option<Url>,
    /// The base URL at which clients reach the API.
    pub public_url: Url,
    /// Whether this is a production server, which refuses the conveniences of development.
    pub production: bool,
    /// The payment provider. `None`: nothing can be paid by card.
    pub provider: Option<Provider>,
    /// Set by the module `tickets` itself, for modules that are created after it.
    pub tickets: Arc<OnceLock<Tickets>>,
    /// Set by the module `trending` itself, for modules that are created after it.
    pub trending: Arc<OnceLock<Trending>>,
}

/// The payment service.
#[derive(Clone)]
pub struct Provider {
    pub gateway: Arc<dyn Gateway>,
    /// Whether it moves real money. Webhook events with another value are ignored.
    pub livemode: bool,
}

impl Parts {
    /// Derives the secret for a purpose, so that purposes don't share secrets although only one key has to be kept.
    pub fn secret(&self, purpose: &str) -> SecretString {
        derive(&self.key, purpose)
    }

    /// The secret for a purpose, and those of other keys whose signatures are still accepted.
    pub fn secrets(&self, purpose: &str) -> Vec<SecretString> {
        let former = self.former_keys.iter();
        let former = former.map(|key| derive(key, purpose));
        [self.secret(purpose)].into_iter().chain(former).collect()
    }
}

/// The secrets of a setting that lists several, without the blanks after its commas. An empty or short one is refused:
/// everybody could guess it, and sign with it. The refusal must not repeat it.
pub fn secret_list(
    setting: &'static str,
    given: &[SecretString],
    shortest: usize,
) -> Result<Vec<SecretString>, ConfigError> {
    let given = given.iter().map(|secret| secret.expose_secret().trim());
    let checked = given.map(|secret| match secret.chars().count() {
        0 => Err("one of its secrets is empty".to_owned()),
        length if length < shortest => Err(format!(
            "one of its secrets has less than {shortest} characters"
        )),
        _ => Ok(SecretString::from(secret)),
    });
    let wrong = |reason| ConfigError { setting, reason };
    checked.collect::<Result<_, _>>().map_err(wrong)
}

fn derive(key: &SecretString, purpose: &str) -> SecretString {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().trim().as_bytes())
        .expect("any length will do");
    mac.update(purpose.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_can_be_guessed_are_refused_and_not_repeated() {
        let list = |text: &str| {
            let given: Vec<SecretString> = text.split(',').map(SecretString::from).collect();
            let list = secret_list("KEYS", &given, 8).map_err(|error| error.to_string())?;
            let list = list.iter().map(|one| one.expose_secret().to_owned());
            Ok::<Vec<String>, String>(list.collect())
        };
        let good = list("long enough, quite as long").unwrap();
        assert_eq!(good, ["long enough", "quite as long"]);
        for (wrong, said) in [
            ("", "empty"),
            ("long enough,", "empty"),
            (" , long enough", "empty"),
            ("long enough,short", "less than 8"),
        ] {
            let refused = list(wrong).unwrap_err();
            assert!(
                refused.starts_with("KEYS: ") && refused.contains(said),
                "{refused}"
            );
            assert!(!refused.contains("short"), "{refused}");
        }
    }

    #[test]
    fn every_purpose_has_a_secret_of_its_own() {
        let secret = |key: &str, purpose| {
            let secret = derive(&key.to_owned().into(), purpose);
            secret.expose_secret().to_owned()
        };
        assert_ne!(secret("key", "cursors"), secret("key", "sessions"));
        assert_eq!(secret("key", "cursors"), secret("key\n", "cursors"));
    }
}
