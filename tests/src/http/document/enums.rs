//! Closed sets, as client generators write them: those that operations share are one type, and no value gets a name that the
//! enums of a language need for themselves.

use super::schemas::list;
use super::served;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What every enum of Kotlin, Java or Swift has, or gets from the generator: a value of the same name does not compile.
const TAKEN: [&str; 9] = [
    "name", "ordinal", "value", "values", "entries", "valueOf", "rawValue", "self", "init",
];

#[tokio::test]
async fn values_have_names_in_every_language() {
    let document = served().await;
    let mut sets = Vec::new();
    closed(&document, "#", &mut sets);
    let faults: Vec<String> = sets.iter().filter_map(unnameable).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(sets.len() > 100, "{} closed sets", sets.len());

    let spoiled = json!([
        {"enum": ["name", "-name"], "x-enum-varnames": ["name", "name_desc"]},
        {"enum": ["a", "-a"], "x-enum-varnames": ["a_asc"]},
        {"enum": ["a", "-a"], "x-enum-varnames": ["a_asc", "a_asc"]},
        {"enum": ["value"]},
    ]);
    let mut sets = Vec::new();
    closed(&spoiled, "#", &mut sets);
    assert_eq!(sets.iter().filter_map(unnameable).count(), 4);
}

/// A set that stands in a shared parameter without a name becomes a type of every operation that refers to the parameter.
#[tokio::test]
async fn sets_in_shared_parameters_are_named() {
    let document = served().await;
    let parameters = &document["components"]["parameters"];
    let mut unnamed = Vec::new();
    closed(parameters, "", &mut unnamed);
    let places: Vec<&String> = unnamed.iter().map(|(place, _)| place).collect();
    assert!(places.is_empty(), "{places:?}");
    let count = &parameters["count"]["schema"]["$ref"];
    assert_eq!(count, "#/components/schemas/Count");
}

/// All closed sets inside, with their places.
fn closed<'d>(at: &'d Value, place: &str, sets: &mut Vec<(String, &'d Value)>) {
    match at {
        Value::Object(map) => {
            if map.get("enum").is_some_and(Value::is_array) {
                sets.push((place.to_owned(), at));
            }
            for (key, inner) in map {
                closed(inner, &format!("{place}/{key}"), sets);
            }
        }
        Value::Array(all) => {
            for (n, inner) in all.iter().enumerate() {
                closed(inner, &format!("{place}/{n}"), sets);
            }
        }
        _ => {}
    }
}

/// What is wrong if not every value of a set can have a name of its own.
fn unnameable((place, set): &(String, &Value)) -> Option<String> {
    let given = set.get("x-enum-varnames").unwrap_or(&set["enum"]);
    let names: BTreeSet<&str> = list(given).filter_map(Value::as_str).collect();
    let is_complete = names.len() == list(&set["enum"]).count();
    let is_taken = TAKEN.iter().any(|taken| names.contains(taken));
    (!is_complete || is_taken).then(|| format!("{place}: {names:?}"))
}
