//! Read-only properties that a body repeats from an answer: ids, times, counters.
//!
//! A client that reads an object, changes a value and sends all of it back sends these as well. They are ignored if
//! they are unchanged and refused if they are changed, because the change would have no effect.

use crate::{
    error::Error,
    input::Node,
    problem::{Item, Problem},
    problems,
    resource::Resource,
    value::parse_time,
};
use bytes::Bytes;
use serde_json::{Map, Value};

/// Read-only properties that the body contained.
#[derive(Default)]
pub(super) struct Repeated(Vec<(String, Node)>);

/// Removes them from a body. A body that is not an object is left as it is and refused later.
pub(super) fn take(resource: &Resource, text: Bytes) -> (Bytes, Repeated) {
    let Ok(Node::Object(entries)) = Node::parse(&text) else {
        return (text, Repeated::default());
    };
    let (repeated, rest): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|(name, _)| is_read_only(resource, name));
    if repeated.is_empty() {
        return (text, Repeated::default());
    }
    let mut without = String::with_capacity(text.len());
    Node::Object(rest).write(&mut without);
    // Values that change by themselves may differ.
    let repeated = repeated
        .into_iter()
        .filter(|(name, _)| resource.fixed.contains(&name.as_str()) || is_together(resource, name));
    (without.into(), Repeated(repeated.collect()))
}

fn is_read_only(resource: &Resource, name: &str) -> bool {
    let mut expands = resource.expands.iter();
    resource.fixed.contains(&name)
        || resource.moving.contains(&name)
        || is_together(resource, name)
        || expands.any(|expand| !expand.hidden && expand.name == name)
}

/// Objects that were created along with this one. Only the answer to that has them, and each has a version of its own.
fn is_together(resource: &Resource, name: &str) -> bool {
    resource.together.iter().any(|list| list.name == name)
}

impl Repeated {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses the properties whose values differ from the object as the caller sees it.
    pub fn changed(&self, resource: &Resource, shown: &[u8]) -> Option<Error> {
        let shown: Map<String, Value> = serde_json::from_slice(shown).unwrap_or_default();
        let mut problem = Problem::new(&problems::INVALID);
        for (name, given) in &self.0 {
            if is_together(resource, name) {
                problem.errors.push(Item::body(
                    format!("/{name}"),
                    "read_only",
                    "can only be created along with this object: leave it out here, and change each of its objects by its \
                     own route",
                ));
                continue;
            }
            let is_same = match shown.get(name) {
                Some(shown) => is_same(given, shown),
                None if name == "object" => *given == Node::Text(resource.name.to_owned()),
                // Some programs send null for values that they did not get.
                None => *given == Node::Null,
            };
            if !is_same {
                problem.errors.push(Item::body(
                    format!("/{name}"),
                    "read_only",
                    "cannot be changed by this route: leave it out, or send what it is",
                ));
            }
        }
        (!problem.errors.is_empty()).then(|| problem.into())
    }
}

fn is_same(given: &Node, shown: &Value) -> bool {
    match (given, shown) {
        (Node::Null, Value::Null) => true,
        (Node::Bool(given), Value::Bool(shown)) => given == shown,
        (Node::Number(given), Value::Number(shown)) => {
            given == shown || given.as_f64() == shown.as_f64()
        }
        (Node::Text(given), Value::String(shown)) => {
            given == shown || is_same_time(given, shown) || is_same_id(given, shown)
        }
        (Node::List(given), Value::Array(shown)) => {
            given.len() == shown.len()
                && given
                    .iter()
                    .zip(shown)
                    .all(|(given, shown)| is_same(given, shown))
        }
        (Node::Object(given), Value::Object(shown)) => {
            let of = |name: &str| given.iter().find(|(key, _)| key == name);
            given
                .iter()
                .all(|(name, given)| is_same(given, shown.get(name).unwrap_or(&Value::Null)))
                && shown
                    .iter()
                    .all(|(name, shown)| shown.is_null() || of(name).is_some())
        }
        _ => false,
    }
}

/// Many programs keep only milliseconds, or write the time zone differently.
fn is_same_time(given: &str, shown: &str) -> bool {
    let time = |text| parse_time(text).map(|time| time.timestamp_millis());
    time(given).is_some_and(|given| time(shown) == Some(given))
}

/// Some programs write ids in capitals.
fn is_same_id(given: &str, shown: &str) -> bool {
    given.eq_ignore_ascii_case(shown) && uuid::Uuid::try_parse(shown).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(given: &str, shown: &str) -> bool {
        let given = Node::parse(given.as_bytes()).unwrap();
        is_same(&given, &serde_json::from_str(shown).unwrap())
    }

    #[test]
    fn values_are_the_same_however_a_program_writes_them() {
        for (given, shown) in [
            ("null", "null"),
            ("1.0", "1"),
            ("4.5", "4.50"),
            ("\"draft\"", "\"draft\""),
            (
                "\"2026-05-01T18:00:00.123Z\"",
                "\"2026-05-01T18:00:00.123456Z\"",
            ),
            ("\"2026-05-01T20:00:00+02:00\"", "\"2026-05-01T18:00:00Z\""),
            (
                "\"0199E004-0000-7000-8000-00000000000A\"",
                "\"0199e004-0000-7000-8000-00000000000a\"",
            ),
            ("[1,2]", "[1,2]"),
            ("{\"b\":1}", "{\"a\":null,\"b\":1}"),
            ("{\"a\":null,\"b\":1}", "{\"b\":1}"),
        ] {
            assert!(same(given, shown), "{given} {shown}");
        }
        for (given, shown) in [
            ("null", "1"),
            ("\"1\"", "1"),
            ("1", "2"),
            ("true", "1"),
            ("\"Draft\"", "\"draft\""),
            (
                "\"2026-05-01T18:00:00.124Z\"",
                "\"2026-05-01T18:00:00.123456Z\"",
            ),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,2]"),
            ("{\"b\":1}", "{\"a\":2,\"b\":1}"),
            ("{\"b\":1,\"c\":1}", "{\"b\":1}"),
        ] {
            assert!(!same(given, shown), "{given} {shown}");
        }
    }
}
