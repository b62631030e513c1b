//! Mail by SendGrid's API v3.
//!
//! Delivery is at least once: SendGrid knows no idempotency keys, so a message that is retried because its answer was
//! lost arrives twice. Our delivery id is the only custom argument that is sent with a message, since SendGrid stores
//! these arguments for years and shows them to its staff.

use crate::{
    exchange::{self, Exchange, Reply, UNTIL_MENDED, bounded},
    mail::{Mail, Mailer, Sender, Undelivered},
    message,
};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

const SERVICE: &str = "SendGrid";

/// The pause after too many requests: limits are counted by the minute.
const RATE_PAUSE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct SendgridConfig {
    pub key: SecretString,
    /// The address of the API; `https://api.eu.sendgrid.com` for accounts whose data stay in Europe.
    pub url: Url,
    pub from: Sender,
    pub timeout: Duration,
}

impl SendgridConfig {
    pub const URL: &str = "https://api.sendgrid.com";
}

pub struct SendgridMailer {
    exchange: Exchange,
    key: SecretString,
    from: Sender,
}

impl SendgridMailer {
    pub fn new(config: SendgridConfig) -> Result<Self, String> {
        Ok(Self {
            exchange: Exchange::new(&config.url, config.timeout)?,
            key: config.key,
            from: config.from,
        })
    }
}

impl Mailer for SendgridMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>> {
        Box::pin(async move {
            let body = body(&mail, &self.from)?;
            let bearer = self.key.expose_secret();
            let sent = self
                .exchange
                .post("/v3/mail/send", bearer, &[], &body)
                .await;
            let reply = sent.map_err(|silence| Undelivered::NotNow(silence.of(SERVICE)))?;
            outcome(&reply, Utc::now())
        })
    }
}

fn body(mail: &Mail, from: &Sender) -> Result<Value, Undelivered> {
    let to = message::address(&mail.to)?.to_string();
    let mut sender = json!({ "email": from.address() });
    if let Some(name) = from.name() {
        sender["name"] = name.into();
    }
    // SendGrid requires plain text to come first.
    let mut content = vec![json!({ "type": "text/plain", "value": mail.text })];
    if let Some(html) = &mail.html {
        content.push(json!({ "type": "text/html", "value": html }));
    }
    Ok(json!({
        "personalizations": [{
            "to": [{ "email": to }],
            "custom_args": { "delivery_id": mail.id },
        }],
        "from": sender,
        "subject": message::one_line(&mail.subject),
        "content": content,
        "headers": message::headers(mail),
        // No tracking: links in our mail give access to accounts, so they must lead to us directly, and SendGrid is
        // not told who reads a mail.
        "tracking_settings": {
            "click_tracking": { "enable": false, "enable_text": false },
            "open_tracking": { "enable": false },
            "subscription_tracking": { "enable": false },
        },
    }))
}

/// <https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors>
fn outcome(reply: &Reply, now: DateTime<Utc>) -> Result<Option<String>, Undelivered> {
    let answered = || reply.answered(SERVICE);
    let paused = |wait| Undelivered::Paused {
        reason: answered(),
        wait,
    };
    Err(match reply.status {
        202 => return Ok(reply.header("x-message-id").and_then(exchange::name)),
        400 if of_the_sender(&reply.json()) => paused(UNTIL_MENDED),
        400 | 413 => Undelivered::Never(answered()),
        // The API key or the sender is unknown, or the account is suspended.
        401 | 403 => paused(UNTIL_MENDED),
        429 => {
            let wait = reply.retry_after(now).or_else(|| reset(reply, now));
            paused(wait.unwrap_or(RATE_PAUSE))
        }
        503 => match reply.retry_after(now) {
            Some(wait) => paused(wait),
            None => Undelivered::NotNow(answered()),
        },
        _ => Undelivered::NotNow(answered()),
    })
}

/// The time until SendGrid's request limit is reset; the header has the reset time in Unix seconds.
fn reset(reply: &Reply, now: DateTime<Utc>) -> Option<Duration> {
    let at: i64 = reply.header("x-ratelimit-reset")?.parse().ok()?;
    let wait = u64::try_from(at.checked_sub(now.timestamp())?).ok()?;
    Some(bounded(Duration::from_secs(wait)))
}

/// Whether the sender's address was refused. It is a setting, so every other message would be refused, too.
fn of_the_sender(body: &Value) -> bool {
    let errors = body["errors"].as_array().map(Vec::as_slice);
    let errors = errors.unwrap_or_default();
    let of_sender = |error: &Value| {
        let field = error["field"].as_str().unwrap_or_default();
        field == "from" || field.starts_with("from.")
    };
    !errors.is_empty() && errors.iter().all(of_sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no10_what_sendgrid_answers() {
        let now = Utc::now();
        let reset = (now.timestamp() + 30).to_string();
        let error = |status, field: &str| {
            let body = json!({ "errors": [{ "field": field, "message": "Does not contain…" }] });
            Reply::made(status, &[], &body.to_string())
        };
        let kind = |reply: &Reply| match outcome(reply, now) {
            Ok(_) => "sent".to_owned(),
            Err(Undelivered::Never(_)) => "never".to_owned(),
            Err(Undelivered::NotNow(_)) => "not now".to_owned(),
            Err(Undelivered::Paused { wait, .. }) => format!("paused {}", wait.as_secs()),
        };
        let cases = [
            (Reply::made(202, &[("x-message-id", "a.b")], ""), "sent"),
            (Reply::made(200, &[], "<html>"), "not now"),
            (error(400, "personalizations.0.to.0.email"), "never"),
            (error(400, "from.email"), "paused 60"),
            (Reply::made(400, &[], "<html>"), "never"),
            (error(401, ""), "paused 60"),
            (error(403, "from"), "paused 60"),
            (error(404, ""), "not now"),
            (error(413, ""), "never"),
            (Reply::made(429, &[("retry-after", "7")], ""), "paused 7"),
            (
                Reply::made(429, &[("x-ratelimit-reset", &reset)], ""),
                "paused 30",
            ),
            (
                Reply::made(429, &[("x-ratelimit-reset", "1")], ""),
                "paused 60",
            ),
            (Reply::made(429, &[], ""), "paused 60"),
            (error(451, ""), "not now"),
            (Reply::made(502, &[], "<html>"), "not now"),
            (Reply::made(503, &[("retry-after", "9")], ""), "paused 9"),
        ];
        for (reply, expected) in cases {
            assert_eq!(kind(&reply), expected, "{} {}", reply.status, reply.json());
        }
    }
}
