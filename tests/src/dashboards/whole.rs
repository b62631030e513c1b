//! Every figure of every dashboard is compared with the tables by some test. The API document says which figures there
//! are.

use crate::support::documented::{alternatives, resolved};
use serde_json::Value;
use std::{collections::BTreeSet, sync::LazyLock};

/// The whole API document, hand-written routes included.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    document.expect("JSON")
});

/// The paths of all dashboards. For each, a test calls `World::whole`.
pub const SCREENS: [&str; 8] = [
    "/businesses/{id}/dashboard",
    "/cities/{id}/dashboard",
    "/communities/{id}/dashboard",
    "/events/{id}/dashboard",
    "/institutions/{id}/dashboard",
    "/me/home",
    "/organizations/{id}/dashboard",
    "/platform/dashboard",
];

/// The most levels at which a figure can be nested in an answer.
const DEEPEST: usize = 6;

#[test]
fn od1_these_are_all_screens() {
    let paths = DOCUMENT["paths"].as_object().expect("paths").keys();
    let mut screens: Vec<&str> = paths
        .map(String::as_str)
        .filter(|path| path.ends_with("/dashboard") || path.ends_with("/home"))
        .collect();
    screens.sort_unstable();
    assert_eq!(screens, SCREENS);
    // All dashboards of hosts have the same figures.
    for host in ["businesses", "communities", "institutions"] {
        let same = |of: &str| figures(&format!("/{of}/{{id}}/dashboard"), &[]);
        assert_eq!(same(host), same("organizations"), "{host}");
    }
}

#[test]
fn od1_figures_are_read_off_the_document() {
    let found = figures("/cities/{id}/dashboard", &[]);
    for figure in ["/approvals/organization_count", "/months/*/tickets"] {
        assert!(found.contains(figure), "{found:?}");
    }
    assert!(
        found.len() >= 10 && !found.contains("/city_id"),
        "{found:?}"
    );
}

/// The paths of all numbers in the answer of a dashboard, with `*` for the items of a list (`/list/*/field`). Numbers
/// below the paths `left_out` are skipped.
pub fn figures(screen: &str, left_out: &[&str]) -> BTreeSet<String> {
    let answer = &DOCUMENT["paths"][screen]["get"]["responses"]["200"];
    let answer = resolved(&DOCUMENT, answer);
    let content = answer["content"].as_object().expect("content");
    let schema = &content.values().next().expect("one type")["schema"];
    let mut found = BTreeSet::new();
    walk(schema, "", left_out, &mut found);
    assert!(!found.is_empty(), "{screen} shows no figure");
    found
}

fn walk(schema: &Value, place: &str, left_out: &[&str], found: &mut BTreeSet<String>) {
    // Expanded objects may contain each other, so the depth is limited.
    if left_out.contains(&place) || place.matches('/').count() > DEEPEST {
        return;
    }
    for schema in alternatives(&DOCUMENT, schema) {
        let is = |name: &str| match &schema["type"] {
            Value::String(one) => one == name,
            Value::Array(several) => several.iter().any(|one| one == name),
            _ => false,
        };
        if is("integer") || is("number") {
            found.insert(place.to_owned());
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            walk(part, place, left_out, found);
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            walk(property, &format!("{place}/{name}"), left_out, found);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{place}/*"), left_out, found);
        }
    }
}
