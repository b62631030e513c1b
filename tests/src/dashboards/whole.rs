//! Every figure that a screen shows is held to the tables by one of these tests: the API document says which there are.

use crate::support::documented::{alternatives, resolved};
use serde_json::Value;
use std::{collections::BTreeSet, sync::LazyLock};

/// The whole document, hand-written routes included.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    document.expect("JSON")
});

/// The screens. `World::whole` is asked about each of them.
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

/// How many names a figure is below the answer at most.
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
    // Communities, businesses and institutions are shown what organizations are.
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

/// The numbers in the answer of a screen, those of lists as `/list/*/field`. Below `left_out` nothing is looked for.
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
    // What is expanded may hold what it is held by.
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
