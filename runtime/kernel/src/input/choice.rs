//! Closed sets of words: `#[derive(Choice)]` gives the words, the rest is here.

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
    let found = words.iter().position(|word| word == text);
    found.or_else(|| place.fault("choice", format!("must be one of {}", words.join(", "))))
}

/// What a [`Choice`] is to PostgreSQL (text), to JSON and to the other traits of this crate.
#[macro_export]
macro_rules! choice_impls {
    ($name:ty) => {
        const _: () = {
            use $crate::input::{Check, Choice, FromJson, Node, Place, choice};
            use $crate::private::{BoxDynError, PgValueRef, serde, sqlx};
            use $crate::value::{Cell, write_text};
            type Db = sqlx::Postgres;

            impl FromJson for $name {
                fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
                    choice(node, Self::WORDS, place).map(|i| Self::ALL[i])
                }
            }
            impl Cell for $name {
                fn read(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                    sqlx::Decode::<Db>::decode(value)
                }
                fn write(value: PgValueRef<'_>, out: &mut Vec<u8>) -> Result<(), BoxDynError> {
                    write_text(value, out)
                }
            }
            impl sqlx::Type<Db> for $name {
                fn type_info() -> <Db as sqlx::Database>::TypeInfo {
                    <str as sqlx::Type<Db>>::type_info()
                }
                fn compatible(ty: &<Db as sqlx::Database>::TypeInfo) -> bool {
                    <str as sqlx::Type<Db>>::compatible(ty)
                }
            }
            impl<'q> sqlx::Encode<'q, Db> for $name {
                fn encode_by_ref(
                    &self,
                    buffer: &mut <Db as sqlx::Database>::ArgumentBuffer,
                ) -> Result<sqlx::encode::IsNull, BoxDynError> {
                    <&str as sqlx::Encode<Db>>::encode_by_ref(&self.as_str(), buffer)
                }
            }
            impl<'r> sqlx::Decode<'r, Db> for $name {
                fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                    let word = <&str as sqlx::Decode<Db>>::decode(value)?;
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

/// What an object of `#[input(object)]`, which also derives serde's traits, is inside of bodies and to PostgreSQL (jsonb).
#[macro_export]
macro_rules! object_impls {
    ($name:ty) => {
        const _: () = {
            use $crate::input::{Body, Check, FromJson, Node, Place};
            use $crate::private::{BoxDynError, PgValueRef, sqlx};
            use $crate::value::{Cell, Json, object_from_sql, object_to_sql};
            type Db = sqlx::Postgres;

            impl FromJson for $name {
                fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
                    let Node::Object(entries) = node else {
                        return place.wrong_type("an object", &node);
                    };
                    let mut body = Body::nested(entries, place.pointer);
                    let value = Self::read(&mut body);
                    body.leave(value, place.errors)
                }
            }
            impl Cell for $name {
                fn read(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                    object_from_sql(&value)
                }
                fn write(value: PgValueRef<'_>, out: &mut Vec<u8>) -> Result<(), BoxDynError> {
                    <Json as Cell>::write(value, out)
                }
            }
            impl sqlx::Type<Db> for $name {
                fn type_info() -> <Db as sqlx::Database>::TypeInfo {
                    <Json as sqlx::Type<Db>>::type_info()
                }
            }
            impl<'q> sqlx::Encode<'q, Db> for $name {
                fn encode_by_ref(
                    &self,
                    buffer: &mut <Db as sqlx::Database>::ArgumentBuffer,
                ) -> Result<sqlx::encode::IsNull, BoxDynError> {
                    object_to_sql(self, buffer)
                }
            }
        };
    };
}
