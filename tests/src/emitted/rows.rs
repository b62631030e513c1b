//! Reads and writes the rows of a whole world through generated code, and compares every column with the API document.

use crate::support::{Database, database::Content, documented, root};
use kernel::{private::PgRow, resource::Resource};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection};

fn document() -> Value {
    let text = std::fs::read(root().join("generated/openapi.json")).expect("document");
    serde_json::from_slice(&text).expect("JSON")
}

/// `ticket_type` → `TicketType`
fn pascal(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

#[tokio::test]
async fn every_row_is_written_as_documented() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    let document = document();
    let mut written = 0;
    for resource in generated::hooks::RESOURCES {
        let schema = &document["components"]["schemas"][pascal(resource.name)];
        let rows = sqlx::query(AssertSqlSafe(resource.list_text("")))
            .fetch_all(&mut conn)
            .await;
        for row in rows
            .unwrap_or_else(|error| panic!("{}: {error}", resource.name))
            .iter()
            .take(500)
        {
            let mut text = Vec::new();
            resource
                .write(row, &mut text)
                .unwrap_or_else(|error| panic!("{}: {error}", resource.name));
            let object: Map<String, Value> =
                serde_json::from_slice(&text).unwrap_or_else(|error| {
                    panic!(
                        "{}: {error}\n{}",
                        resource.name,
                        String::from_utf8_lossy(&text)
                    )
                });
            assert_eq!(object["object"], resource.name, "`object` names the entity");
            hold(&document, resource.name, &object, schema);
            written += 1;
        }
    }
    assert!(written > 500, "{written} rows");
}

/// Asserts that every required property exists, and that every property is known and has the right type.
fn hold(document: &Value, name: &str, object: &Map<String, Value>, schema: &Value) {
    for required in schema["required"].as_array().into_iter().flatten() {
        let required = required.as_str().expect("a name");
        assert!(
            object.contains_key(required),
            "{name} without {required}: {object:?}"
        );
    }
    for (key, value) in object {
        let property = schema["properties"]
            .get(key)
            .unwrap_or_else(|| panic!("{name}.{key} is not documented"));
        let types = documented::types(document, property);
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if !number.is_f64() && types.contains(&"integer") => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(
            types.contains(&found),
            "{name}.{key} is {found}, not {types:?}: {value}"
        );
        let words = documented::alternatives(document, property)
            .into_iter()
            .filter_map(|one| one["enum"].as_array());
        for words in words.filter(|_| value.is_string()) {
            assert!(words.contains(value), "{name}.{key}: {value}");
        }
    }
}

async fn all<T>(conn: &mut PgConnection, resource: &Resource) -> Vec<T>
where
    T: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin,
{
    let text = AssertSqlSafe(resource.list_text(""));
    sqlx::query_as(text).fetch_all(conn).await.expect("rows")
}

#[tokio::test]
async fn rows_become_structs() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    let events: Vec<generated::event::Event> = all(&mut conn, &generated::event::EVENT).await;
    assert!(
        events
            .iter()
            .all(|event| event.ends_at > event.starts_at && event.version >= 1)
    );
    assert!(!events.is_empty());
    let users: Vec<generated::user::User> = all(&mut conn, &generated::user::USER).await;
    assert!(users.iter().all(|user| !user.handle.is_empty()));
    let venues: Vec<generated::venue::Venue> = all(&mut conn, &generated::venue::VENUE).await;
    assert!(!venues.is_empty());
    let cities: Vec<generated::city::City> = all(&mut conn, &generated::city::CITY).await;
    assert!(
        cities
            .iter()
            .all(|city| city.location.lat.abs() <= 90.0 && city.location.lng.abs() <= 180.0)
    );
}
