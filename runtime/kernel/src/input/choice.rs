//! Closed sets of words: `#[derive(Choice)]` generates the words, everything else is here.

use super::{Node, Place};

/// An enum that is a text everywhere outside of Rust.
pub trait Choice: Copy + Sized + 'static {
    /// In the order of [`Choice::ALL`].
    const WORDS: &'static [&'static str];
    const ALL: &'static [Self];

    fn as_str(self) -> &'static str;

    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .position(|w| *w == word)
            .map(|i| Self::ALL[i])
    }
}

/// Which of the words it is.
pub fn choice(node: Node, words: &[&str], place: &mut Place) -> Option<usize> {
    let Node::Text(text) = &node else {
        return place.wrong_type("a text", &node);
    };
    let found = words.iter().position(|word| *word == text.trim());
    found.or_else(|| place.fault("choice", format!("must be one of {}", words.join(", "))))
}

/// What a [`Choice`] is to PostgreSQL (text), to JSON and to the other traits of this crate.
/// Imports modules rather than types, here and below: an imported type would shadow a type of the same name from a
/// spec.
#[macro_export]
macro_rules! choice_impls {
    ($name:ty) => {
        const _: () = {
            use $crate::input::{self, Choice as _};
            use $crate::private::{self, serde, sqlx};
            use $crate::value;

            impl input::FromJson for $name {
                const HAS_FORM: bool = true;

                fn from_json(
                    node: input::Node,
                    _: &[input::Check],
                    place: &mut input::Place,
                ) -> Option<Self> {
                    input::choice(node, Self::WORDS, place).map(|i| Self::ALL[i])
                }
                fn schema() -> private::Value {
                    private::json!({"type": "string", "enum": Self::WORDS})
                }
            }
            impl value::Cell for $name {
                fn read(value: private::PgValueRef<'_>) -> Result<Self, private::BoxDynError> {
                    sqlx::Decode::<sqlx::Postgres>::decode(value)
                }
                fn write(
                    value: private::PgValueRef<'_>,
                    out: &mut Vec<u8>,
                ) -> Result<(), private::BoxDynError> {
                    value::write_text(value, out)
                }
            }
            impl sqlx::Type<sqlx::Postgres> for $name {
                fn type_info() -> <sqlx::Postgres as sqlx::Database>::TypeInfo {
                    <str as sqlx::Type<sqlx::Postgres>>::type_info()
                }
                fn compatible(ty: &<sqlx::Postgres as sqlx::Database>::TypeInfo) -> bool {
                    <str as sqlx::Type<sqlx::Postgres>>::compatible(ty)
                }
            }
            impl<'q> sqlx::Encode<'q, sqlx::Postgres> for $name {
                fn encode_by_ref(
                    &self,
                    buffer: &mut <sqlx::Postgres as sqlx::Database>::ArgumentBuffer,
                ) -> Result<sqlx::encode::IsNull, private::BoxDynError> {
                    <&str as sqlx::Encode<sqlx::Postgres>>::encode_by_ref(&self.as_str(), buffer)
                }
            }
            impl<'r> sqlx::Decode<'r, sqlx::Postgres> for $name {
                fn decode(value: private::PgValueRef<'r>) -> Result<Self, private::BoxDynError> {
                    let word = <&str as sqlx::Decode<sqlx::Postgres>>::decode(value)?;
                    Self::from_word(word).ok_or_else(|| format!("unknown word {word:?}").into())
                }
            }
            impl ::std::fmt::Display for $name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.write_str(self.as_str())
                }
            }
            impl ::std::str::FromStr for $name {
                type Err = String;
                fn from_str(word: &str) -> Result<Self, String> {
                    Self::from_word(word).ok_or_else(|| format!("unknown word {word:?}"))
                }
            }
            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.as_str())
                }
            }
            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> Result<Self, D::Error> {
                    let word = <::std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(
                        deserializer,
                    )?;
                    word.parse().map_err(serde::de::Error::custom)
                }
            }
        };
    };
}

/// Implements for an object of `#[input(object)]`, which also derives serde's traits, how it is read from bodies and
/// stored in PostgreSQL (jsonb).
#[macro_export]
macro_rules! object_impls {
    ($name:ty) => {
        const _: () = {
            use $crate::input;
            use $crate::private::{self, sqlx};
            use $crate::value;

            impl input::FromJson for $name {
                fn from_json(
                    node: input::Node,
                    _: &[input::Check],
                    place: &mut input::Place,
                ) -> Option<Self> {
                    let input::Node::Object(entries) = node else {
                        return place.wrong_type("an object", &node);
                    };
                    let mut body = input::Body::nested(entries, place.pointer);
                    let value = Self::read(&mut body);
                    body.leave(value, place.errors)
                }
            }
            impl input::Merge for $name {
                fn merge(node: input::Node, place: &mut input::Place) -> Option<input::Parts> {
                    let input::Node::Object(entries) = node else {
                        return place.wrong_type("an object", &node);
                    };
                    let mut body = input::Body::nested(entries, place.pointer);
                    let parts = Self::parts(&mut body);
                    body.leave(Some(parts), place.errors)
                }
            }
            impl value::Cell for $name {
                fn read(value: private::PgValueRef<'_>) -> Result<Self, private::BoxDynError> {
                    value::object_from_sql(&value)
                }
                fn write(
                    value: private::PgValueRef<'_>,
                    out: &mut Vec<u8>,
                ) -> Result<(), private::BoxDynError> {
                    value::write_object(&value, Self::KEYS, out)
                }
            }
            impl sqlx::Type<sqlx::Postgres> for $name {
                fn type_info() -> <sqlx::Postgres as sqlx::Database>::TypeInfo {
                    <value::Json as sqlx::Type<sqlx::Postgres>>::type_info()
                }
            }
            impl<'q> sqlx::Encode<'q, sqlx::Postgres> for $name {
                fn encode_by_ref(
                    &self,
                    buffer: &mut <sqlx::Postgres as sqlx::Database>::ArgumentBuffer,
                ) -> Result<sqlx::encode::IsNull, private::BoxDynError> {
                    value::object_to_sql(self, buffer)
                }
            }
        };
    };
}
