//! Decodes the object that an event is about into our types.

use crate::convert::{self, Converted};
use gateway::{Decoded, Envelope, Undecodable};

pub fn decode(event: &Envelope) -> Result<Decoded, Undecodable> {
    let text = event.object.as_str();
    // The object of this event is the application, which is the platform itself.
    if event.kind == "account.application.deauthorized" {
        return Ok(Decoded::Deauthorized);
    }
    let object_kind = event.object_kind.as_deref().unwrap_or_default();
    let decoded = match object_kind {
        "payment_intent" => read(text, convert::payment).map(|it| Decoded::Payment(Box::new(it))),
        "charge" => read(text, convert::charge).map(|it| Decoded::Charge(Box::new(it))),
        "dispute" => read(text, convert::dispute).map(Decoded::Dispute),
        "refund" => read(text, convert::refund).map(Decoded::Refund),
        "payment_method" => {
            read(text, convert::card).map(|it| it.map_or(Decoded::Unknown, Decoded::PaymentMethod))
        }
        "setup_intent" => read(text, convert::setup).map(|it| Decoded::Setup(Box::new(it))),
        "account" => read(text, convert::account).map(Decoded::Account),
        "transfer" => read(text, convert::transfer).map(Decoded::Transfer),
        "subscription" => {
            read(text, convert::subscription).map(|it| Decoded::Subscription(Box::new(it)))
        }
        "invoice" => read(text, convert::invoice).map(Decoded::Invoice),
        _ => return Ok(Decoded::Unknown),
    };
    decoded.map_err(|why| Undecodable {
        object_kind: object_kind.to_owned(),
        object_id: event.object_id.clone(),
        why,
    })
}

fn read<T: miniserde::Deserialize, O>(text: &str, convert: fn(T) -> Converted<O>) -> Converted<O> {
    // The library does not tell which field it is.
    let read = miniserde::json::from_str(text);
    convert(read.map_err(|_| "a field is missing or of another type".to_owned())?)
}
