//! Events that the provider sends or lists, read in two steps.
//!
//! The envelope is read without types, so an event of another API version is never unreadable: it can be kept, and
//! decoded later or fetched again. What it is about is decoded by [`crate::Gateway::decode`].

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
    /// `payment_intent.succeeded` …
    pub kind: String,
    pub created: DateTime<Utc>,
    /// The connected account it happened in; none: the platform's own.
    pub account: Option<String>,
    pub livemode: bool,
    pub api_version: Option<String>,
    /// `data.object` as it came. May hold personal data; `Debug` leaves it out.
    pub object: String,
    /// `data.object.object`: `payment_intent`, `charge` …
    pub object_kind: Option<String>,
    pub object_id: Option<String>,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    Payment(Box<Payment>),
    Charge(Box<Charge>),
    Dispute(Dispute),
    Refund(Refund),
    /// A payment method that is a card. Read it again before believing its owner: an event of detaching names none.
    PaymentMethod(Card),
    Setup(Box<Setup>),
    Account(Account),
    /// The connected account of the envelope does not want us any more.
    Deauthorized,
    Transfer(Transfer),
    Subscription(Box<Subscription>),
    Invoice(Invoice),
    /// Nothing that we know of.
    Unknown,
}

/// An object of a kind that we know, and not as we know it: another API version, a status that is new. Fetch the object
/// by its id, or keep the event until somebody looks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object of kind `{object_kind}` that can't be read: {why}")]
pub struct Undecodable {
    pub object_kind: String,
    pub object_id: Option<String>,
    pub why: String,
}

/// Not even an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event: {0}")]
pub struct Unreadable(String);

/// Which events to list. The provider keeps them for 30 days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindEvents {
    pub created_since: DateTime<Utc>,
    /// Up to and not with this time; without one up to now.
    pub created_until: Option<DateTime<Utc>>,
    /// Only those which some endpoint has not taken yet.
    pub undelivered: bool,
    /// Up to 20; empty: all.
    pub kinds: Vec<String>,
    /// Of a connected account; none: the platform's own.
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
        // An object without id or kind is still an event to keep.
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

/// Where and what kind, without the text: it may be personal.
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
