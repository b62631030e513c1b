//! Google's token endpoint, and `messages:send` of FCM.
//!
//! The beginning of a device's token determines the answer: `gone` stands for a device that was unregistered, `bad`
//! for an invalid token, `other` for a token of another project.

use crate::{
    fake::{Fake, Sent, World},
    keys,
    message::{Reply, Request},
};
use base64::{
    Engine,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const LARGEST_PAYLOAD: usize = 4096;

/// Google accepts assertions with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(crate) fn token(fake: &Fake, world: &mut World, request: &Request) -> Reply {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body)
        .into_owned()
        .collect();
    let refused = |why: &str| {
        let body = json!({ "error": "invalid_grant", "error_description": why });
        Reply::json(400, &body)
    };
    if form.get("grant_type").map(String::as_str) != Some(GRANT) {
        return refused("The grant is not of this kind.");
    }
    let assertion = form
        .get("assertion")
        .map(String::as_str)
        .unwrap_or_default();
    match asserted(fake, assertion, world.now().timestamp()) {
        Err(why) => refused(why),
        Ok(()) => {
            let token = format!(
                "ya29.fake-{}-{}",
                world.next(),
                uuid::Uuid::new_v4().simple()
            );
            world.access_tokens.insert(token.clone());
            let body = json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" });
            Reply::json(200, &body)
        }
    }
}

pub(crate) fn send(world: &mut World, path: &str, request: &Request) -> Reply {
    if !request
        .bearer()
        .is_some_and(|token| world.access_tokens.contains(token))
    {
        let why = "Request had invalid authentication credentials.";
        return error(401, "UNAUTHENTICATED", why, json!([]));
    }
    if path != format!("/v1/projects/{}/messages:send", keys::PROJECT) {
        return error(
            404,
            "NOT_FOUND",
            "Requested entity was not found.",
            json!([]),
        );
    }
    let message = &request.json()["message"];
    if let Some(refused) = refusal(message) {
        return refused;
    }
    let token = message["token"].as_str().unwrap_or_default();
    let id = format!("projects/{}/messages/{}", keys::PROJECT, world.next());
    let now = world.now();
    let collapse = &message["android"]["collapse_key"];
    let fields = json!({
        "token": token,
        "title": message["notification"]["title"],
        "body": message["notification"]["body"],
        "data": message["data"],
        "collapse_key": collapse,
        "message": message,
    });
    // On the device, the later message replaces the earlier one.
    let earlier = (world.push.iter_mut()).find(|sent| {
        collapse.is_string()
            && sent.fields["collapse_key"] == *collapse
            && sent.fields["token"] == token
    });
    match earlier {
        Some(sent) => {
            sent.copies += 1;
            sent.fields = fields;
        }
        None => World::keep(
            &mut world.push,
            Sent {
                service: "fcm",
                id: id.clone(),
                at: now,
                copies: 1,
                fields,
            },
        ),
    }
    Reply::json(200, &json!({ "name": id }))
}

fn asserted(fake: &Fake, assertion: &str, now: i64) -> Result<(), &'static str> {
    let parts: Vec<&str> = assertion.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else {
        return Err("The assertion is no JWT.");
    };
    let read =
        |part: &str| -> Option<Value> { serde_json::from_slice(&BASE64.decode(part).ok()?).ok() };
    let (Some(head_json), Some(claims_json), Ok(signature)) =
        (read(head), read(claims), BASE64.decode(signature))
    else {
        return Err("The assertion is no JWT.");
    };
    let signed = format!("{head}.{claims}");
    if head_json["alg"] != "RS256"
        || !fake
            .keys
            .signed_by_the_account(signed.as_bytes(), &signature)
    {
        return Err("Invalid JWT Signature.");
    }
    let (issued, ends) = (claims_json["iat"].as_i64(), claims_json["exp"].as_i64());
    let in_time = issued
        .zip(ends)
        .is_some_and(|(issued, ends)| issued <= now + 60 && ends > now && ends - issued <= 3600);
    let scopes = claims_json["scope"].as_str().unwrap_or_default();
    if !in_time {
        return Err("Invalid JWT: its time is over, or too long.");
    }
    if claims_json["iss"] != keys::EMAIL
        || claims_json["aud"] != format!("{}/token", fake.config.base_url)
        || !scopes.split(' ').any(|scope| scope == SCOPE)
    {
        return Err("Invalid JWT: for somebody or something else.");
    }
    Ok(())
}

fn error(status: u16, name: &str, message: &str, details: Value) -> Reply {
    let body = json!({ "error": {
        "code": status, "message": message, "status": name, "details": details,
    } });
    Reply::json(status, &body)
}

fn of_fcm(code: &str) -> Value {
    json!([{ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code }])
}

fn bad_field(field: &str, why: &str) -> Reply {
    let details = json!([{
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{ "field": field, "description": why }],
    }]);
    error(400, "INVALID_ARGUMENT", why, details)
}

fn refusal(message: &Value) -> Option<Reply> {
    const KNOWN: [&str; 8] = [
        "token",
        "notification",
        "data",
        "android",
        "apns",
        "webpush",
        "fcm_options",
        "topic",
    ];
    let Some(fields) = message.as_object() else {
        return Some(bad_field("message", "Invalid JSON payload received."));
    };
    if let Some(name) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        let why = format!("Invalid JSON payload received. Unknown name \"{name}\" at 'message'");
        return Some(bad_field("message", &why));
    }
    let data = message["data"].as_object().cloned().unwrap_or_default();
    for (at, (name, value)) in data.iter().enumerate() {
        if !value.is_string() {
            let field = format!("message.data[{at}].value");
            return Some(bad_field(&field, "Invalid value (TYPE_STRING)"));
        }
        let reserved = name == "from" || name.starts_with("google") || name.starts_with("gcm");
        if reserved {
            let why = format!("Invalid data payload key: {name}");
            return Some(error(
                400,
                "INVALID_ARGUMENT",
                &why,
                of_fcm("INVALID_ARGUMENT"),
            ));
        }
    }
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let size: usize = data
        .iter()
        .map(|(name, value)| name.len() + text(value))
        .sum();
    let shown = &message["notification"];
    if size + text(&shown["title"]) + text(&shown["body"]) > LARGEST_PAYLOAD {
        let why = "Message is too big";
        return Some(error(
            400,
            "INVALID_ARGUMENT",
            why,
            of_fcm("INVALID_ARGUMENT"),
        ));
    }
    match message["token"].as_str().unwrap_or_default() {
        "" => Some(bad_field("message", "Recipient of the message is not set.")),
        token if token.starts_with("gone") => {
            let why = "Requested entity was not found.";
            Some(error(404, "NOT_FOUND", why, of_fcm("UNREGISTERED")))
        }
        token if token.starts_with("bad") => {
            let why = "The registration token is not a valid FCM registration token";
            Some(error(
                400,
                "INVALID_ARGUMENT",
                why,
                of_fcm("INVALID_ARGUMENT"),
            ))
        }
        token if token.starts_with("other") => {
            let why = "SenderId mismatch";
            Some(error(
                403,
                "PERMISSION_DENIED",
                why,
                of_fcm("SENDER_ID_MISMATCH"),
            ))
        }
        _ => None,
    }
}
