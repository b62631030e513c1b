//! Mail by Resend's API.
//!
//! Resend remembers an idempotency key for 24 hours, so a message must be retried within that time. If a retry has
//! another content it is refused, which shows that the first attempt was accepted.

use crate::{
    exchange::{self, Exchange, Reply, UNTIL_MENDED},
    mail::{Mail, Mailer, Sender, Undelivered},
    message,
};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

const SERVICE: &str = "Resend";

/// The pause after too many requests: an account may first make two requests a second.
const RATE_PAUSE: Duration = Duration::from_secs(1);

/// The pause after the daily or monthly quota is used up, since the answer does not say when it starts again.
const QUOTA_PAUSE: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug)]
pub struct ResendConfig {
    pub key: SecretString,
    pub url: Url,
    pub from: Sender,
    pub timeout: Duration,
}

impl ResendConfig {
    pub const URL: &str = "https://api.resend.com";
}

pub struct ResendMailer {
    exchange: Exchange,
    key: SecretString,
    from: Sender,
}

impl ResendMailer {
    pub fn new(config: ResendConfig) -> Result<Self, String> {
        Ok(Self {
            exchange: Exchange::new(&config.url, config.timeout)?,
            key: config.key,
            from: config.from,
        })
    }
}

impl Mailer for ResendMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>> {
        Box::pin(async move {
            let body = body(&mail, &self.from)?;
            let key = [("idempotency-key", mail.id.to_string())];
            let bearer = self.key.expose_secret();
            let sent = self.exchange.post("/emails", bearer, &key, &body).await;
            let reply = sent.map_err(|silence| Undelivered::NotNow(silence.of(SERVICE)))?;
            outcome(&reply, Utc::now())
        })
    }
}

fn body(mail: &Mail, from: &Sender) -> Result<Value, Undelivered> {
    let to = message::address(&mail.to)?.to_string();
    let mut body = json!({
        "from": from.written(),
        "to": [to],
        "subject": message::one_line(&mail.subject),
        "text": mail.text,
        "headers": message::headers(mail),
        // Returned in the service's webhooks about the message, possibly before the service has answered this request.
        "tags": [{ "name": "delivery_id", "value": mail.id }],
    });
    if let Some(html) = &mail.html {
        body["html"] = html.as_str().into();
    }
    Ok(body)
}

/// <https://resend.com/docs/api-reference/errors>
fn outcome(reply: &Reply, now: DateTime<Utc>) -> Result<Option<String>, Undelivered> {
    let json = reply.json();
    let (name, message) = (json["name"].as_str(), json["message"].as_str());
    let answered = || reply.answered(SERVICE);
    let paused = |wait| Undelivered::Paused {
        reason: answered(),
        wait,
    };
    Err(match (reply.status, name) {
        (200, _) => match json["id"].as_str() {
            Some(id) => return Ok(exchange::name(id)),
            // Probably a proxy's page. A retry with the same key is safe.
            None => Undelivered::NotNow(format!("{SERVICE} answered without naming the message")),
        },
        // The API key is unknown or lacks the permission, the domain is not verified, or the sender's address is
        // invalid.
        (401 | 403, _) | (_, Some("invalid_from_address")) => paused(UNTIL_MENDED),
        (400, Some("validation_error")) if message == Some("API key is invalid") => {
            paused(UNTIL_MENDED)
        }
        // The content has changed since an earlier attempt was accepted: an item of a digest was dropped, or an
        // address or text was edited. The key is the id of this message only, so the message has been sent. Its
        // feedback is matched by that id, since the service's id is not returned again.
        (409, Some("invalid_idempotent_request")) => return Ok(None),
        (400 | 413 | 422, _) => Undelivered::Never(answered()),
        (429, Some("daily_quota_exceeded" | "monthly_quota_exceeded")) => {
            paused(reply.retry_after(now).unwrap_or(QUOTA_PAUSE))
        }
        (429, _) => paused(reply.retry_after(now).unwrap_or(RATE_PAUSE)),
        (503, _) => match reply.retry_after(now) {
            Some(wait) => paused(wait),
            None => Undelivered::NotNow(answered()),
        },
        _ => Undelivered::NotNow(answered()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no10_what_resend_answers() {
        let error = |status, name: &str, message: &str| {
            let body = json!({ "statusCode": status, "name": name, "message": message });
            Reply::made(status, &[], &body.to_string())
        };
        let kind = |reply: &Reply| match outcome(reply, Utc::now()) {
            Ok(_) => "sent".to_owned(),
            Err(Undelivered::Never(_)) => "never".to_owned(),
            Err(Undelivered::NotNow(_)) => "not now".to_owned(),
            Err(Undelivered::Paused { wait, .. }) => format!("paused {}", wait.as_secs()),
        };
        let cases = [
            (Reply::made(200, &[], r#"{"id":"1"}"#), "sent"),
            (Reply::made(200, &[], "<html>"), "not now"),
            (error(400, "validation_error", "the `to` field"), "never"),
            (
                error(400, "validation_error", "API key is invalid"),
                "paused 60",
            ),
            (error(401, "missing_api_key", ""), "paused 60"),
            (error(403, "invalid_api_key", ""), "paused 60"),
            (error(403, "validation_error", "not verified"), "paused 60"),
            (error(404, "not_found", ""), "not now"),
            (error(409, "invalid_idempotent_request", ""), "sent"),
            (error(409, "concurrent_idempotent_requests", ""), "not now"),
            (error(422, "missing_required_field", ""), "never"),
            (error(422, "invalid_from_address", ""), "paused 60"),
            (error(429, "rate_limit_exceeded", ""), "paused 1"),
            (error(429, "daily_quota_exceeded", ""), "paused 3600"),
            (Reply::made(429, &[("retry-after", "7")], ""), "paused 7"),
            (error(451, "security_error", ""), "not now"),
            (error(500, "application_error", ""), "not now"),
            (Reply::made(502, &[], "<html>"), "not now"),
            (Reply::made(503, &[("retry-after", "9")], ""), "paused 9"),
        ];
        for (reply, expected) in cases {
            assert_eq!(kind(&reply), expected, "{} {}", reply.status, reply.json());
        }
    }
}
