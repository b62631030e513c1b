//! Feedback of the services about accepted mail: webhooks, signed as the services sign them.
//!
//! The local part of the recipient's address determines what happens to a message: `bounced@`, `blocked@`,
//! `complained@` and `deferred@` have these results, everything else is delivered.

use crate::fake::Fake;
use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    Bounced,
    Blocked,
    Complained,
    Deferred,
}

impl Fate {
    pub fn of(address: &str) -> Self {
        let local = address.split(['@', '+']).next().unwrap_or_default();
        match local {
            "bounced" => Self::Bounced,
            "blocked" => Self::Blocked,
            "complained" => Self::Complained,
            "deferred" => Self::Deferred,
            _ => Self::Delivered,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Event {
    Resend {
        fate: Fate,
        email_id: String,
        to: String,
        from: Value,
        subject: Value,
        tags: Value,
        at: DateTime<Utc>,
    },
    Sendgrid {
        fate: Fate,
        message_id: String,
        to: String,
        custom_args: Value,
        at: DateTime<Utc>,
    },
}

/// A webhook event that has not been accepted yet. Retries have the same id and a new signature.
#[derive(Clone, Debug)]
pub struct Pending {
    id: String,
    event: Event,
    attempts: u32,
    due: DateTime<Utc>,
}

/// The delays in seconds before each retry of a webhook that was not accepted.
const WAITS: [i64; 5] = [1, 5, 30, 120, 600];

impl Pending {
    pub fn new(event: Event, now: DateTime<Utc>) -> Self {
        Self {
            id: Uuid::new_v4().simple().to_string(),
            event,
            attempts: 0,
            due: now,
        }
    }

    pub(crate) fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.due <= now
    }

    /// Schedules the next retry. None: there were too many.
    pub(crate) fn later(mut self, now: DateTime<Utc>) -> Option<Self> {
        let wait = WAITS.get(usize::try_from(self.attempts).ok()?)?;
        self.due = now + chrono::TimeDelta::seconds(*wait);
        self.attempts += 1;
        Some(self)
    }
}

/// A webhook to be sent.
#[derive(Clone, Debug)]
pub struct Post {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub(crate) pending: Pending,
}

/// The signed webhook for an event. None: no webhook is configured for the service.
pub(crate) fn post(fake: &Fake, pending: &Pending) -> Option<Result<Post>> {
    let now = Utc::now().timestamp();
    let (webhook, body) = match &pending.event {
        Event::Resend { .. } => (&fake.config.resend_webhook, of_resend(&pending.event)),
        Event::Sendgrid { .. } => {
            let body = of_sendgrid(&pending.id, &pending.event);
            (&fake.config.sendgrid_webhook, body)
        }
    };
    let (webhook, body) = (webhook.as_ref()?, body.to_string().into_bytes());
    let headers = match &pending.event {
        Event::Resend { .. } => svix(&webhook.secrets, &format!("msg_{}", pending.id), now, &body),
        Event::Sendgrid { .. } => twilio(fake, now, &body),
    };
    Some(headers.map(|headers| Post {
        url: webhook.url.clone(),
        headers,
        body,
        pending: pending.clone(),
    }))
}

/// Signs as Resend does: the headers `svix-id`, `svix-timestamp` and `svix-signature`, with one signature for each
/// secret.
pub fn svix(
    secrets: &[String],
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Result<Vec<(String, String)>> {
    let sign = |secret: &String| -> Result<String> {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret));
        let key = key.context("the secret of a webhook is `whsec_` and base64")?;
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key);
        let mut mac = mac.context("a key of any length")?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Ok(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    };
    let signatures: Result<Vec<String>> = secrets.iter().map(sign).collect();
    Ok(named(&[
        ("svix-id", id),
        ("svix-timestamp", &timestamp.to_string()),
        ("svix-signature", &signatures?.join(" ")),
    ]))
}

/// Signs as SendGrid does: the headers `X-Twilio-Email-Event-Webhook-…`.
pub fn twilio(fake: &Fake, timestamp: i64, body: &[u8]) -> Result<Vec<(String, String)>> {
    let signature = fake.keys.sign_for_sendgrid(timestamp, body)?;
    Ok(named(&[
        (
            "x-twilio-email-event-webhook-timestamp",
            &timestamp.to_string(),
        ),
        ("x-twilio-email-event-webhook-signature", &signature),
    ]))
}

fn named(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn of_resend(event: &Event) -> Value {
    let Event::Resend {
        fate,
        email_id,
        to,
        from,
        subject,
        tags,
        at,
    } = event
    else {
        return Value::Null;
    };
    let mut data = json!({
        "created_at": at, "email_id": email_id, "message_id": format!("<{email_id}@resend.fake>"),
        "from": from, "to": [to], "subject": subject, "tags": tags,
    });
    let bounce = |kind: &str| json!({ "type": kind, "subType": "General", "message": "The address took nothing." });
    let kind = match fate {
        Fate::Delivered => "email.delivered",
        Fate::Complained => "email.complained",
        Fate::Deferred => "email.delivery_delayed",
        Fate::Bounced => {
            data["bounce"] = bounce("Permanent");
            "email.bounced"
        }
        Fate::Blocked => {
            data["bounce"] = bounce("Transient");
            "email.bounced"
        }
    };
    json!({ "type": kind, "created_at": at, "data": data })
}

/// The body of SendGrid's webhook: a batch with the event and the event `processed` that precedes it.
fn of_sendgrid(id: &str, event: &Event) -> Value {
    let Event::Sendgrid {
        fate,
        message_id,
        to,
        custom_args,
        at,
    } = event
    else {
        return Value::Null;
    };
    let made = |kind: &str, more: Value| {
        let mut made = json!({
            "email": to, "timestamp": at.timestamp(), "event": kind,
            "sg_event_id": format!("{kind}-{id}"), "sg_message_id": message_id,
            "smtp-id": format!("<{message_id}@sendgrid.fake>"),
        });
        for extra in [custom_args, &more] {
            for (name, value) in extra.as_object().into_iter().flatten() {
                made[name.as_str()] = value.clone();
            }
        }
        made
    };
    let told = match fate {
        Fate::Delivered => made("delivered", json!({ "response": "250 OK" })),
        Fate::Deferred => made(
            "deferred",
            json!({ "response": "451 later", "attempt": "1" }),
        ),
        Fate::Complained => made("spamreport", json!({})),
        Fate::Bounced => made(
            "bounce",
            json!({ "type": "bounce", "status": "5.1.1", "reason": "550 unknown" }),
        ),
        Fate::Blocked => made(
            "bounce",
            json!({ "type": "blocked", "status": "4.7.1", "reason": "421 no" }),
        ),
    };
    json!([made("processed", json!({})), told])
}
