//! The dependencies from which modules are built, and the secrets derived for each purpose.

use crate::{clock::Clock, tickets::Tickets, trending::Trending};
use base64::{Engine, engine::general_purpose::STANDARD};
use delivery::{mail::Mailer, push::Pusher, webhooks};
use gateway::Gateway;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Db, auth::Tokens, idempotency::Keyed, jobs::Work};
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
    fn every_purpose_has_a_secret_of_its_own() {
        let secret = |key: &str, purpose| {
            let secret = derive(&key.to_owned().into(), purpose);
            secret.expose_secret().to_owned()
        };
        assert_ne!(secret("key", "cursors"), secret("key", "sessions"));
        assert_eq!(secret("key", "cursors"), secret("key\n", "cursors"));
    }
}
