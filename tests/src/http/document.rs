//! The document as served, including hand-written routes: complete, valid by its own schemas, and correct about
//! errors.

mod enums;
mod examples;
mod named;
mod related;
mod schemas;

use super::once;
use super::operations::{self, documented};
use crate::support::{TestServer, resources};
use schemas::{collect, each, list, references, resolve};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

async fn served() -> Value {
    let server = TestServer::start().await;
    server.client.get("/openapi.json").await.expect(200).json
}

#[tokio::test]
async fn abuse_65_the_document_is_whole() {
    let document = served().await;
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    let mut faults = Vec::new();
    references(&document, &document, "#", &mut faults);
    let tags: BTreeSet<&str> = list(&document["tags"])
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let mut ids = BTreeSet::new();
    for (title, operation) in documented(&document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        if id.is_empty() || !ids.insert(id) {
            faults.push(format!("{title}: its id {id:?} is another's"));
        }
        for words in ["summary", "description"] {
            if operation[words].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{title}: no {words}"));
            }
        }
        let own: Vec<&str> = list(&operation["tags"]).filter_map(Value::as_str).collect();
        if own.is_empty() || !own.iter().all(|tag| tags.contains(tag)) {
            faults.push(format!("{title}: tags {own:?}"));
        }
        faults.extend(parameters(&document, &title, operation));
        faults.extend(bodies(&document, &title, operation));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every schema with an id has a property `object` that names its kind, and every union has a discriminator.
#[tokio::test]
async fn objects_say_what_they_are() {
    let document = served().await;
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let (mut faults, mut unions, mut names) = (Vec::new(), 0, BTreeSet::new());
    for (name, schema) in schemas {
        let properties = &schema["properties"];
        if let (Some(_), Some(said)) = (properties.get("id"), properties.get("object")) {
            let what = said
                .get("const")
                .or_else(|| said["enum"].get(0))
                .and_then(Value::as_str);
            if !what.is_some_and(|what| names.insert(what)) || said["type"] != "string" {
                faults.push(format!("{name}: {said}"));
            }
        } else if properties.get("id").is_some() && name != "StillArchived" {
            faults.push(format!("{name} does not say what it is"));
        }
        let required = list(&schema["required"]).any(|one| one == "object");
        if required && name != "ProblemItem" {
            faults.push(format!("{name}: `object` is required"));
        }
        let Some(kinds) = schema["oneOf"].as_array() else {
            continue;
        };
        unions += 1;
        let mapping = schema["discriminator"]["mapping"]
            .as_object()
            .expect("a mapping");
        let told: Vec<Value> = mapping
            .iter()
            .map(|(what, target)| {
                let place = target.as_str().unwrap_or_default().trim_start_matches('#');
                let said = document
                    .pointer(place)
                    .map(|one| &one["properties"]["object"]["const"]);
                json!([said == Some(&json!(what)), {"$ref": target}])
            })
            .collect();
        let wanted: Vec<Value> = kinds.iter().map(|kind| json!([true, kind])).collect();
        if told != wanted {
            faults.push(format!("{name}: {told:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(
        unions > 5 && names.len() > 40,
        "{unions} unions, {} objects",
        names.len()
    );
}

/// Generators choose the type of a number by its format; without one each has its own idea.
#[tokio::test]
async fn every_number_has_a_format() {
    let document = served().await;
    let (mut faults, mut numbers) = (Vec::new(), 0);
    formats(&document, "#", &mut |place, format| {
        numbers += 1;
        let known = ["int32", "int64", "float", "double"];
        if !format.is_some_and(|format| known.contains(&format)) {
            faults.push(format!("{place}: {format:?}"));
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(numbers > 300, "only {numbers} numbers");
}

/// Calls `with` for the schema of each number.
fn formats(at: &Value, place: &str, with: &mut impl FnMut(&str, Option<&str>)) {
    let mut types = list(&at["type"]).chain([&at["type"]]);
    if types.any(|one| one == "integer" || one == "number") {
        with(place, at["format"].as_str());
    }
    each(at, place, &mut |place, inner| formats(inner, place, with));
}

/// Linters and clients follow every reference, so schemas must not be recursive: an expanded object has no further
/// expansions.
#[tokio::test]
async fn nothing_recurses() {
    let document = served().await;
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for (name, schema) in schemas {
        let mut needed = Map::new();
        collect(&document, schema, &mut needed);
        assert!(!needed.contains_key(name), "{name} leads to itself");
        assert!(needed.len() < 80, "{name} needs {} others", needed.len());
    }
}

/// Types that generated clients import or use without a path, so that a schema of the same name hides them: those of
/// Java, Kotlin, Swift, Rust, Python and TypeScript that such clients consist of.
const TYPES_OF_LANGUAGES: &str = "Any Array Boolean Box Byte Character Class Client Configuration Data Date Dict Double \
    Enum Error Exception File Float Function HashMap Integer Iterable List Literal Long Map Number Object Option Optional \
    Promise Record Request Response Result Set String Type Union Vec";

/// Client generators change names: `Event.city_id` becomes `EventCityId`, `NewPassword(…)` constructs a `Password`,
/// and file names have no capitals. Names must stay distinct.
#[tokio::test]
async fn names_stay_apart_in_every_language() {
    let document = served().await;
    let plain = |name: &str| -> String {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase()
    };
    let mut faults = Vec::new();
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let mut seen = BTreeSet::new();
    for name in schemas.keys() {
        if !seen.insert(plain(name)) {
            faults.push(format!("schema {name}"));
        }
        if TYPES_OF_LANGUAGES.split(' ').any(|one| one == name) {
            faults.push(format!("schema {name} is called like a type of a language"));
        }
        for before in ["New", "Nullable"] {
            if schemas
                .keys()
                .any(|other| name.strip_prefix(before) == Some(other.as_str()))
            {
                faults.push(format!("schema {name} is what Go makes of another"));
            }
        }
    }
    // A type is made of each property that has none of its own: `Quote.fee_paid_at` and a schema `QuoteFee` with `paid_at` make one.
    for (name, schema) in schemas {
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (property, told) in properties {
            let is_inline = told.get("$ref").is_none() && told.get("anyOf").is_none();
            let is_constant = told.get("const").is_some() || property == "object";
            if is_inline && !is_constant && !seen.insert(plain(&format!("{name}{property}"))) {
                faults.push(format!("{name}.{property} is another type's name"));
            }
        }
    }
    for (title, operation) in documented(&document) {
        // What generators call the types of an operation.
        let id = plain(operation["operationId"].as_str().expect("an id"));
        for end in [
            "body", "data", "error", "params", "request", "response", "result",
        ] {
            if seen.contains(&format!("{id}{end}")) {
                faults.push(format!("{title}: its {end} is called like a schema"));
            }
        }
        let mut seen = BTreeSet::new();
        for parameter in list(&operation["parameters"]).map(|one| resolve(&document, one)) {
            if !seen.insert(plain(parameter["name"].as_str().expect("a name"))) {
                faults.push(format!("{title}: {}", parameter["name"]));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The author of a hook has to document what it refuses, since the spec does not contain it (`REFUSED` in `hooks/document.rs`).
#[tokio::test]
async fn what_hooks_refuse_is_told() {
    let document = served().await;
    let mut hooks = 0;
    for resource in generated::hooks::RESOURCES {
        for hook in resource.hooks {
            let one = format!("/{}/{{id}}", resource.path);
            let (method, path) = match *hook {
                "create" => ("post", format!("/{}", resource.path)),
                "update" => ("patch", one),
                "archive" => ("delete", one),
                verb => ("post", format!("{one}/{}", verb.replace('_', "-"))),
            };
            let said = document["paths"][&path][method]["description"].as_str();
            let is_told = said.is_some_and(|said| said.contains("**Also**: "));
            assert!(is_told, "{method} {path}: {said:?}");
            hooks += 1;
        }
    }
    assert!(hooks > 0);
}

/// In answers, properties are null instead of missing, except in generated objects, where hidden fields are missing,
/// and in schemas that are also used in bodies.
#[tokio::test]
async fn what_is_only_answered_has_all_of_its_properties() {
    let document = served().await;
    let generated: Value =
        serde_json::from_str(include_str!("../../../generated/openapi.json")).expect("JSON");
    let mut sent = Map::new();
    for (_, operation) in documented(&document) {
        collect(&document, &operation["requestBody"], &mut sent);
        collect(&document, &operation["parameters"], &mut sent);
    }
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        let is_generated = generated["components"]["schemas"].get(name).is_some();
        if is_generated || sent.contains_key(name) {
            continue;
        }
        seen += 1;
        optional(schema, name, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 80, "only {seen} schemas");
}

fn optional(schema: &Value, place: &str, faults: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        // Not required, so that answers stored by clients stay valid.
        let is_kind = name == "object" && property["type"] == "string";
        let mut expands = resources().values().flat_map(|resource| resource.expands);
        // Shown if it is asked for.
        let is_expanded = expands.any(|expand| expand.name == name);
        if !is_kind && !is_expanded && !list(&schema["required"]).any(|one| one == name) {
            faults.push(format!("{place}: {name} may be missing"));
        }
    }
    each(schema, place, &mut |place, inner| {
        optional(inner, place, faults)
    });
}

/// The snapshot shows what is not in `generated/openapi.json`: changes of hand-written routes are visible in its diff.
#[tokio::test]
async fn abuse_65_hand_written_routes_change_in_sight() {
    let mut document = served().await;
    let generated: Value =
        serde_json::from_str(include_str!("../../../generated/openapi.json")).expect("JSON");
    let own_profile = |path: &str| {
        let children = path
            .strip_prefix("/me")
            .map(|rest| format!("/users/{{id}}{rest}"));
        children.is_some_and(|path| generated["paths"].get(path).is_some())
    };
    let is_new = |part: &str, name: &str, at: &Value| {
        let before = generated.pointer(part).and_then(|all| all.get(name));
        if part != "/paths" {
            return before != Some(at);
        }
        // Both documents may contain the same path.
        let is_own = own_profile(name) && !name.contains("sessions");
        before.map(without_shared) != Some(without_shared(at)) && !is_own
    };
    for part in ["/paths", "/components/schemas"] {
        let all = document.pointer_mut(part).and_then(Value::as_object_mut);
        all.expect("named things")
            .retain(|name, at| is_new(part, name, at));
    }
    let used: Vec<&Value> = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(|paths| paths.values())
        .flat_map(|path| path.as_object().into_iter().flat_map(|path| path.values()))
        .flat_map(|operation| operation["tags"].as_array().into_iter().flatten())
        .collect();
    let tags = document["tags"].as_array().expect("tags").iter();
    let beside = json!({
        "paths": document["paths"],
        "schemas": document["components"]["schemas"],
        "tags": tags.filter(|tag| used.contains(&&tag["name"])).collect::<Vec<_>>(),
    });
    insta::assert_json_snapshot!(beside);
}

/// The operations of a path without parameters and answers: the whole document has those in place to which nothing else
/// refers, also of generated operations.
fn without_shared(path: &Value) -> Value {
    let mut path = path.clone();
    let operations = path.as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in operations.filter_map(Value::as_object_mut) {
        operation.retain(|key, _| !["parameters", "responses"].contains(&key.as_str()));
    }
    path
}

/// The errors that an operation must document follow from its parameters and body.
#[tokio::test]
async fn abuse_65_every_operation_names_its_errors() {
    let document = served().await;
    let mut faults = Vec::new();
    for (title, operation) in documented(&document) {
        // These answer with HTML, and are outside of the middleware.
        if [
            "GET /livez",
            "GET /openapi.json",
            "GET /problems",
            "GET /problems/{slug}",
        ]
        .contains(&title.as_str())
        {
            continue;
        }
        let (method, path) = title.split_once(' ').expect("a title");
        let body = operation.get("requestBody").is_some();
        let security = operation.get("security").unwrap_or(&document["security"]);
        let private =
            list(security).next().is_some() && !list(security).any(|one| one == &json!({}));
        let generated = is_generated(method, path);
        let names = |name: &str| {
            list(&operation["parameters"])
                .any(|parameter| resolve(&document, parameter)["name"] == name)
        };
        let required: [(bool, &[&str]); 7] = [
            (true, &["default"]),
            (private && generated && method != "GET", &["403"]),
            (path.contains('{'), &["404"]),
            // Signed requests are accepted or refused as a whole.
            (body && !path.starts_with("/webhooks/"), &["422"]),
            (names("If-Match"), &["412"]),
            (generated && method != "GET" && path.contains('{'), &["409"]),
            (["PUT", "PATCH"].contains(&method) && generated, &["428"]),
        ];
        for (applies, statuses) in required {
            for status in statuses
                .iter()
                .filter(|status| applies && operation["responses"].get(**status).is_none())
            {
                faults.push(format!("{title}: {status} is missing"));
            }
        }
        for (status, response) in operation["responses"].as_object().expect("answers") {
            let content = &resolve(&document, response)["content"];
            if (status == "default" || status.as_str() >= "400")
                && content.get("application/problem+json").is_none()
            {
                faults.push(format!("{title}: {status} is no problem"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether the operation is generated, or based on a generated one, as `/me/likes` on `/users/{id}/likes`.
fn is_generated(method: &str, path: &str) -> bool {
    let paths = &operations::document()["paths"];
    let method = method.to_lowercase();
    let of_users = path.replacen("/me", "/users/{id}", 1);
    let mut both = [path, &of_users].into_iter();
    both.any(|path| paths[path].get(&method).is_some())
}

/// Path parameters are declared and required, no others are in the path, and all have a schema and a unique name.
fn parameters(document: &Value, title: &str, operation: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut names, mut in_path) = (BTreeSet::new(), BTreeSet::new());
    for given in list(&operation["parameters"]) {
        let parameter = resolve(document, given);
        let name = parameter["name"].as_str().unwrap_or_default();
        if !names.insert((name, parameter["in"].as_str())) {
            faults.push(format!("{title}: {name} twice"));
        }
        let is_told = match parameter["description"].as_str() {
            Some(text) => !text.is_empty(),
            None => once::is_told(document, name),
        };
        if parameter.get("schema").is_none() || !is_told {
            faults.push(format!("{title}: {name} has no schema or description"));
        }
        if parameter["in"] == "path" {
            in_path.insert(name);
            if parameter["required"] != true {
                faults.push(format!("{title}: {name} is not required"));
            }
        }
    }
    let wanted: BTreeSet<&str> = title
        .split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next())
        .collect();
    if wanted != in_path {
        faults.push(format!("{title}: declares {in_path:?}"));
    }
    faults
}

/// Every answer is described, and every body has a valid schema.
fn bodies(document: &Value, title: &str, operation: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let answers = operation["responses"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    if !answers.keys().any(|status| status.starts_with('2')) {
        faults.push(format!("{title}: never succeeds"));
    }
    for (status, answer) in &answers {
        let answer = resolve(document, answer);
        let number = status
            .parse::<u16>()
            .is_ok_and(|status| (200..600).contains(&status));
        // The description may be empty if there is a schema.
        let is_told = match answer["description"].as_str() {
            Some("") => answer.get("content").is_some(),
            Some(_) => true,
            None => false,
        };
        if (!number && status != "default") || !is_told {
            faults.push(format!("{title}: {status} says nothing"));
        }
        let media = answer["content"].as_object().into_iter().flatten();
        let no_schema = media.filter(|(_, media)| media.get("schema").is_none());
        faults.extend(no_schema.map(|(name, _)| format!("{title}: {status} {name} has no schema")));
    }
    let content = resolve(document, &operation["requestBody"])["content"].as_object();
    if operation.get("requestBody").is_some()
        && content.is_none_or(|content| content.values().any(|media| media.get("schema").is_none()))
    {
        faults.push(format!("{title}: a body without a schema"));
    }
    faults
}
