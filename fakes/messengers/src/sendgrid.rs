//! `POST /v3/mail/send` of SendGrid, which has no idempotency keys: a repeated message is accepted twice.

use crate::{
    fake::{Fake, Sent, World},
    feedback::{Event, Fate},
    message::{Reply, Request},
    resend::is_address,
};
use serde_json::{Value, json};

pub(crate) fn send(fake: &Fake, world: &mut World, request: &Request) -> Reply {
    if !fake.takes(request.bearer()) {
        let why = "The provided authorization grant is invalid, expired, or revoked";
        return refused(401, "", why);
    }
    let mail = request.json();
    if let Err((field, why)) = checked(&mail) {
        return refused(400, &field, why);
    }
    let content = |kind: &str| {
        let all = mail["content"].as_array().cloned().unwrap_or_default();
        let mut found = all.iter().filter(|part| part["type"] == kind);
        found.next().map(|part| part["value"].clone())
    };
    let now = world.now();
    let id = uuid::Uuid::new_v4().simple().to_string();
    let people = mail["personalizations"].as_array().cloned();
    for (at, person) in people.unwrap_or_default().iter().enumerate() {
        let to = person["to"][0]["email"].as_str().unwrap_or_default();
        let sent = Sent {
            service: "sendgrid",
            id: id.clone(),
            at: now,
            copies: 1,
            fields: json!({
                "to": to, "from": mail["from"]["email"], "from_name": mail["from"]["name"],
                "subject": mail["subject"], "text": content("text/plain"), "html": content("text/html"),
                "headers": mail["headers"], "custom_args": person["custom_args"],
                "tracking_settings": mail["tracking_settings"],
                "delivery_id": person["custom_args"]["delivery_id"],
            }),
        };
        World::keep(&mut world.mail, sent);
        if fake.config.sendgrid_webhook.is_some() {
            world.tell(Event::Sendgrid {
                fate: Fate::of(to),
                message_id: format!("{id}.recvd-fake-{at}"),
                to: to.to_owned(),
                custom_args: person["custom_args"].clone(),
                at: now,
            });
        }
    }
    let reply = Reply {
        status: 202,
        headers: Vec::new(),
        body: Vec::new(),
    };
    reply.with("x-message-id", id)
}

fn refused(status: u16, field: &str, message: &str) -> Reply {
    let field = match field {
        "" => Value::Null,
        field => field.into(),
    };
    let error = json!({ "message": message, "field": field, "help": null });
    Reply::json(status, &json!({ "errors": [error] }))
}

fn checked(mail: &Value) -> Result<(), (String, &'static str)> {
    let wrong = |field: &str, why| Err((field.to_owned(), why));
    let people = mail["personalizations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if people.is_empty() || people.len() > 1000 {
        return wrong("personalizations", "There are none, or more than 1000.");
    }
    for (at, person) in people.iter().enumerate() {
        let to = person["to"][0]["email"].as_str().unwrap_or_default();
        if !is_address(to) {
            let field = format!("personalizations.{at}.to.0.email");
            return wrong(&field, "Does not contain a valid address.");
        }
    }
    if !is_address(mail["from"]["email"].as_str().unwrap_or_default()) {
        return wrong(
            "from.email",
            "The from email does not contain a valid address.",
        );
    }
    let subject = mail["subject"].as_str().unwrap_or_default();
    if subject.is_empty() || subject.contains(['\r', '\n']) {
        return wrong("subject", "The subject is required, and is one line.");
    }
    let content = mail["content"].as_array().cloned().unwrap_or_default();
    let rank = |part: &Value| match part["type"].as_str() {
        Some("text/plain") => 0,
        Some("text/html") => 1,
        _ => 2,
    };
    let ordered = content.windows(2).all(|two| rank(&two[0]) <= rank(&two[1]));
    let filled = |part: &Value| {
        part["value"]
            .as_str()
            .is_some_and(|value| !value.is_empty())
    };
    if content.is_empty() || !ordered || !content.iter().all(filled) {
        return wrong(
            "content",
            "If present, text/plain and text/html may only be provided once, in this order.",
        );
    }
    const RESERVED: [&str; 7] = ["to", "from", "subject", "cc", "bcc", "reply-to", "received"];
    let headers = mail["headers"].as_object().cloned().unwrap_or_default();
    let reserved = |name: &String| RESERVED.contains(&name.to_ascii_lowercase().as_str());
    match headers.keys().any(reserved) {
        true => wrong("headers", "The header is reserved."),
        false => Ok(()),
    }
}
