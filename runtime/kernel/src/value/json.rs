//! JSON that is stored and passed on without being parsed.

use serde::{Serialize, de::DeserializeOwned};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

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
