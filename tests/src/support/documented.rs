//! What the API document says an operation may answer. Every answer that a test gets is held to it.

use axum::http::Method;
use serde_json::Value;
use std::sync::LazyLock;

struct Operation {
    method: Method,
    /// `None` for a parameter.
    path: Vec<Option<String>>,
    statuses: Vec<u16>,
}

/// The whole document, hand-written routes included; a process reads it once.
static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    operations(&document.expect("JSON"))
});

/// What the document does not tell of this answer, or `None` if it does. A path or method without operation is
/// nothing it could tell of.
pub fn untold(method: &Method, target: &str, status: u16) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    // `/users/me` is meant before `/users/{id}`, as in the router: the path decides, then the method.
    let words = |one: &Operation| one.path.iter().flatten().count();
    let fits = || {
        OPERATIONS
            .iter()
            .filter(|one| matches(&one.path, &segments))
    };
    let most = fits().map(words).max()?;
    let operation = fits().find(|one| words(one) == most && one.method == *method)?;
    let told = operation.statuses.contains(&status);
    (!told).then(|| {
        format!(
            "{method} {path} answers {status}, documented: {:?}",
            operation.statuses
        )
    })
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
            let statuses = said["responses"].as_object()?.keys();
            Some(Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).ok()?,
                path: path.clone(),
                statuses: statuses.filter_map(|status| status.parse().ok()).collect(),
            })
        })
    });
    all.collect()
}
