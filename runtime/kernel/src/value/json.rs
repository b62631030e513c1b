//! JSON that is stored and passed on without being parsed.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};
use std::collections::HashMap;

/// The text of a jsonb column or of a `json` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

impl Json {
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0)
    }
    pub fn of(value: &impl Serialize) -> serde_json::Result<Json> {
        serde_json::to_string(value).map(Json)
    }
}

/// The binary form of jsonb is a version byte and the text.
pub(super) fn jsonb_text<'r>(value: &PgValueRef<'r>) -> Result<&'r str, BoxDynError> {
    let text = value.as_str()?;
    match value.format() {
        PgValueFormat::Text => Ok(text),
        PgValueFormat::Binary => text
            .strip_prefix('\u{1}')
            .ok_or_else(|| "unknown version of jsonb".into()),
    }
}

/// For derived objects.
pub fn object_from_sql<T: DeserializeOwned>(value: &PgValueRef<'_>) -> Result<T, BoxDynError> {
    Ok(serde_json::from_str(jsonb_text(value)?)?)
}

/// For derived objects.
pub fn object_to_sql(
    value: &impl Serialize,
    buffer: &mut PgArgumentBuffer,
) -> Result<IsNull, BoxDynError> {
    Json::of(value)?.encode_by_ref(buffer)
}

/// Writes a derived object as answers show it.
pub fn write_object(
    value: &PgValueRef<'_>,
    keys: &[&str],
    out: &mut Vec<u8>,
) -> Result<(), BoxDynError> {
    Ok(whole(jsonb_text(value)?, keys, out)?)
}

/// Writes the object with all of its keys in this order, null for those that are not stored, so that a client need not
/// distinguish an empty value from one that is not shown.
fn whole(text: &str, keys: &[&str], out: &mut Vec<u8>) -> serde_json::Result<()> {
    let stored: HashMap<String, &RawValue> = serde_json::from_str(text)?;
    for (at, key) in keys.iter().enumerate() {
        out.extend_from_slice(if at == 0 { "{\"" } else { ",\"" }.as_bytes());
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        let value = stored.get(*key).map_or("null", |value| value.get());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(match keys.is_empty() {
        true => "{}".as_bytes(),
        false => "}".as_bytes(),
    });
    Ok(())
}

impl Type<Postgres> for Json {
    fn type_info() -> PgTypeInfo {
        <serde_json::Value as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Json {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(1);
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Json {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Json(jsonb_text(&value)?.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn objects_are_shown_with_all_of_their_keys() {
        for (stored, shown) in [
            ("{}", r#"{"a":null,"b":null}"#),
            (r#"{"b": "x\"y"}"#, r#"{"a":null,"b":"x\"y"}"#),
            (
                r#"{"b": [1, {"c": 2}], "a": null}"#,
                r#"{"a":null,"b":[1, {"c": 2}]}"#,
            ),
            // `z` is a key that the object no longer has.
            (r#"{"a": 1, "z": 2}"#, r#"{"a":1,"b":null}"#),
        ] {
            let mut out = Vec::new();
            whole(stored, &["a", "b"], &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
        let mut out = Vec::new();
        whole("{}", &[], &mut out).unwrap();
        assert_eq!(out, b"{}");
    }
}
