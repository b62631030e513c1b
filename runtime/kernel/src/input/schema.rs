//! The schema in the API document of a body of a hand-written route, made from the same declarations that validate it.

use super::{Check, Format, LINE_MAX};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

/// One field, as the derive writes it down.
pub struct Described {
    pub name: &'static str,
    pub doc: &'static str,
    pub required: bool,
    pub nullable: bool,
    pub checks: &'static [Check],
    /// [`FromJson::schema`](super::FromJson::schema) of its type.
    pub value: fn() -> Value,
}

/// `example` is a JSON text.
///
/// # Panics
/// If it is not JSON: a mistake of the program, which shows as soon as the document is requested.
pub fn body(doc: &str, example: Option<&str>, fields: &[Described]) -> RefOr<Schema> {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|f| f.required)
        .map(|f| f.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !doc.is_empty() {
        schema["description"] = doc.into();
    }
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if let Some(example) = example {
        schema["example"] = serde_json::from_str(example).expect("an example is JSON");
    }
    serde_json::from_value(schema).expect("a schema")
}

impl Described {
    fn schema(&self) -> Value {
        let mut schema = (self.value)();
        for check in self.checks {
            add(&mut schema, *check);
        }
        if self.checks.contains(&Check::Format(Format::Handle)) {
            handle(&mut schema);
        }
        // Texts with a format or pattern need no `x-text`: the document already says what they look like, or they are
        // one line.
        if let Some(kind) = self.checks.iter().find_map(lines)
            && ["format", "pattern"]
                .iter()
                .all(|key| schema.get(*key).is_none())
        {
            schema["x-text"] = kind.into();
        }
        if !self.doc.is_empty() {
            schema["description"] = self.doc.into();
        }
        if self.nullable
            && let Some(kind) = schema["type"].as_str()
        {
            schema["type"] = json!([kind, "null"]);
            if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
        }
        schema
    }
}

fn add(schema: &mut Value, check: Check) {
    match check {
        Check::Length(min, max) | Check::Line(min, max) | Check::Opaque(min, max) => {
            schema["minLength"] = min.into();
            schema["maxLength"] = max.into();
        }
        Check::Range(min, max) => {
            for (key, bound) in [("minimum", min), ("maximum", max)] {
                if let Some(bound) = bound {
                    schema[key] = bound.into();
                }
            }
        }
        Check::List(characters, items) => {
            schema["maxItems"] = items.into();
            schema["items"]["maxLength"] = characters.into();
        }
        Check::Format(format) => {
            let (key, value) = told(format);
            schema[key] = value.into();
        }
        Check::Places(_) => {}
    }
}

/// A handle may have a sign in front of it, which does not count: the pattern has the length of the name, and the text may
/// be one longer.
fn handle(schema: &mut Value) {
    let (least, most) = (&schema["minLength"], &schema["maxLength"]);
    let (Some(least), Some(most)) = (least.as_u64(), most.as_u64()) else {
        return;
    };
    schema["pattern"] = format!("^@?[A-Za-z][A-Za-z0-9_]{{{},{}}}$", least - 1, most - 1).into();
    schema["maxLength"] = (most + 1).into();
}

/// Texts that are not single lines: with `paragraphs`, or `opaque` tokens that only their issuer reads.
fn lines(check: &Check) -> Option<&'static str> {
    match check {
        Check::Length(_, max) if *max > LINE_MAX => Some("paragraphs"),
        Check::Opaque(..) => Some("opaque"),
        _ => None,
    }
}

fn told(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::Email => ("format", "email"),
        Format::Url | Format::Https => ("format", "uri"),
        Format::Phone => ("pattern", r"^\+[1-9][0-9]{6,14}$"),
        Format::Slug => ("pattern", "^[a-z0-9]+(-[a-z0-9]+)*$"),
        Format::Currency => ("pattern", "^[A-Z]{3}$"),
        Format::Country => ("pattern", "^[A-Z]{2}$"),
        // Only a list would say it better.
        Format::Locale => ("format", "bcp47"),
        Format::Timezone => ("format", "iana-time-zone"),
        Format::LocalTime => ("pattern", "^([01][0-9]|2[0-3]):[0-5][0-9]$"),
        Format::Code => ("pattern", r"^\S+$"),
        // With or without `@`, in any case.
        Format::Handle => ("pattern", "^@?[A-Za-z][A-Za-z0-9_]*$"),
        Format::Social(_) => ("format", "uri"),
    }
}
