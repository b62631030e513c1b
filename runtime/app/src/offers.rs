//! Under which word of `allowed_actions` an operation is offered that the engine does not know: one written by hand, or the
//! creation of an object that belongs to another.
//!
//! When it is offered is said under `offers:` in the spec of the entity. Modules say here, next to their routes, which
//! operation the word means ([`Module::offers`](crate::module::Module::offers)); the document tells it. A test checks that
//! the two have the same words, and another that what is offered is not refused.

use crate::operations;
use serde_json::Value;
use utoipa::openapi::OpenApi;

/// An operation, and the word by which an object offers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Operation id, such as `refundOrder`.
    pub operation: &'static str,
    /// Name of the entity in whose `allowed_actions` the word is.
    pub entity: &'static str,
    pub word: &'static str,
}

pub type Table = &'static [Offer];

pub const fn offer(operation: &'static str, entity: &'static str, word: &'static str) -> Offer {
    Offer {
        operation,
        entity,
        word,
    }
}

impl Offer {
    fn told(self) -> String {
        let entity = self.entity.replace('_', " ");
        format!(
            "**Offered** as `{}` in `allowed_actions` of the {entity}.",
            self.word
        )
    }
}

/// Adds to the descriptions of operations by which word they are offered.
pub fn tell(document: &mut OpenApi, tables: &[Table]) {
    operations::each(document, |id, operation| {
        for offer in find(tables, id) {
            let before = operation.description.as_deref().unwrap_or_default();
            operation.description = Some(longer(before, offer));
        }
    });
}

/// The same for operations that are described as JSON.
pub fn tell_json(document: &mut Value, tables: &[Table]) {
    operations::each_json(document, |id, operation| {
        for offer in find(tables, id) {
            let before = operation["description"].as_str().unwrap_or_default();
            operation["description"] = longer(before, offer).into();
        }
    });
}

fn longer(before: &str, offer: Offer) -> String {
    format!("{before}\n\n{}", offer.told()).trim().to_owned()
}

fn find(tables: &[Table], id: &str) -> Vec<Offer> {
    let all = tables.iter().copied().flatten().copied();
    all.filter(|offer| offer.operation == id).collect()
}
