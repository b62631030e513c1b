//! Events that the provider sends to a webhook or lists, read in two steps.
//!
//! The envelope is read without the types of its object, so that an event of another API version can still be stored
//! and decoded later or fetched again. [`crate::Gateway::decode`] decodes the object that the event is about.

use crate::{
    billing::{Invoice, Subscription},
    cards::{Card, Setup},
    connect::{Account, Transfer},
    payment::{Charge, Dispute, Payment},
    refund::Refund,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    pub id: String,
    /// The type of the event: `payment_intent.succeeded` …
    pub kind: String,
    pub created: DateTime<Utc>,
    /// The connected account in which the event happened. None: the platform's own account.
    pub account: Option<String>,
    pub livemode: bool,
    pub api_version: Option<String>,
    /// The unchanged JSON of `data.object`. It may contain personal data, so `Debug` leaves it out.
    pub object: String,
    /// The kind of the object (`data.object.object`): `payment_intent`, `charge` …
    pub object_kind: Option<String>,
    pub object_id: Option<String>,
}

/// The object that an event is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    Payment(Box<Payment>),
    Charge(Box<Charge>),
    Dispute(Dispute),
    Refund(Refund),
    /// A payment method of the kind card. Read the card again to find its owner: an event about a detached card names
    /// none.
    PaymentMethod(Card),
    Setup(Box<Setup>),
    Account(Account),
    /// The connected account of the envelope has revoked the platform's access.
    Deauthorized,
    Transfer(Transfer),
    Subscription(Box<Subscription>),
    Invoice(Invoice),
    /// An object of a kind that this crate does not know.
    Unknown,
}

/// An object of a known kind that can't be decoded, for example because it has another API version or a new status.
/// The caller should fetch the object by its id, or keep the event for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object of kind `{object_kind}` that can't be read: {why}")]
pub struct Undecodable {
    pub object_kind: String,
    pub object_id: Option<String>,
    pub why: String,
}

/// The text is not even an event's envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event: {0}")]
pub struct Unreadable(String);

/// A query for events. The provider keeps events for 30 days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindEvents {
    pub created_since: DateTime<Utc>,
    /// The end of the period, exclusive. None: up to now.
    pub created_until: Option<DateTime<Utc>>,
    /// Whether to list only events that have not been delivered to all webhook endpoints.
    pub undelivered: bool,
    /// Up to 20 types of events. Empty: all types.
    pub kinds: Vec<String>,
    /// The connected account whose events are listed. None: the platform's own account.
    pub account: Option<String>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    id: String,
    object: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    account: Option<String>,
    livemode: bool,
    api_version: Option<String>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Head {
    id: Option<String>,
    object: Option<String>,
}

impl Envelope {
    pub fn parse(payload: &[u8]) -> Result<Self, Unreadable> {
        let wire: Wire = serde_json::from_slice(payload).map_err(|error| unreadable(&error))?;
        if wire.object != "event" {
            return Err(Unreadable("its `object` is not `event`".to_owned()));
        }
        let created = DateTime::from_timestamp(wire.created, 0)
            .ok_or_else(|| Unreadable("`created` is no time".to_owned()))?;
        let object = wire.data.object.get();
        // An event whose object has no id or kind is still accepted, so that it can be stored.
        let head = serde_json::from_str(object).unwrap_or(Head {
            id: None,
            object: None,
        });
        Ok(Self {
            id: wire.id,
            kind: wire.kind,
            created,
            account: wire.account,
            livemode: wire.livemode,
            api_version: wire.api_version,
            object: object.to_owned(),
            object_kind: head.object,
            object_id: head.id,
        })
    }
}

/// The place and kind of a JSON error, without any of the text, which may be personal.
fn unreadable(error: &serde_json::Error) -> Unreadable {
    let (line, column) = (error.line(), error.column());
    Unreadable(format!("{:?} error at {line}:{column}", error.classify()))
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("created", &self.created)
            .field("account", &self.account)
            .field("livemode", &self.livemode)
            .field("api_version", &self.api_version)
            .field("object_kind", &self.object_kind)
            .field("object_id", &self.object_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_whatever_its_object_is() {
        let text = br#"{"id":"evt_1","object":"event","type":"moon.risen","created":1750000000,"livemode":false,
            "api_version":"2031-01-01","account":"acct_1","new_field":[1],"data":{"object":{"name":"Ann","x":1.50}}}"#;
        let event = Envelope::parse(text).unwrap();
        assert_eq!(event.kind, "moon.risen");
        assert_eq!(event.account.as_deref(), Some("acct_1"));
        assert_eq!(event.object, r#"{"name":"Ann","x":1.50}"#);
        assert_eq!(
            (event.object_kind.clone(), event.object_id.clone()),
            (None, None)
        );
        assert!(!format!("{event:?}").contains("Ann"));
    }

    #[test]
    fn what_is_no_event_is_said_without_its_text() {
        for text in ["", "{}", "[]", r#"{"id":"evt_1"}"#, r#"{"secret":"#] {
            let error = Envelope::parse(text.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
