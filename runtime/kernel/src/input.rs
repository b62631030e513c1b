//! What a request body becomes: the traits that `#[derive(Input)]` and `#[derive(Choice)]` implement,
//! and the helpers their expansions call. Knows no entity and no HTTP.

mod address;
mod bind;
mod body;
mod card;
mod check;
mod choice;
mod codes;
mod edit;
mod format;
mod items;
mod json;
mod line;
mod phone;
mod scalar;
pub mod schema;
mod social;
#[cfg(test)]
mod social_tests;
mod tags;

pub use bind::{bind, bind_patch};
pub use body::Body;
pub(crate) use card::refuse as refuse_cards;
pub use check::Check;
pub use choice::{Choice, choice};
pub use codes::{COUNTRIES, CURRENCIES};
pub use edit::{Edit, Merge, Parts};
pub use format::Format;
pub use items::{Objects, Values};
pub use json::{DEPTH_MAX, Node};
pub use line::{LINE_MAX, is_line, is_seen, line_of, normal_line};
pub(crate) use phone::{is_national, of_country};
pub use scalar::{FromJson, Place};
pub use social::Network;

use sqlx::postgres::PgArguments;
use std::any::Any;

/// A checked body, ready to be bound to its statement.
pub trait Input: Any + Send + Sync {
    /// Adds the values in the order of the statement's parameters.
    /// Create: one per field. Update: a boolean "is given" and the value per field.
    fn bind(&self, arguments: &mut PgArguments) -> Result<(), sqlx::error::BoxDynError>;
    /// The concrete type, for hooks, which downcast to it.
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// Names of the given fields (for messages and field rules).
    fn given(&self) -> Vec<&'static str>;
}

/// A body of a hand-written route: `#[derive(Input)]` with `#[input(body)]`.
pub trait Posted: Sized {
    fn from_body(body: &mut Body) -> Option<Self>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// POST: a field that is absent takes its default or is an error.
    Create,
    /// PUT: the whole representation; absent optional fields become null or their default.
    Replace,
    /// PATCH (RFC 7396): absent stays as it is, null empties.
    Merge,
}

/// Why a body was refused.
#[derive(Debug)]
pub enum Invalid {
    /// 400: not JSON, not an object, duplicate keys, too deep.
    Syntax(String),
    /// 422: every field that is wrong.
    Fields(Vec<FieldError>),
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// JSON pointer: `/social_links/website`
    pub pointer: String,
    /// `required`, `unknown`, `type`, `length`, `range`, `format`, `choice`, `null`, `card_number`
    pub code: &'static str,
    /// A sentence that says what to send instead.
    pub detail: String,
}

/// A field of an update, which distinguishes an absent field from null.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Patch<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<T> Patch<T> {
    pub fn is_absent(&self) -> bool {
        matches!(self, Patch::Absent)
    }
    /// The given value; `None` if the field is absent or null.
    pub fn value(&self) -> Option<&T> {
        match self {
            Patch::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// The body as the concrete type that the hook of its entity expects.
pub fn typed<T: Input>(input: &mut dyn Input) -> &mut T {
    input
        .as_any_mut()
        .downcast_mut()
        .expect("an entity is mounted with the hooks of its own")
}
