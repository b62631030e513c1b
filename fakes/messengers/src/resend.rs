//! `POST /emails` of Resend, with its idempotency keys.

use crate::{
    fake::{Fake, Sent, World},
    feedback::{Event, Fate},
    message::{Reply, Request},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How long an idempotency key is remembered.
const KEPT: TimeDelta = TimeDelta::hours(24);

#[derive(Clone)]
pub(crate) struct Kept {
    at: DateTime<Utc>,
    body: [u8; 32],
    reply: Reply,
}

pub(crate) fn send(fake: &Fake, world: &mut World, request: &Request) -> Reply {
    if request.header("user-agent").is_none_or(str::is_empty) {
        return refused(403, "1010", "There is no `User-Agent`.");
    }
    if request.bearer().is_none() {
        return refused(401, "missing_api_key", "Missing API Key");
    }
    if !fake.takes(request.bearer()) {
        return refused(401, "validation_error", "API key is invalid");
    }
    let (now, key) = (world.now(), request.header("idempotency-key"));
    if key.is_some_and(|key| key.is_empty() || key.len() > 256) {
        let why = "Idempotency keys, if present, must have between 1 and 256 characters.";
        return refused(400, "invalid_idempotency_key", why);
    }
    let body: [u8; 32] = Sha256::digest(&request.body).into();
    world.idempotency.retain(|_, kept| now - kept.at < KEPT);
    if let Some(kept) = key.and_then(|key| world.idempotency.get(key)) {
        return match kept.body == body {
            true => kept.reply.clone(),
            false => refused(
                409,
                "invalid_idempotent_request",
                "Same idempotency key used with a different request payload.",
            ),
        };
    }
    let mail = request.json();
    if let Err((status, name, why)) = checked(&mail) {
        return refused(status, name, why);
    }
    let id = uuid::Uuid::new_v4().to_string();
    let to = match &mail["to"] {
        Value::Array(all) => all.first().cloned().unwrap_or_default(),
        one => one.clone(),
    };
    let to = to.as_str().unwrap_or_default().to_owned();
    let tags = mail["tags"].as_array().cloned().unwrap_or_default();
    let tags: serde_json::Map<String, Value> = tags
        .iter()
        .filter_map(|tag| Some((tag["name"].as_str()?.to_owned(), tag["value"].clone())))
        .collect();
    let delivery_id = tags.get("delivery_id").cloned().unwrap_or_default();
    let sent = Sent {
        service: "resend",
        id: id.clone(),
        at: now,
        copies: 1,
        fields: json!({
            "to": to, "from": mail["from"], "subject": mail["subject"], "text": mail["text"],
            "html": mail["html"], "headers": mail["headers"], "idempotency_key": key,
            "delivery_id": delivery_id,
        }),
    };
    World::keep(&mut world.mail, sent);
    if fake.config.resend_webhook.is_some() {
        world.tell(Event::Resend {
            fate: Fate::of(&to),
            email_id: id.clone(),
            to,
            from: mail["from"].clone(),
            subject: mail["subject"].clone(),
            tags: tags.into(),
            at: now,
        });
    }
    let reply = Reply::json(200, &json!({ "id": id }));
    if let Some(key) = key {
        let kept = Kept {
            at: now,
            body,
            reply: reply.clone(),
        };
        world.idempotency.insert(key.to_owned(), kept);
    }
    reply
}

type Wrong = (u16, &'static str, &'static str);

pub(crate) fn is_address(text: &str) -> bool {
    let plain = !text.contains([' ', '<', '>', ',', '\r', '\n']);
    let halves = text.split_once('@');
    plain && halves.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
}

fn refused(status: u16, name: &str, message: &str) -> Reply {
    let body = json!({ "statusCode": status, "name": name, "message": message });
    Reply::json(status, &body)
}

fn checked(mail: &Value) -> Result<(), Wrong> {
    let from = mail["from"].as_str().unwrap_or_default();
    let address = from
        .rsplit_once('<')
        .map_or(from, |(_, rest)| rest.trim_end_matches('>'));
    if !is_address(address) {
        return Err((422, "invalid_from_address", "Invalid `from` field."));
    }
    let to = match &mail["to"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => return Err((422, "missing_required_field", "Missing `to` field.")),
    };
    if to.is_empty() || to.len() > 50 || !to.iter().all(|to| is_address(to)) {
        return Err((422, "validation_error", "Invalid `to` field."));
    }
    let subject = mail["subject"].as_str().unwrap_or_default();
    if subject.is_empty() {
        return Err((422, "missing_required_field", "Missing `subject` field."));
    }
    if subject.contains(['\r', '\n']) {
        return Err((
            422,
            "validation_error",
            "The `\\n` is not allowed in the `subject` field.",
        ));
    }
    if !mail["text"].is_string() && !mail["html"].is_string() {
        return Err((
            422,
            "missing_required_field",
            "Missing `html` or `text` field.",
        ));
    }
    let tags = mail["tags"].as_array().cloned().unwrap_or_default();
    let plain = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        !text.is_empty()
            && text.len() <= 256
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    match tags
        .iter()
        .all(|tag| plain(&tag["name"]) && plain(&tag["value"]))
    {
        true => Ok(()),
        false => Err((
            422,
            "validation_error",
            "Tags should only contain ASCII letters, numbers, underscores, or dashes.",
        )),
    }
}
