//! Single-line texts in bodies of hand-written routes accept neither line breaks nor characters that change the
//! writing direction. The document marks other texts (`x-text`); generated bodies have a test of their own.

use super::operations::{self, documented};
use crate::support::{
    Client, TestServer,
    documented::{alternatives, resolved, types},
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A text in a body, and its schema.
struct Text<'d> {
    /// A JSON pointer such as `/scans/0/gate`.
    pointer: String,
    schema: &'d Value,
}

/// A line break, and a right-to-left override.
const BREAKS: [char; 2] = ['\n', '\u{202e}'];

#[tokio::test]
async fn texts_of_one_line_take_no_other() {
    let server = TestServer::start().await;
    let member = server.member("somebody").await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let (mut faults, mut lines, mut paragraphs) = (Vec::new(), 0, 0);
    for (method, path, schema) in bodies(&document) {
        for text in texts(&document, schema, "") {
            let is_line = match text.schema["x-text"].as_str() {
                None => true,
                Some("paragraphs") => false,
                // An opaque text, which people do not read.
                _ => continue,
            };
            for broken in BREAKS {
                let body = at(&text.pointer, json!(broken_by(broken, text.schema)));
                let is_refused = refuses(&member.client, &method, path, &body, &text.pointer).await;
                if is_refused != is_line {
                    faults.push(format!("{method} {path}: {} with {broken:?}", text.pointer));
                }
            }
            match is_line {
                true => lines += 1,
                false => paragraphs += 1,
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(lines > 50, "only {lines} lines were tried");
    assert!(
        paragraphs > 0,
        "the negative control: texts with paragraphs accept line breaks"
    );
}

/// The JSON bodies of hand-written operations.
pub(super) fn bodies(document: &Value) -> Vec<(Method, &str, &Value)> {
    let generated: Vec<String> = documented(operations::document())
        .into_iter()
        .map(|(title, _)| title)
        .collect();
    let paths = document["paths"].as_object().expect("paths");
    let mut found = Vec::new();
    for (path, item) in paths {
        for (method, said) in item.as_object().expect("operations") {
            let method = method.to_uppercase();
            // Based on a generated operation.
            let of_users = path.replacen("/me", "/users/{id}", 1);
            let is_generated =
                [path, &of_users].map(|path| generated.contains(&format!("{method} {path}")));
            let schema = &said["requestBody"]["content"]["application/json"]["schema"];
            // Webhooks are written by other services, and their signature is checked first.
            let is_webhook = path.starts_with("/webhooks/");
            if schema.is_object() && !is_webhook && !is_generated.contains(&true) {
                let method = method.parse().expect("a method");
                found.push((method, path.as_str(), schema));
            }
        }
    }
    found
}

fn texts<'d>(document: &'d Value, schema: &'d Value, pointer: &str) -> Vec<Text<'d>> {
    let mut found = Vec::new();
    for schema in alternatives(document, schema) {
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (name, property) in properties {
            found.extend(texts(document, property, &format!("{pointer}/{name}")));
        }
        if schema["items"].is_object() {
            found.extend(texts(document, &schema["items"], &format!("{pointer}/0")));
        }
        let schema = resolved(document, schema);
        let is_password = schema["format"] == "password";
        if types(document, schema).contains(&"string") && !is_password {
            let pointer = pointer.to_owned();
            found.push(Text { pointer, schema });
        }
    }
    found
}

/// A text with this character that is long enough, so that its length is valid.
fn broken_by(broken: char, schema: &Value) -> String {
    let least = schema["minLength"].as_u64().unwrap_or(3).max(3);
    let rest = usize::try_from(least).expect("a length") - 2;
    format!("a{broken}{}", "a".repeat(rest))
}

/// A body with the value at the pointer: `{"scans": [{"gate": …}]}`.
fn at(pointer: &str, value: Value) -> Value {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    steps.iter().rev().fold(value, |inner, step| match *step {
        "0" => json!([inner]),
        name => json!({name: inner}),
    })
}

/// Whether the text is refused. Other errors, such as missing properties, are reported in the same answer and ignored
/// here.
async fn refuses(
    client: &Client,
    method: &Method,
    path: &str,
    body: &Value,
    pointer: &str,
) -> bool {
    let never = Uuid::nil().to_string();
    let path = path.replace("{id}", &never).replace("{currency}", "AUD");
    let key = Uuid::now_v7().to_string();
    let headers = [("idempotency-key", key.as_str())];
    let answer = client
        .send(method.clone(), &path, Some(body.clone()), &headers)
        .await;
    let errors = answer.json["errors"].as_array().into_iter().flatten();
    let mut places = errors.filter_map(|one| one["pointer"].as_str());
    // For lists, the error may be reported for the whole list.
    let is_there = |place: &str| {
        place == pointer || pointer.starts_with(&format!("{place}/")) && !place.is_empty()
    };
    answer.status == 422 && places.any(is_there)
}
