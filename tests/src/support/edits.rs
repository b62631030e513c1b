//! Repeated changes of an object of any kind, each to a new value.

use super::Client;
use reqwest::Method;
use serde_json::{Value, json};

/// A property that can be changed repeatedly.
pub struct Edit {
    name: String,
    before: Value,
}

impl Edit {
    /// Tries the properties of the present body until one can be changed. None: there are only flags, closed sets and
    /// references, for which other valid values can't be guessed.
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

    /// A body of PATCH, with another value for each number.
    pub fn body(&self, number: usize) -> Value {
        json!({&self.name: self.value(number)})
    }

    /// The body with this property changed, for PUT.
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
