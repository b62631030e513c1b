//! Access to objects that are stored as JSON.
//!
//! Objects are stored in the form in which they are returned, so that state and answers can't differ. Fields whose
//! names begin with `_` are the fake's own and are not returned, unless `expand` asks for one by the name without the
//! `_`.

use serde_json::Value;

pub trait Fields {
    fn str(&self, name: &str) -> &str;
    fn maybe(&self, name: &str) -> Option<&str>;
    fn num(&self, name: &str) -> i64;
    fn is(&self, name: &str) -> bool;
}

impl Fields for Value {
    fn str(&self, name: &str) -> &str {
        self.maybe(name).unwrap_or_default()
    }

    fn maybe(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Self::as_str)
    }

    fn num(&self, name: &str) -> i64 {
        self.get(name).and_then(Self::as_i64).unwrap_or_default()
    }

    fn is(&self, name: &str) -> bool {
        self.get(name).and_then(Self::as_bool).unwrap_or_default()
    }
}

/// The value without the fake's own fields.
pub fn visible(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let shown = map.iter().filter(|(name, _)| !name.starts_with('_'));
            Value::Object(
                shown
                    .map(|(name, value)| (name.clone(), visible(value)))
                    .collect(),
            )
        }
        Value::Array(all) => Value::Array(all.iter().map(visible).collect()),
        other => other.clone(),
    }
}

/// An empty list object, as nested in other objects.
pub fn empty_list(url: &str) -> Value {
    serde_json::json!({ "object": "list", "data": [], "has_more": false, "url": url })
}
