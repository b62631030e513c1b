//! Bodies as the document describes them, with ids of rows that are there.

use crate::support::documented::resolved;
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;
use uuid::Uuid;

/// An id for each kind of thing: `event`, `ticket_type`. The newest of those that are there.
pub struct Ids(BTreeMap<&'static str, String>);

impl Ids {
    pub async fn of(conn: &mut PgConnection) -> Ids {
        let mut ids = BTreeMap::new();
        for resource in generated::hooks::RESOURCES {
            let text = format!(
                "select id::text from app.{} order by id desc limit 1",
                resource.plural
            );
            let id: Option<String> = sqlx::query_scalar(AssertSqlSafe(text))
                .fetch_optional(&mut *conn)
                .await
                .expect("an id");
            ids.extend(id.map(|id| (resource.name, id)));
        }
        Ids(ids)
    }

    fn named(&self, name: &str) -> String {
        let id = self.0.get(name).cloned();
        id.unwrap_or_else(|| Uuid::nil().to_string())
    }

    /// `/events/{id}/sales` with the id of an event; other parameters have what nobody has.
    pub fn path(&self, path: &str) -> String {
        let first = path.split('/').nth(1).unwrap_or_default();
        let resources = generated::hooks::RESOURCES;
        let resource = resources.iter().find(|resource| resource.path == first);
        let id = self.named(resource.map_or("", |resource| resource.name));
        path.replace("{id}", &id)
            .replace("{currency}", "AUD")
            .replace(['{', '}'], "")
    }

    /// What is required, and no more.
    pub fn body(&self, document: &Value, schema: &Value) -> Value {
        self.sample(document, schema, "")
    }

    fn sample(&self, document: &Value, schema: &Value, name: &str) -> Value {
        let example = schema.get("example").or(schema.get("default"));
        if let Some(example) = example.filter(|_| !name.ends_with("_id")) {
            return example.clone();
        }
        let schema = resolved(document, schema);
        let several = ["anyOf", "oneOf", "allOf"].iter();
        let mut several = several.filter_map(|key| schema[*key].as_array()).flatten();
        if let Some(one) = several.find(|one| one["type"] != "null") {
            return self.sample(document, one, name);
        }
        if let Some(first) = schema["enum"].get(0).or(schema.get("const")) {
            return first.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
            kind => Some(kind),
        };
        match kind.and_then(Value::as_str).unwrap_or_default() {
            "object" => {
                let required = schema["required"].as_array().into_iter().flatten();
                let required = required.filter_map(Value::as_str);
                let all = required.map(|name| {
                    let value = self.sample(document, &schema["properties"][name], name);
                    (name.to_owned(), value)
                });
                Value::Object(all.collect::<Map<_, _>>())
            }
            "array" => json!([self.sample(document, &schema["items"], name)]),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
            "boolean" => json!(true),
            _ => json!(self.text(schema, name)),
        }
    }

    fn text(&self, schema: &Value, name: &str) -> String {
        match schema["format"].as_str().unwrap_or_default() {
            "uuid" => self.named(name.strip_suffix("_id").unwrap_or(name)),
            "date-time" => "2031-05-01T18:00:00Z".to_owned(),
            "date" => "2031-05-01".to_owned(),
            "email" => "somebody@example.org".to_owned(),
            "uri" => "https://example.org/".to_owned(),
            _ => {
                let least = schema["minLength"].as_u64().unwrap_or(1).max(1);
                "a".repeat(usize::try_from(least).unwrap_or(1))
            }
        }
    }
}
