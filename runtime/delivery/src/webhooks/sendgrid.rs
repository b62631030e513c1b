//! The event webhook of SendGrid: ECDSA with P-256 and SHA-256 over time and body.
//!
//! <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>

use super::{Feedback, Header, Kind, Refused, in_time, is_number};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";

/// The public key that SendGrid shows for a webhook.
#[derive(Clone)]
pub struct SendgridKey(Arc<ParsedPublicKey>);

impl std::fmt::Debug for SendgridKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SendgridKey")
    }
}

impl SendgridKey {
    pub fn new(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).ok();
        let key = bytes.and_then(|bytes| ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bytes).ok());
        let key = key.ok_or("it is not the verification key that SendGrid shows: `MFkwEw…`")?;
        Ok(Self(Arc::new(key)))
    }

    pub(super) fn verify(
        &self,
        header: Header<'_>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let time = header(TIMESTAMP).filter(|time| is_number(time));
        let time = time.ok_or(Refused::Malformed)?;
        let signature = header(SIGNATURE).and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.ok_or(Refused::Malformed)?;
        let signed = [time.as_bytes(), body].concat();
        let verified = self.0.verify_sig(&signed, &signature);
        verified.map_err(|_| Refused::NoMatch)?;
        in_time(time, now)
    }
}

#[derive(Deserialize)]
struct Event {
    event: String,
    email: String,
    timestamp: i64,
    sg_event_id: String,
    #[serde(default)]
    sg_message_id: Option<String>,
    /// Our custom argument, returned next to SendGrid's fields.
    #[serde(default)]
    delivery_id: Option<String>,
    /// For a bounce: `bounce` or `blocked`.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// For a dropped message: why SendGrid dropped it. For other events: the receiving server's text.
    #[serde(default)]
    reason: Option<String>,
}

/// Reads a batch of events. Events of other kinds or of an unexpected form are skipped, and the rest of the batch is
/// still returned.
pub(super) fn read(body: &[u8]) -> Result<Vec<Feedback>, Refused> {
    let events: Vec<Value> = serde_json::from_slice(body).map_err(|_| Refused::Unreadable)?;
    let events = events.into_iter().filter_map(|event| {
        let event: Event = serde_json::from_value(event).ok()?;
        let kind = kind(&event)?;
        let provider_id = event.sg_message_id.as_deref().map(name);
        let message_id = event.delivery_id.or_else(|| provider_id.clone())?;
        Some(Feedback {
            event_id: event.sg_event_id,
            message_id,
            provider_id,
            kind,
            at: DateTime::from_timestamp(event.timestamp, 0)?,
            address: event.email,
        })
    });
    Ok(events.collect())
}

fn kind(event: &Event) -> Option<Kind> {
    Some(match event.event.as_str() {
        "delivered" => Kind::Delivered,
        "deferred" => Kind::Deferred,
        // Blocked: the receiving server refuses this sender, this content, or any mail at the moment.
        "bounce" => Kind::Bounced {
            hard: event.kind.as_deref() != Some("blocked"),
        },
        "spamreport" => Kind::Complained,
        "unsubscribe" | "group_unsubscribe" => Kind::Unsubscribed,
        // Dropped: SendGrid did not attempt to deliver the message.
        "dropped" => match event.reason.as_deref() {
            Some("Bounced Address" | "Invalid") => Kind::Bounced { hard: true },
            Some("Spam Reporting Address") => Kind::Complained,
            Some("Unsubscribed Address") => Kind::Unsubscribed,
            _ => Kind::Bounced { hard: false },
        },
        _ => return None,
    })
}

/// The id without what events append to the id of the answer, which is the receiver's number and the machine:
/// `<id>.recvd-…`, `<id>.filter0001.…`.
fn name(id: &str) -> String {
    let end = [".recvd-", ".filter"]
        .iter()
        .filter_map(|mark| id.find(mark));
    id[..end.min().unwrap_or(id.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test vector of SendGrid's own library.
    #[test]
    fn no11_a_signature_of_sendgrid_itself() {
        let key = SendgridKey::new(
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvF\
             YPAZFceEu/1FwCM/QmGUhA==",
        )
        .unwrap();
        let now = DateTime::from_timestamp(1_588_788_367, 0).unwrap();
        let body =
            br#"{"category":"example_payload","event":"test_event","message_id":"message_id"}"#;
        let header = |name: &str| match name {
            TIMESTAMP => Some("1588788367"),
            SIGNATURE => Some(
                "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0=",
            ),
            _ => None,
        };
        assert_eq!(key.verify(&header, body, now), Ok(()));
        assert_eq!(key.verify(&header, &body[1..], now), Err(Refused::NoMatch));
    }

    #[test]
    fn no11_what_sendgrid_tells() {
        let hard = |hard| Some(Kind::Bounced { hard });
        let cases = [
            (
                r#""event":"delivered","response":"250 OK""#,
                Some(Kind::Delivered),
            ),
            (r#""event":"deferred","attempt":"5""#, Some(Kind::Deferred)),
            (
                r#""event":"bounce","type":"bounce","status":"5.1.1""#,
                hard(true),
            ),
            (r#""event":"bounce","type":"blocked""#, hard(false)),
            (r#""event":"bounce""#, hard(true)),
            (
                r#""event":"dropped","reason":"Bounced Address""#,
                hard(true),
            ),
            (r#""event":"dropped","reason":"Spam Content""#, hard(false)),
            (
                r#""event":"dropped","reason":"Spam Reporting Address""#,
                Some(Kind::Complained),
            ),
            (
                r#""event":"dropped","reason":"Unsubscribed Address""#,
                Some(Kind::Unsubscribed),
            ),
            (r#""event":"spamreport""#, Some(Kind::Complained)),
            (
                r#""event":"group_unsubscribe","asm_group_id":1"#,
                Some(Kind::Unsubscribed),
            ),
            (r#""event":"processed""#, None),
            (r#""event":"open""#, None),
        ];
        for (fields, expected) in cases {
            let body = format!(
                r#"[7,{{"event":"delivered"}},{{"email":"ana@example.org","timestamp":1513299569,"sg_event_id":"e1",
                "sg_message_id":"LkFhn0OgQjSr4qB0GZwnVg.recvd-5bc-0","category":"cats",{fields}}}]"#
            );
            let told = read(body.as_bytes()).unwrap();
            assert_eq!(told.first().map(|told| told.kind), expected, "{fields}");
            if let Some(told) = told.first() {
                assert_eq!(told.message_id, "LkFhn0OgQjSr4qB0GZwnVg");
                assert_eq!(
                    (told.event_id.as_str(), told.at.timestamp()),
                    ("e1", 1_513_299_569)
                );
            }
        }
        assert_eq!(
            name("14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0"),
            "14c5d75ce93.dfd.64b469"
        );
        assert_eq!(read(b"{}"), Err(Refused::Unreadable));
    }
}
