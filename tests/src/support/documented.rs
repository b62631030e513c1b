//! The possible answers of an operation according to the API document. Every answer in a test is compared with them.

use axum::http::Method;
use serde_json::Value;
use std::sync::LazyLock;

struct Operation {
    method: Method,
    /// The segments of the path; `None` for a parameter.
    path: Vec<Option<String>>,
    statuses: Vec<u16>,
    /// Whether the operation has the answer `default`, which stands for the answers that any request may get.
    others: bool,
    /// The statuses of answers with an object, and its schemas.
    objects: Vec<(u16, Value)>,
}

/// The statuses that `default` stands for.
const OTHERS: [u16; 11] = [400, 401, 403, 408, 413, 415, 422, 429, 431, 500, 503];

/// The whole document, including hand-written routes; parsed once per process.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    document.expect("JSON")
});

/// The whole document, including hand-written routes.
pub fn document() -> &'static Value {
    &DOCUMENT
}

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| operations(&DOCUMENT));

/// Describes an answer that the document does not contain; `None` if it does. Paths and methods without an operation
/// are ignored, since the document says nothing about them.
pub fn untold(method: &Method, target: &str, status: u16) -> Option<String> {
    let operation = operation(method, target)?;
    let told =
        operation.statuses.contains(&status) || (operation.others && OTHERS.contains(&status));
    (!told).then(|| {
        format!(
            "{method} {target} answers {status}, documented: {:?}",
            operation.statuses
        )
    })
}

/// Describes a property that the document requires of this answer and that is missing.
pub fn lacking(method: &Method, target: &str, status: u16, answer: &Value) -> Option<String> {
    let mut objects = operation(method, target)?.objects.iter();
    let (_, schema) = objects.find(|(of, _)| *of == status)?;
    let place = missing(schema, answer, "")?;
    Some(format!("{method} {target} answers without {place}"))
}

fn operation(method: &Method, target: &str) -> Option<&'static Operation> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    // As in the router, `/users/me` takes precedence over `/users/{id}`: first the path is matched, then the method.
    let words = |one: &Operation| one.path.iter().flatten().count();
    let fits = || {
        OPERATIONS
            .iter()
            .filter(|one| matches(&one.path, &segments))
    };
    let most = fits().map(words).max()?;
    fits().find(|one| words(one) == most && one.method == *method)
}

/// The place of a required property that is missing, at any depth.
fn missing(schema: &Value, value: &Value, place: &str) -> Option<String> {
    let schema = resolved(&DOCUMENT, schema);
    let several = |key: &str| schema[key].as_array().into_iter().flatten();
    if let Some(found) = several("allOf").find_map(|part| missing(part, value, place)) {
        return Some(found);
    }
    // One of the alternatives has to match.
    let kinds = several("oneOf").chain(several("anyOf"));
    let mut faults = kinds
        .filter(|kind| kind["type"] != "null")
        .map(|kind| missing(kind, value, place));
    if let Some(first) = faults.next()
        && first.is_some()
        && faults.all(|fault| fault.is_some())
    {
        return first;
    }
    match value {
        Value::Object(object) => {
            let mut required = several("required").filter_map(Value::as_str);
            if let Some(name) = required.find(|name| !object.contains_key(*name)) {
                return Some(format!("{place}/{name}"));
            }
            object.iter().find_map(|(name, inner)| {
                let known = schema["properties"].get(name);
                let known = known.unwrap_or(&schema["additionalProperties"]);
                missing(known, inner, &format!("{place}/{name}"))
            })
        }
        Value::Array(items) => (items.iter().enumerate())
            .find_map(|(at, item)| missing(&schema["items"], item, &format!("{place}/{at}"))),
        _ => None,
    }
}

/// An error code in an answer that the document does not list.
pub fn unlisted(text: &str) -> Option<String> {
    let answer: Value = match text.contains("\"/problems/") {
        true => serde_json::from_str(text).ok()?,
        false => return None,
    };
    let mut codes = answer["errors"]
        .as_array()?
        .iter()
        .filter_map(|one| one["code"].as_str());
    let listed = |code: &&str| kernel::problems::codes().any(|(known, _)| known == code);
    codes.find(|code| !listed(code)).map(str::to_owned)
}

/// The schema itself, or the schema that it refers to.
pub fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(target) => document
            .pointer(target.trim_start_matches('#'))
            .unwrap_or(&Value::Null),
        None => schema,
    }
}

/// The alternatives of a schema, one of which has to match.
pub fn alternatives<'d>(document: &'d Value, schema: &'d Value) -> Vec<&'d Value> {
    let schema = resolved(document, schema);
    match schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        Some(several) => several
            .iter()
            .flat_map(|one| alternatives(document, one))
            .collect(),
        None => vec![schema],
    }
}

/// The JSON types that a schema allows.
pub fn types<'d>(document: &'d Value, schema: &'d Value) -> Vec<&'d str> {
    let types = |one: &'d Value| match &one["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    alternatives(document, schema)
        .into_iter()
        .flat_map(types)
        .collect()
}

fn matches(pattern: &[Option<String>], segments: &[&str]) -> bool {
    pattern.len() == segments.len()
        && pattern
            .iter()
            .zip(segments)
            .all(|(pattern, segment)| pattern.as_ref().is_none_or(|word| word == segment))
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let path: Vec<Option<String>> = path
            .split('/')
            .map(|segment| (!segment.starts_with('{')).then(|| segment.to_owned()))
            .collect();
        let methods = item.as_object().expect("operations");
        methods.iter().filter_map(move |(method, said)| {
            let answers = said["responses"].as_object()?;
            let statuses = answers.keys();
            let objects = answers.iter().filter_map(|(status, answer)| {
                let content = &resolved(document, answer)["content"]["application/json"];
                Some((status.parse().ok()?, content.get("schema")?.clone()))
            });
            Some(Operation {
                objects: objects.collect(),
                method: Method::from_bytes(method.to_uppercase().as_bytes()).ok()?,
                path: path.clone(),
                others: said["responses"].get("default").is_some(),
                statuses: statuses.filter_map(|status| status.parse().ok()).collect(),
            })
        })
    });
    all.collect()
}
