//! What a type of the spec is in JSON Schema: formats, bounds and patterns that the database checks too.
//!
//! Knows no entity.

use crate::model::{Field, Literal, Model, Ty};
use crate::names::pascal;
use serde_json::{Map, Value, json};

/// No credentials, no blanks, no characters that break out of an attribute.
const URL: &str = r#"^https?://[^\s/?#@<>"\\^`{|}]+([/?#][^\s<>"\\^`{|}]*)?$"#;
const TIMEZONE: &str = "^(UTC|[A-Z][A-Za-z_-]*(/[A-Z][A-Za-z_-]*){1,2}|Etc/GMT[+-]?[0-9]{1,2})$";
const EMAIL: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+\
    [A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";

/// The schema of a value that is there; see [`nullable`].
pub fn schema(model: &Model, ty: &Ty) -> Value {
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
        Ty::Decimal { .. } => json!({"type": "number"}),
        Ty::Bool => json!({"type": "boolean"}),
        Ty::Time => json!({"type": "string", "format": "date-time"}),
        Ty::Date => json!({"type": "string", "format": "date"}),
        Ty::Uuid => json!({"type": "string", "format": "uuid"}),
        Ty::Json => json!({"type": "object"}),
        Ty::Url => json!({"type": "string", "format": "uri", "maxLength": 2000, "pattern": URL}),
        Ty::Email => {
            json!({"type": "string", "format": "email", "maxLength": 254, "pattern": EMAIL})
        }
        Ty::Phone => json!({"type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$"}),
        Ty::Slug { .. } => {
            json!({"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"})
        }
        Ty::Currency => json!({"type": "string", "pattern": "^[A-Z]{3}$"}),
        Ty::Country => json!({"type": "string", "pattern": "^[A-Z]{2}$"}),
        Ty::Locale => {
            json!({"type": "string", "pattern": "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"})
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

/// The same inside an `objects:` object, where a link is something to click on: https only.
pub fn in_object(model: &Model, ty: &Ty) -> Value {
    match ty {
        Ty::Url => with(
            schema(model, ty),
            json!({"pattern": URL.replacen("https?", "https", 1)}),
        ),
        _ => schema(model, ty),
    }
}

fn integer(format: &str, min: i64, max: i64) -> Value {
    json!({"type": "integer", "format": format, "minimum": min, "maximum": max})
}

pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The same, or null.
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

/// Default as the document states it; `now()` has no constant to state.
pub fn default(field: &Field) -> Option<Value> {
    match field.default.as_ref()? {
        Literal::Null | Literal::Now => None,
        Literal::Bool(value) => Some(json!(value)),
        Literal::Int(value) => Some(json!(value)),
        Literal::Decimal(value) => value.parse::<f64>().ok().map(|value| json!(value)),
        Literal::Text(value) => Some(json!(value)),
    }
}

/// A closed or open object schema.
pub fn object(
    description: &str,
    required: Vec<String>,
    properties: Map<String, Value>,
    closed: bool,
) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("description".to_owned(), json!(description));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    if closed {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    Value::Object(schema)
}
