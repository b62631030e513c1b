//! Push messages by Firebase Cloud Messaging (FCM), HTTP v1.
//!
//! FCM knows no idempotency keys and sometimes answers 503 to a message that it has delivered, so duplicates can't be
//! avoided. Therefore every message has its id as the collapse key of each platform, by which a later copy replaces
//! the first.

mod account;
mod outcome;

use crate::{
    exchange::{Exchange, Reply, UNTIL_MENDED},
    push::{Push, Pusher, Unpushed},
};
use account::{Access, Account};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use outcome::Outcome;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// The maximum payload that platforms accept, in bytes, keys and values together.
const LARGEST_PAYLOAD: usize = 4096;

/// The longest time for which FCM keeps a message.
const LONGEST_LIFE_SECONDS: i64 = 28 * 24 * 60 * 60;

pub(crate) const SERVICE: &str = "FCM";

#[derive(Clone, Debug)]
pub struct FcmConfig {
    /// The JSON of a service account that may send messages; `token_uri` and `project_id` are taken from it.
    pub service_account: SecretString,
    pub url: Url,
    /// The time limit of an exchange. In production at least 15 seconds: a message whose exchange is given up earlier
    /// has often been delivered, and would be sent again.
    pub timeout: Duration,
}

impl FcmConfig {
    pub const URL: &str = "https://fcm.googleapis.com";
}

pub struct FcmPusher {
    exchange: Exchange,
    account: Account,
    path: String,
}

impl FcmPusher {
    /// Creates the client; no access token is requested before the first message.
    pub fn new(config: FcmConfig) -> Result<Self, String> {
        let account = Account::new(config.service_account, config.timeout)?;
        let exchange = Exchange::new(&config.url, config.timeout)?;
        let path = format!("/v1/projects/{}/messages:send", account.project());
        Ok(Self {
            exchange,
            account,
            path,
        })
    }

    async fn deliver(&self, push: &Push) -> Result<Option<String>, Unpushed> {
        let message = message(push, Utc::now())?;
        let access = self.account.access().await?;
        let reply = self.exchange(&access, &message).await?;
        let outcome = match outcome::of(&reply, Utc::now()) {
            // The token was revoked before it expired: retry once with a new one.
            Outcome::Unauthorized => {
                let access = self.account.renewed(&access).await?;
                let reply = self.exchange(&access, &message).await?;
                outcome::of(&reply, Utc::now())
            }
            outcome => outcome,
        };
        match outcome {
            Outcome::Done(done) => done,
            Outcome::Unauthorized => Err(Unpushed::Paused {
                reason: format!("{SERVICE} does not take the service account"),
                wait: UNTIL_MENDED,
            }),
        }
    }

    async fn exchange(&self, access: &Access, message: &Value) -> Result<Reply, Unpushed> {
        let sent = self
            .exchange
            .post(&self.path, access.token(), &[], message)
            .await;
        sent.map_err(|silence| Unpushed::NotNow(silence.of(SERVICE)))
    }
}

impl Pusher for FcmPusher {
    fn send(&self, push: Push) -> BoxFuture<'_, Result<Option<String>, Unpushed>> {
        Box::pin(async move { self.deliver(&push).await })
    }
}

/// The JSON of a message in FCM's format.
fn message(push: &Push, now: DateTime<Utc>) -> Result<Value, Unpushed> {
    let life = match push.expires_at {
        Some(end) if end <= now => {
            return Err(Unpushed::Never("it is too late for it".to_owned()));
        }
        Some(end) => (end - now).num_seconds().min(LONGEST_LIFE_SECONDS),
        None => LONGEST_LIFE_SECONDS,
    };
    let id = push.id.to_string();
    let notification = json!({ "title": push.title, "body": push.body });
    let payload = json!({ "notification": notification, "data": push.data });
    if payload.to_string().len() > LARGEST_PAYLOAD {
        return Err(Unpushed::Never(format!(
            "the message is larger than {LARGEST_PAYLOAD} bytes"
        )));
    }
    let (android, apns, web) = match push.urgent {
        true => ("HIGH", "10", "high"),
        false => ("NORMAL", "5", "normal"),
    };
    Ok(json!({ "message": {
        "token": push.token.expose_secret(),
        "notification": notification,
        "data": push.data,
        "android": {
            "collapse_key": id,
            "priority": android,
            "ttl": format!("{life}s"),
            // Of two displayed copies, the later replaces the earlier.
            "notification": { "tag": id },
        },
        "apns": { "headers": {
            "apns-collapse-id": id,
            "apns-priority": apns,
            "apns-expiration": (now.timestamp() + life).to_string(),
        } },
        "webpush": {
            "headers": {
                // At most 32 characters (RFC 8030).
                "Topic": push.id.simple().to_string(),
                "TTL": life.to_string(),
                "Urgency": web,
            },
            "notification": { "tag": id },
        },
    } }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn push(body: &str) -> Push {
        Push {
            id: Uuid::nil(),
            token: "device".to_owned().into(),
            title: "Tonight".to_owned(),
            body: body.to_owned(),
            data: [("event".to_owned(), "1".to_owned())].into(),
            urgent: true,
            expires_at: None,
        }
    }

    #[test]
    fn no9_what_is_too_large_or_too_late_does_not_leave() {
        let now = Utc::now();
        let around =
            json!({ "notification": { "title": "Tonight", "body": "" }, "data": { "event": "1" } });
        let room = LARGEST_PAYLOAD - around.to_string().len();
        assert!(message(&push(&"x".repeat(room)), now).is_ok());
        let larger = message(&push(&"x".repeat(room + 1)), now);
        assert!(matches!(larger, Err(Unpushed::Never(_))), "{larger:?}");
        // The limit is in bytes, not characters.
        let letters = message(&push(&"ü".repeat(room / 2 + 1)), now);
        assert!(matches!(letters, Err(Unpushed::Never(_))), "{letters:?}");

        let mut late = push("x");
        late.expires_at = Some(now);
        assert!(matches!(message(&late, now), Err(Unpushed::Never(_))));
        late.expires_at = Some(now + chrono::TimeDelta::seconds(90));
        let made = message(&late, now).unwrap();
        assert_eq!(made["message"]["android"]["ttl"], "90s");
        assert_eq!(made["message"]["webpush"]["headers"]["TTL"], "90");
    }

    #[test]
    fn no9_a_second_copy_replaces_the_first_everywhere() {
        let made = message(&push("x"), Utc::now()).unwrap();
        let message = &made["message"];
        let id = Uuid::nil().to_string();
        for place in [
            &message["android"]["collapse_key"],
            &message["android"]["notification"]["tag"],
            &message["apns"]["headers"]["apns-collapse-id"],
            &message["webpush"]["notification"]["tag"],
        ] {
            assert_eq!(place, &id);
        }
        let topic = message["webpush"]["headers"]["Topic"].as_str().unwrap();
        assert_eq!(topic, Uuid::nil().simple().to_string());
        assert!(topic.len() <= 32);
    }
}
