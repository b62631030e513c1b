//! The possible answers of an operation according to the API document. Every answer in a test is compared with them.

use axum::http::Method;
use serde_json::Value;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::UNIX_EPOCH,
};

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

/// The whole document, including hand-written routes. Each test is a process of its own, and composing the document takes
/// a quarter of the CPU time of a short one, so the first process writes it down for the others.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let file = written_by_this_program().expect("the test's own file");
    let written = fs::read(&file).ok();
    if let Some(document) = written.and_then(|text| serde_json::from_slice(&text).ok()) {
        return document;
    }
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    let document = document.expect("JSON");
    // Others may be reading: they see the whole file or none.
    let own = file.with_extension(std::process::id().to_string());
    fs::write(&own, document.to_string()).expect("written");
    fs::rename(&own, &file).expect("renamed");
    remove_others(&file);
    document
});

/// The file of the document that this build of the program has written, or will.
fn written_by_this_program() -> io::Result<PathBuf> {
    let program = fs::metadata(std::env::current_exe()?)?;
    let built = program.modified()?.duration_since(UNIX_EPOCH);
    let built = built.map_err(io::Error::other)?.as_nanos();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("document");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{built}-{}.json", program.len())))
}

/// Removes the files of former builds. Other processes of this one may be writing theirs.
fn remove_others(file: &Path) {
    let files = file.parent().and_then(|folder| fs::read_dir(folder).ok());
    for other in files.into_iter().flatten().flatten() {
        if other.path().file_stem() != file.file_stem() {
            let _ = fs::remove_file(other.path());
        }
    }
}

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

/// Describes a property of this answer that the document does not name.
pub fn unnamed(method: &Method, target: &str, status: u16, answer: &Value) -> Option<String> {
    let mut objects = operation(method, target)?.objects.iter();
    let (_, schema) = objects.find(|(of, _)| *of == status)?;
    let place = surplus(&DOCUMENT, schema, answer, "")?;
    Some(format!(
        "{method} {target} answers with {place}, which the document does not name"
    ))
}

/// The place of a property that the schema does not name, at any depth. Objects without named properties may have any.
pub fn surplus(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let mut parts = Vec::new();
    together(document, schema, &mut parts);
    let kinds = parts.iter().flat_map(|part| {
        let kinds = ["oneOf", "anyOf"].map(|key| part[key].as_array());
        kinds.into_iter().flatten().flatten()
    });
    let kinds: Vec<&Value> = kinds.filter(|kind| kind["type"] != "null").collect();
    // One of the alternatives has to name everything.
    if !kinds.is_empty() {
        let mut faults = kinds
            .iter()
            .map(|kind| surplus(document, kind, value, place));
        let first = faults.next().flatten()?;
        return faults.all(|fault| fault.is_some()).then_some(first);
    }
    match value {
        Value::Object(object) => {
            let others = parts
                .iter()
                .find_map(|part| part.get("additionalProperties"));
            let are_named = parts.iter().any(|part| part.get("properties").is_some());
            object.iter().find_map(|(name, inner)| {
                let place = format!("{place}/{name}");
                let known = parts.iter().find_map(|part| part["properties"].get(name));
                match known.or(others) {
                    Some(Value::Bool(true)) => None,
                    Some(Value::Bool(false)) => Some(place),
                    Some(known) => surplus(document, known, inner, &place),
                    None => are_named.then_some(place),
                }
            })
        }
        Value::Array(items) => {
            let of = parts.iter().find_map(|part| part.get("items"))?;
            let items = items.iter().enumerate();
            items
                .map(|(at, item)| surplus(document, of, item, &format!("{place}/{at}")))
                .find_map(|fault| fault)
        }
        _ => None,
    }
}

/// The schema and all that hold together with it.
fn together<'d>(document: &'d Value, schema: &'d Value, parts: &mut Vec<&'d Value>) {
    let schema = resolved(document, schema);
    parts.push(schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        together(document, part, parts);
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

#[test]
fn properties_that_no_part_of_a_schema_names_are_noticed() {
    use serde_json::json;
    let document = json!({"a": {"type": "object", "properties": {"id": {"type": "string"}}}});
    let at = |schema: Value, value: Value| surplus(&document, &schema, &value, "");
    let more = json!({"allOf": [{"$ref": "#/a"}, {"properties": {"list": {"type": "array", "items": {"$ref": "#/a"}}}}]});
    assert_eq!(
        at(more.clone(), json!({"id": "1", "list": [{"id": "2"}]})),
        None
    );
    assert_eq!(
        at(more.clone(), json!({"id": "1", "lists": []})).unwrap(),
        "/lists"
    );
    assert_eq!(
        at(more, json!({"list": [{"id": "2"}, {"di": "3"}]})).unwrap(),
        "/list/1/di"
    );
    let either = json!({"oneOf": [{"type": "null"}, {"$ref": "#/a"}, {"properties": {"b": {}}}]});
    assert_eq!(at(either.clone(), json!({"b": {"any": 1}})), None);
    assert_eq!(at(either.clone(), json!(null)), None);
    assert_eq!(at(either, json!({"id": "1", "b": 1})).unwrap(), "/b");
    let counts = json!({"type": "object", "additionalProperties": {"$ref": "#/a"}});
    assert_eq!(at(counts.clone(), json!({"x": {"id": "1"}})), None);
    assert_eq!(at(counts, json!({"x": {"y": 1}})).unwrap(), "/x/y");
}
