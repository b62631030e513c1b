//! The JSON Schema of a spec type: formats, bounds and patterns that the database checks too.
//!
//! Knows nothing of single entities.

use crate::model::{Field, Literal, Model, Ty};
use crate::names::pascal;
use serde_json::{Map, Value, json};

/// No credentials, no blanks, and no characters that could end an HTML attribute.
const URL: &str = r#"^https?://[^\s/?#@<>"\\^`{|}]+([/?#][^\s<>"\\^`{|}]*)?$"#;
const TIMEZONE: &str = "^(UTC|[A-Z][A-Za-z_-]*(/[A-Z][A-Za-z_-]*){1,2}|Etc/GMT[+-]?[0-9]{1,2})$";
const EMAIL: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+\
    [A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";

/// The schema of a value other than null; see [`nullable`]. Enums are named after their owner: see [`choice`].
pub fn schema(model: &Model, ty: &Ty) -> Value {
    match format(ty) {
        Some(name) => reference(name),
        None => spelled(model, ty),
    }
}

/// The schema of a type that is referred to by a name, written out.
pub fn inline(model: &Model, ty: &Ty) -> Option<Value> {
    format(ty).map(|_| spelled(model, ty))
}

/// Names of [`formats`].
pub const FORMATS: [&str; 9] = [
    "WebAddress",
    "EmailAddress",
    "PhoneNumber",
    "Slug",
    "CurrencyCode",
    "CountryCode",
    "LocaleTag",
    "TimeZoneName",
    SECURE_ADDRESS,
];

/// The schemas for the names of [`format`], and the one of links inside objects.
pub fn formats(model: &Model) -> Vec<(String, Value)> {
    let all = [
        (Ty::Url, "Address of a web page.", "https://example.org/"),
        (Ty::Email, "E-mail address.", "ana@example.org"),
        (
            Ty::Phone,
            "Telephone number with country code (E.164).",
            "+41446681800",
        ),
        (
            Ty::Slug { from: None },
            "Readable part of a web address.",
            "long-night-of-museums",
        ),
        (Ty::Currency, "Currency code (ISO 4217).", "CHF"),
        (Ty::Country, "Country code (ISO 3166-1).", "CH"),
        (Ty::Locale, "Language tag (BCP 47).", "de-CH"),
        (
            Ty::Timezone,
            "Time zone name of the IANA database.",
            "Europe/Zurich",
        ),
    ];
    let told = |schema, description: &str, example: &str| {
        with(
            schema,
            json!({"description": description, "example": example}),
        )
    };
    let mut formats: Vec<(String, Value)> = (all.into_iter())
        .filter_map(|(ty, description, example)| {
            let schema = told(spelled(model, &ty), description, example);
            Some((format(&ty)?.to_owned(), schema))
        })
        .collect();
    let secure = with(
        spelled(model, &Ty::Url),
        json!({"pattern": URL.replacen("https?", "https", 1)}),
    );
    let secure = told(
        secure,
        "Address of a web page, https only.",
        "https://example.org/",
    );
    formats.push((SECURE_ADDRESS.to_owned(), secure));
    debug_assert!(formats.iter().map(|(name, _)| name).eq(FORMATS));
    formats
}

const SECURE_ADDRESS: &str = "SecureWebAddress";

/// An enum, to be given a name of its own.
pub fn choice<S: AsRef<str>>(words: &[S]) -> Value {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    json!({"type": "string", "enum": words})
}

/// The schema of a type inside an object declared under `objects:`, where links must be https because pages show them.
pub fn in_object(model: &Model, ty: &Ty) -> Value {
    match ty {
        Ty::Url => reference(SECURE_ADDRESS),
        _ => schema(model, ty),
    }
}

pub fn schema_of_id() -> Value {
    json!({"type": "string", "format": "uuid"})
}

pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The schema with null as a further value.
pub fn nullable(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else {
        return schema;
    };
    let Some(ty) = schema.get("type").cloned() else {
        return json!({"anyOf": [schema, {"type": "null"}]});
    };
    schema.insert("type".to_owned(), json!([ty, "null"]));
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    Value::Object(schema)
}

/// Adds keys to a schema object, in order.
pub fn with(schema: Value, more: Value) -> Value {
    match (schema, more) {
        (Value::Object(mut schema), Value::Object(more)) => {
            schema.extend(more);
            Value::Object(schema)
        }
        (schema, _) => schema,
    }
}

/// The default as the document states it; `None` for `now()`, which isn't a constant.
pub fn default(field: &Field) -> Option<Value> {
    match field.default.as_ref()? {
        Literal::Null | Literal::Now | Literal::Today => None,
        Literal::Bool(value) => Some(json!(value)),
        Literal::Int(value) => Some(json!(value)),
        Literal::Decimal(value) => value.parse::<f64>().ok().map(|value| json!(value)),
        Literal::Text(value) => Some(json!(value)),
    }
}

/// The schema of an object; `closed` forbids further properties.
pub fn object(
    description: &str,
    required: Vec<String>,
    properties: Map<String, Value>,
    closed: bool,
) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    if !description.is_empty() {
        schema.insert("description".to_owned(), json!(description));
    }
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    if closed {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    Value::Object(schema)
}

/// The name under which the document has the schema of a type of text, for types that several entities use.
fn format(ty: &Ty) -> Option<&'static str> {
    match ty {
        Ty::Url => Some("WebAddress"),
        Ty::Email => Some("EmailAddress"),
        Ty::Phone => Some("PhoneNumber"),
        Ty::Slug { .. } => Some("Slug"),
        Ty::Currency => Some("CurrencyCode"),
        Ty::Country => Some("CountryCode"),
        Ty::Locale => Some("LocaleTag"),
        Ty::Timezone => Some("TimeZoneName"),
        _ => None,
    }
}

fn spelled(model: &Model, ty: &Ty) -> Value {
    match ty {
        Ty::Text { min, max } => match min {
            0 => json!({"type": "string", "maxLength": max}),
            _ => json!({"type": "string", "minLength": min, "maxLength": max}),
        },
        Ty::Int { min, max } => integer(
            "int32",
            min.unwrap_or(i32::MIN.into()),
            max.unwrap_or(i32::MAX.into()),
        ),
        Ty::Bigint { min, max } | Ty::Money { min, max } => match (min, max) {
            (None, None) => json!({"type": "integer", "format": "int64"}),
            (Some(min), None) => json!({"type": "integer", "format": "int64", "minimum": min}),
            (None, Some(max)) => json!({"type": "integer", "format": "int64", "maximum": max}),
            (Some(min), Some(max)) => integer("int64", *min, *max),
        },
        Ty::Decimal { .. } => json!({"type": "number", "format": "double"}),
        Ty::Bool => json!({"type": "boolean"}),
        Ty::Time => json!({"type": "string", "format": "date-time"}),
        Ty::Date => json!({"type": "string", "format": "date"}),
        Ty::Uuid => schema_of_id(),
        Ty::Json => json!({"type": "object"}),
        Ty::Url => json!({"type": "string", "format": "uri", "maxLength": 2000, "pattern": URL}),
        Ty::Email => {
            json!({"type": "string", "format": "email", "maxLength": 254, "pattern": EMAIL})
        }
        Ty::Phone => json!({"type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$"}),
        // A body may contain a user name instead of an address, so there is no pattern.
        Ty::Social { .. } => json!({"type": "string", "maxLength": 300}),
        Ty::LocalTime => {
            json!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"})
        }
        Ty::Code { min, max } => {
            json!({"type": "string", "minLength": min, "maxLength": max})
        }
        // In bodies with or without `@`, which does not count, and in any case.
        Ty::Handle { min, max } => {
            let min = min.max(&1);
            let pattern = format!("^@?[A-Za-z][A-Za-z0-9_]{{{},{}}}$", min - 1, max - 1);
            json!({"type": "string", "minLength": min, "maxLength": max + 1, "pattern": pattern})
        }
        Ty::Slug { .. } => {
            json!({"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"})
        }
        Ty::Currency => json!({"type": "string", "pattern": "^[A-Z]{3}$"}),
        Ty::Country => json!({"type": "string", "pattern": "^[A-Z]{2}$"}),
        Ty::Locale => {
            json!({"type": "string", "pattern": "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*$"})
        }
        Ty::Timezone => json!({"type": "string", "maxLength": 64, "pattern": TIMEZONE}),
        Ty::Enum { values } | Ty::States { values } => json!({"type": "string", "enum": values}),
        Ty::Point => reference("Point"),
        Ty::Object { object } => reference(&pascal(&model.objects[*object].name)),
        Ty::TextList { max, count } => {
            json!({"type": "array", "maxItems": count, "items": {"type": "string", "minLength": 1, "maxLength": max}})
        }
    }
}

fn integer(format: &str, min: i64, max: i64) -> Value {
    json!({"type": "integer", "format": format, "minimum": min, "maximum": max})
}
