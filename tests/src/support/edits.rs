//! Changes of any object that can be changed, one after the other, each to something new.

use super::Client;
use reqwest::Method;
use serde_json::{Value, json};

/// A property that takes one value after the other.
pub struct Edit {
    name: String,
    before: Value,
}

impl Edit {
    /// Tries the properties of a body (as they are now) until a change of one is a change. None: of flags, closed sets
    /// and references alone not everyone can be told what else they may be.
    pub async fn find(client: &Client, path: &str, body: &Value) -> Option<Self> {
        for (name, before) in body.as_object()? {
            let edit = Self {
                name: name.clone(),
                before: before.clone(),
            };
            if !(before.is_null() || before.is_string() || before.is_number()) {
                continue;
            }
            let mut works = true;
            for number in 0..2 {
                let shown = client.get(path).await;
                let headers = [("if-match", "*")];
                let answer = client
                    .send(Method::PATCH, path, Some(edit.body(number)), &headers)
                    .await;
                works &= answer.status == 200 && answer.json["version"] != shown.json["version"];
            }
            if works {
                return Some(edit);
            }
        }
        None
    }

    /// A body of PATCH; for each number another value.
    pub fn body(&self, number: usize) -> Value {
        json!({&self.name: self.value(number)})
    }

    /// A body of PUT with the change in it.
    pub fn within(&self, body: &Value, number: usize) -> Value {
        let mut body = body.clone();
        body[&self.name] = self.value(number);
        body
    }

    fn value(&self, number: usize) -> Value {
        match self.before.as_i64() {
            Some(before) => json!(before + 1 + number as i64),
            None => json!(format!("other {number}")),
        }
    }
}
