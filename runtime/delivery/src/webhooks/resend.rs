//! Webhooks of Resend, which are signed by Svix: HMAC-SHA-256 over id, time and body.
//!
//! <https://docs.svix.com/receiving/verifying-payloads/how-manual>, <https://resend.com/docs/webhooks/event-types>

use super::{Feedback, Header, Kind, Refused, in_time, is_number};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use std::collections::BTreeMap;
use subtle::{Choice, ConstantTimeEq};

/// The maximum number of signatures in a header. Rotating secrets explains a few; checking more would only cost time.
const MOST_SIGNATURES: usize = 16;
const DIGEST_BYTES: usize = 32;

/// The signing secret of a webhook: `whsec_…`.
#[derive(Clone, Debug)]
pub struct ResendKey(SecretSlice<u8>);

impl ResendKey {
    pub fn new(secret: &SecretString) -> Result<Self, String> {
        let text = secret.expose_secret().trim();
        let text = text.strip_prefix("whsec_").unwrap_or(text);
        let bytes = STANDARD.decode(text).ok();
        let bytes = bytes.filter(|bytes| bytes.len() >= 16);
        let bytes = bytes.ok_or("it is not a signing secret such as `whsec_…`")?;
        Ok(Self(bytes.into()))
    }

    /// Verifies the signature and returns the event's id, which is signed, too.
    pub(super) fn verify<'a>(
        &self,
        header: Header<'a>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<&'a str, Refused> {
        let get = |name: &str| header(name).filter(|value| !value.is_empty());
        let id = get("svix-id").ok_or(Refused::Malformed)?;
        let time = get("svix-timestamp").filter(|time| is_number(time));
        let time = time.ok_or(Refused::Malformed)?;
        let given = signatures(get("svix-signature").ok_or(Refused::Malformed)?)?;
        let expected = self.digest(id, time, body);
        // Any matching signature is enough: while a secret is rotated, there is one by the old and one by the new
        // secret.
        let matches = given.iter().fold(Choice::from(0), |matches, signature| {
            matches | expected.ct_eq(signature)
        });
        match bool::from(matches) {
            true => in_time(time, now).map(|()| id),
            false => Err(Refused::NoMatch),
        }
    }

    fn digest(&self, id: &str, time: &str, body: &[u8]) -> [u8; DIGEST_BYTES] {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret());
        let mut mac = mac.expect("a key of any length");
        for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    created_at: DateTime<Utc>,
    data: serde_json::Value,
}

#[derive(Deserialize)]
struct Data {
    email_id: String,
    to: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    bounce: Option<Bounce>,
}

#[derive(Deserialize)]
struct Bounce {
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

pub(super) fn read(event_id: &str, body: &[u8]) -> Result<Vec<Feedback>, Refused> {
    let event: Event = serde_json::from_slice(body).map_err(|_| Refused::Unreadable)?;
    let told = [
        "email.delivered",
        "email.bounced",
        "email.suppressed",
        "email.failed",
        "email.complained",
        "email.delivery_delayed",
    ];
    // Opened, clicked, and other events that need no action.
    if !told.contains(&event.kind.as_str()) {
        return Ok(Vec::new());
    }
    let data: Data = serde_json::from_value(event.data).map_err(|_| Refused::Unreadable)?;
    let kind = match event.kind.as_str() {
        "email.delivered" => Kind::Delivered,
        "email.complained" => Kind::Complained,
        "email.delivery_delayed" => Kind::Deferred,
        // Resend does not send to this address because of an earlier bounce or complaint.
        "email.suppressed" => Kind::Bounced { hard: true },
        // A failure at Resend; the address may be valid.
        "email.failed" => Kind::Bounced { hard: false },
        _ => {
            let kind = data.bounce.and_then(|bounce| bounce.kind);
            let kind = kind.unwrap_or_default().to_ascii_lowercase();
            Kind::Bounced {
                hard: !["transient", "undetermined"].contains(&kind.as_str()),
            }
        }
    };
    let Some(address) = data.to.into_iter().next() else {
        return Err(Refused::Unreadable);
    };
    let ours = data.tags.get("delivery_id");
    Ok(vec![Feedback {
        event_id: event_id.to_owned(),
        message_id: ours.unwrap_or(&data.email_id).clone(),
        provider_id: Some(data.email_id),
        kind,
        at: event.created_at,
        address,
    }])
}

/// The signatures in `v1,<base64> v1,<base64>`. Other versions are ignored.
fn signatures(header: &str) -> Result<Vec<[u8; DIGEST_BYTES]>, Refused> {
    let versioned = header.split_ascii_whitespace();
    let versioned = versioned.filter_map(|part| part.split_once(','));
    let texts = versioned.filter(|(version, _)| *version == "v1");
    let texts: Vec<&str> = texts.map(|(_, text)| text).collect();
    // Values that can't be decoded count, too: what is limited is the work.
    if texts.len() > MOST_SIGNATURES {
        return Err(Refused::Malformed);
    }
    // A value that is not a digest can't match, but the other signatures may.
    let digests = texts.iter().filter_map(|text| {
        let bytes = STANDARD.decode(text).ok()?;
        <[u8; DIGEST_BYTES]>::try_from(bytes).ok()
    });
    Ok(digests.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test vector of Svix's own library.
    #[test]
    fn no11_a_signature_of_svix_itself() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned().into();
        let key = ResendKey::new(&secret).unwrap();
        let now = DateTime::from_timestamp(1_649_367_553, 0).unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let header = |name: &str| match name {
            "svix-id" => Some("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
            "svix-timestamp" => Some("1649367553"),
            "svix-signature" => Some("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
            _ => None,
        };
        let verified = key.verify(&header, body, now);
        assert_eq!(verified, Ok("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"));
        assert_eq!(key.verify(&header, &body[1..], now), Err(Refused::NoMatch));
    }

    #[test]
    fn no11_what_resend_tells() {
        let event = |kind: &str, more: &str| {
            format!(
                r#"{{"type":"{kind}","created_at":"2026-11-22T23:41:12.126Z","data":{{
                "created_at":"2026-11-22 23:41:11.894719+00","email_id":"56761188-7520-42d8-8898-ff6fc54ce618",
                "from":"Acme <no-reply@example.org>","to":["ana@example.org"],"subject":"Hello"{more}}}}}"#
            )
        };
        let bounce = |kind: &str| {
            format!(r#","bounce":{{"message":"…","subType":"General","type":"{kind}"}}"#)
        };
        let cases = [
            ("email.delivered", String::new(), Some(Kind::Delivered)),
            ("email.complained", String::new(), Some(Kind::Complained)),
            (
                "email.delivery_delayed",
                String::new(),
                Some(Kind::Deferred),
            ),
            (
                "email.bounced",
                bounce("Permanent"),
                Some(Kind::Bounced { hard: true }),
            ),
            (
                "email.bounced",
                bounce("Transient"),
                Some(Kind::Bounced { hard: false }),
            ),
            (
                "email.bounced",
                bounce("Undetermined"),
                Some(Kind::Bounced { hard: false }),
            ),
            (
                "email.bounced",
                String::new(),
                Some(Kind::Bounced { hard: true }),
            ),
            (
                "email.bounced",
                r#","bounce":null"#.to_owned(),
                Some(Kind::Bounced { hard: true }),
            ),
            (
                "email.bounced",
                r#","bounce":{"type":null}"#.to_owned(),
                Some(Kind::Bounced { hard: true }),
            ),
            (
                "email.suppressed",
                String::new(),
                Some(Kind::Bounced { hard: true }),
            ),
            (
                "email.failed",
                String::new(),
                Some(Kind::Bounced { hard: false }),
            ),
            ("email.opened", String::new(), None),
            ("contact.created", String::new(), None),
        ];
        for (kind, more, expected) in cases {
            let told = read("msg_1", event(kind, &more).as_bytes()).unwrap();
            assert_eq!(
                told.first().map(|told| told.kind),
                expected,
                "{kind} {more}"
            );
        }
        let tagged = event("email.delivered", r#","tags":{"delivery_id":"ours"}"#);
        let told = read("msg_1", tagged.as_bytes()).unwrap().remove(0);
        assert_eq!(
            (told.event_id.as_str(), told.message_id.as_str()),
            ("msg_1", "ours")
        );
        assert_eq!(told.address, "ana@example.org");
        assert_eq!(told.at.to_rfc3339(), "2026-11-22T23:41:12.126+00:00");
        for text in [
            "",
            "[]",
            "{}",
            r#"{"type":"email.bounced","created_at":"2026-11-22T23:41:12Z","data":{}}"#,
        ] {
            assert_eq!(
                read("msg_1", text.as_bytes()),
                Err(Refused::Unreadable),
                "{text}"
            );
        }
    }
}
