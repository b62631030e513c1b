//! A change of a JSON object that is stored in one column: PUT replaces it, PATCH merges into it (RFC 7396).
//!
//! The merge happens in the database, in the SQL function `sec.patched`, so that concurrent changes of other keys are
//! not lost.

use super::{Check, FromJson, Mode, Node, Place};
use crate::value::{Json, object_to_sql};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, value::RawValue};
use sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo},
};

/// The form in which the statement gets it: `{"replace": …}` or `{"merge": …}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Edit<T> {
    /// The whole new object.
    Replace(T),
    /// Keys with their new values, null for those that are removed; other keys stay.
    Merge(Parts),
}

/// Keys of an object that change.
pub type Parts = Map<String, Value>;

/// A JSON object of which single keys can be changed.
pub trait Merge: FromJson {
    /// Checks the keys that are given. `node` is never null.
    fn merge(node: Node, place: &mut Place) -> Option<Parts>;
}

impl<T: Merge> FromJson for Edit<T> {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        match place.mode {
            Mode::Merge => T::merge(node, place).map(Self::Merge),
            Mode::Create | Mode::Replace => T::from_json(node, checks, place).map(Self::Replace),
        }
    }
}

impl Merge for Json {
    fn merge(node: Node, place: &mut Place) -> Option<Parts> {
        let Json(text) = Json::from_json(node, &[], place)?;
        match serde_json::from_str(&text) {
            Ok(map) => Some(map),
            Err(_) => place.fault("type", "must be an object"),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = serde_json::from_str::<&RawValue>(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<T> Type<Postgres> for Edit<T> {
    fn type_info() -> PgTypeInfo {
        Json::type_info()
    }
}

impl<T: Serialize> Encode<'_, Postgres> for Edit<T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        object_to_sql(self, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, mode: Mode) -> Edit<Json> {
        let mut errors = Vec::new();
        let mut place = Place {
            pointer: "/data",
            mode,
            errors: &mut errors,
        };
        let node = Node::parse(text.as_bytes()).unwrap();
        Edit::from_json(node, &[], &mut place).unwrap()
    }

    #[test]
    fn a_statement_is_told_whether_to_replace_or_to_merge() {
        let told =
            |mode| serde_json::to_string(&edit(r#"{"a": null, "b": {"c": 1}}"#, mode)).unwrap();
        assert_eq!(told(Mode::Merge), r#"{"merge":{"a":null,"b":{"c":1}}}"#);
        assert_eq!(told(Mode::Replace), r#"{"replace":{"a":null,"b":{"c":1}}}"#);
    }
}
