//! All errors of a request are reported at once, of whatever kind: invalid values, rules between values, references,
//! parameters, fields that the caller may not set, and errors in nested objects.

use super::operations::{body_keys, documented};
use crate::support::{
    Answer, Member, TestServer, database::Content, documented::resolved, resources, rows,
};
use kernel::resource::{Answer as Refusal, Resource};
use serde_json::{Map, Value, json};
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The errors of an answer: `/title length`, `?zzz unknown`.
fn found(answer: &Answer) -> BTreeSet<String> {
    let errors = answer.json["errors"].as_array().expect("errors");
    let told = errors.iter().map(|error| {
        let place = match error["parameter"].as_str() {
            Some(parameter) => format!("?{parameter}"),
            None => error["pointer"].as_str().expect("a place").to_owned(),
        };
        format!("{place} {}", error["code"].as_str().expect("a code"))
    });
    told.collect()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

struct Stage {
    server: TestServer,
    olga: Member,
    event: Value,
}

impl Stage {
    async fn new() -> Self {
        let server = TestServer::start_with(Content::Demo, |_| {}).await;
        let olga = server.sign_in(PEOPLE[2].id).await;
        let city = server.city("melbourne").await;
        let host = rows::host_of(&server, olga.id, city).await;
        let event = json!({
            "title": "A full house", "starts_at": "2041-05-01T18:00:00Z", "ends_at": "2041-05-01T20:00:00Z",
            "timezone": "Australia/Melbourne", "host_type": "organization", "host_id": host, "city_id": city,
        });
        Self {
            server,
            olga,
            event,
        }
    }

    async fn post(&self, path: &str, changes: Value) -> Answer {
        let mut body = self.event.clone();
        body.as_object_mut()
            .expect("an object")
            .extend(changes.as_object().expect("an object").clone());
        self.olga.client.post(path, body).await
    }
}

/// If one parameter is missing and another unknown, both errors are reported, on hand-written routes as well.
#[tokio::test]
async fn of_parameters_that_a_route_cannot_do_without() {
    let server = TestServer::demo().await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let member = server.member("asks_all").await;
    let mut tried = 0;
    for (title, operation) in documented(&document) {
        let Some(path) = title.strip_prefix("GET ") else {
            continue;
        };
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let needed = parameters
            .map(|parameter| resolved(&document, parameter))
            .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
            .filter_map(|parameter| parameter["name"].as_str());
        let mut all: BTreeSet<String> = needed.map(|name| format!("?{name} required")).collect();
        // HTML pages have no list of errors.
        if all.is_empty() || operation["responses"].get("422").is_none() {
            continue;
        }
        all.insert("?zzz unknown".to_owned());
        let path = format!("{path}?zzz=1");
        let answer = member.client.get(&path).await.expect(422);
        assert_eq!(found(&answer), all, "{title}");
        tried += 1;
    }
    assert!(tried > 6, "{tried}");
}

#[tokio::test]
async fn of_a_new_object() {
    let stage = Stage::new().await;
    let nowhere = Uuid::now_v7();
    let changes = json!({
        "title": "", "zzz": 1, "ends_at": "2041-05-01T17:00:00Z", "venue_id": nowhere, "visibility": "community",
        "ticket_types": [
            {"name": "Seat", "price_cents": 100, "currency": "AUD", "capacity": 4},
            {"name": "", "price_cents": 100, "currency": "AUD", "capacity": 4,
             "sales_start": "2041-05-01T17:00:00Z", "sales_end": "2041-05-01T16:00:00Z"},
        ],
    });
    let answer = stage
        .post("/events?zzz=1", changes.clone())
        .await
        .expect(422);
    assert_eq!(answer.problem(), "invalid-request");
    let all = [
        "?zzz unknown",
        "/title length",
        "/zzz unknown",
        "/ends_at invalid",
        "/visibility invalid",
        "/venue_id reference",
        "/ticket_types/1/name length",
        "/ticket_types/1/sales_end invalid",
    ];
    assert_eq!(found(&answer), set(&all));

    // The values are valid by themselves: the database finds the first violated rule, and the others are reported,
    // too.
    let mut changes = changes;
    changes["title"] = json!("A title");
    changes["ticket_types"][1]["name"] = json!("Standing");
    changes.as_object_mut().expect("one").remove("zzz");
    let answer = stage.post("/events", changes.clone()).await.expect(422);
    assert_eq!(answer.problem(), "invalid-request");
    let all = [
        "/ends_at invalid",
        "/visibility invalid",
        "/venue_id reference",
        "/ticket_types/1/sales_end invalid",
    ];
    assert_eq!(found(&answer), set(&all));

    // Only references are wrong, and only these are reported.
    changes["ends_at"] = json!("2041-05-01T19:00:00Z");
    changes["visibility"] = json!("public");
    changes["ticket_types"] = json!([]);
    changes["city_id"] = json!(nowhere);
    let answer = stage.post("/events", changes).await.expect(422);
    assert_eq!(answer.problem(), "invalid-reference");
    assert_eq!(
        found(&answer),
        set(&["/venue_id reference", "/city_id reference"])
    );

    // A value that is taken is reported together with the others.
    let slug = json!({"slug": "a-slug-of-one"});
    stage.post("/events", slug.clone()).await.expect(201);
    let taken = stage.post("/events", slug.clone()).await.expect(409);
    assert_eq!(found(&taken), set(&["/slug conflict"]));
    let changes = json!({"slug": "a-slug-of-one", "ticket_types": [
        {"name": "Seat", "price_cents": 100, "currency": "AUD", "capacity": 4,
         "sales_start": "2041-05-01T17:00:00Z", "sales_end": "2041-05-01T16:00:00Z"},
    ]});
    let answer = stage.post("/events", changes).await.expect(422);
    assert_eq!(answer.problem(), "invalid-request");
    assert_eq!(
        found(&answer),
        set(&["/slug conflict", "/ticket_types/0/sales_end invalid"])
    );
    let mut conn = stage.server.superuser().await;
    let made: i64 =
        sqlx::query_scalar("select count(*) from app.events where slug = 'a-slug-of-one'")
            .fetch_one(&mut conn)
            .await
            .expect("a count");
    assert_eq!(made, 1);
}

#[tokio::test]
async fn of_a_change() {
    let stage = Stage::new().await;
    let made = stage.post("/events", json!({})).await.expect(201);
    let path = format!("/events/{}", made.id());
    let nowhere = Uuid::now_v7();
    // `ends_at` is before the stored `starts_at`, which the body does not contain.
    let body = json!({
        "title": "", "zzz": 1, "ends_at": "2041-05-01T17:00:00Z", "venue_id": nowhere, "id": nowhere,
    });
    let answer = (stage.olga.client.patch(&path, &made.etag(), body).await).expect(422);
    assert_eq!(answer.problem(), "invalid-request");
    let all = [
        "/title length",
        "/zzz unknown",
        "/ends_at invalid",
        "/venue_id reference",
        "/id read_only",
    ];
    assert_eq!(found(&answer), set(&all));

    let body = json!({"ends_at": "2041-05-01T17:00:00Z", "venue_id": nowhere});
    let answer = (stage.olga.client.patch(&path, &made.etag(), body).await).expect(422);
    assert_eq!(
        found(&answer),
        set(&["/ends_at invalid", "/venue_id reference"])
    );
    // Rules about a value that is invalid itself are not reported.
    let body = json!({"starts_at": "soon", "ends_at": "2041-05-01T17:00:00Z"});
    let answer = (stage.olga.client.patch(&path, &made.etag(), body).await).expect(422);
    assert_eq!(found(&answer), set(&["/starts_at format"]));
    // A caller without permission does not learn about these errors.
    let mira = stage.server.sign_in(PEOPLE[4].id).await;
    let body = json!({"venue_id": nowhere, "ends_at": "2041-05-01T17:00:00Z"});
    let refused = mira.client.patch(&path, &made.etag(), body).await;
    assert!([403, 404].contains(&refused.status.as_u16()));
    let same = stage.olga.client.get(&path).await.expect(200);
    assert_eq!(same.etag(), made.etag());
}

#[tokio::test]
async fn of_fields_that_only_others_set() {
    let stage = Stage::new().await;
    let member = stage.server.member("a_reviewer").await;
    let organization = &stage.event["host_id"];
    let body = json!({"entity_type": "organization", "entity_id": organization, "rating": 4, "comment": "Good"});
    let made = member.client.post("/reviews", body).await.expect(201);
    let path = format!("/reviews/{}", made.id());
    let all = json!({"rating": 5, "comment": "Very good", "reply": "Thank you"});
    let answer = (stage.olga.client.patch(&path, &made.etag(), all).await).expect(403);
    assert_eq!(answer.problem(), "forbidden-field");
    assert_eq!(
        found(&answer),
        set(&["/rating forbidden", "/comment forbidden"])
    );
}

/// Each reference of each entity, together with another invalid value.
#[tokio::test]
async fn every_reference_of_every_entity() {
    let stage = Stage::new().await;
    let paula = stage.server.sign_in(PEOPLE[0].id).await;
    let mut tried = 0;
    for resource in resources()
        .values()
        .filter(|resource| resource.create.is_some())
    {
        let mut body = json!({"zzz": 1});
        let mut expected = set(&["/zzz unknown"]);
        for expand in resource.expands.iter().filter(|expand| !expand.hidden) {
            if !body_keys("Create", resource.name).contains(&expand.column) {
                continue;
            }
            body[expand.column] = json!(Uuid::now_v7());
            if let Some(column) = expand.type_column {
                body[column] = json!(expand.targets[0]);
            }
            expected.insert(format!("/{} reference", expand.column));
        }
        let path = format!("/{}", resource.path);
        let answer = paula.client.post(&path, body).await;
        if answer.status == 403 {
            continue;
        }
        let told = found(&answer.expect(422));
        assert!(told.is_superset(&expected), "{path}: {told:?}");
        tried += expected.len() - 1;
    }
    assert!(tried > 15, "{tried}");
}

/// The function that predicts which rules are violated agrees with the database: tested with rows in which one or two
/// columns have other values, for every rule that an answer can report.
#[tokio::test]
async fn rules_are_judged_as_the_database_does() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let (mut agreed, mut broken) = (0, BTreeSet::new());
    for resource in resources().values() {
        let names: Vec<&str> = (resource.constraints.iter())
            .filter(|constraint| constraint.answer == Refusal::Invalid)
            .map(|constraint| constraint.name)
            .filter(|name| !name.ends_with("_format"))
            .collect();
        for name in &names {
            for (row, changed) in changes(&mut conn, resource, name).await {
                let judged = judged(&mut conn, resource, &row, &changed, name).await;
                let tried = tried(&mut conn, resource, &row, &changed).await;
                match tried {
                    // These values violate another rule.
                    Some(other) if other != *name => continue,
                    Some(_) => {
                        assert!(judged, "{name} breaks: {changed:?}");
                        broken.insert((*name).to_owned());
                    }
                    None => assert!(!judged, "{name} holds: {changed:?}"),
                }
                agreed += 1;
            }
        }
    }
    assert!(agreed > 100, "{agreed}");
    assert!(broken.len() > 8, "{broken:?}");
}

/// Rows of the table with changes to the columns of a rule: null, the value of another row, or two columns exchanged.
async fn changes(
    conn: &mut PgConnection,
    resource: &Resource,
    rule: &str,
) -> Vec<(Value, Map<String, Value>)> {
    let columns: Vec<String> = sqlx::query_scalar(
        "select attname::text from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
         where c.conname = $1 and c.contype = 'c' and a.attgenerated = '' order by 1",
    )
    .bind(rule)
    .fetch_all(&mut *conn)
    .await
    .expect("columns");
    let text = format!(
        "select to_jsonb(t) from app.{} t order by id limit 6",
        resource.plural
    );
    let rows: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_all(conn)
        .await
        .expect("rows");
    let mut found = Vec::new();
    for row in &rows {
        let one =
            |column: &str, value: &Value| Map::from_iter([(column.to_owned(), value.clone())]);
        for column in &columns {
            found.push((row.clone(), one(column, &Value::Null)));
            found.extend(
                rows.iter()
                    .map(|other| (row.clone(), one(column, &other[column]))),
            );
            for other in &columns {
                let mut exchanged = one(column, &row[other]);
                exchanged.extend(one(other, &row[column]));
                found.push((row.clone(), exchanged));
            }
        }
    }
    found
}

async fn judged(
    conn: &mut PgConnection,
    resource: &Resource,
    row: &Value,
    changed: &Map<String, Value>,
    rule: &str,
) -> bool {
    let mut row = row.as_object().expect("a row").clone();
    row.extend(changed.clone());
    let broken: Vec<String> =
        sqlx::query_scalar("select sec.broken_checks($1, $2, '{}', false, $3)")
            .bind(resource.plural)
            .bind(Value::Object(row))
            .bind(vec![rule])
            .fetch_all(conn)
            .await
            .expect("an answer");
    !broken.is_empty()
}

/// The name of the constraint that refuses the change, without triggers and foreign keys.
async fn tried(
    conn: &mut PgConnection,
    resource: &Resource,
    row: &Value,
    changed: &Map<String, Value>,
) -> Option<String> {
    let sets: Vec<String> = changed
        .keys()
        .map(|column| format!("{column} = n.{column}"))
        .collect();
    let text = format!(
        "update app.{0} t set {1} from jsonb_populate_record(null::app.{0}, $1) n where t.id = $2::uuid",
        resource.plural,
        sets.join(", "),
    );
    let mut tx = sqlx::Connection::begin(conn).await.expect("a transaction");
    sqlx::query("set local session_replication_role = replica")
        .execute(&mut *tx)
        .await
        .expect("no triggers");
    let result = sqlx::query(AssertSqlSafe(text))
        .bind(Value::Object(changed.clone()))
        .bind(row["id"].as_str())
        .execute(&mut *tx)
        .await;
    let name = match result {
        Ok(_) => None,
        Err(error) => {
            let database = error.as_database_error().expect("of the database");
            let name = database.constraint().map(str::to_owned);
            Some(name.unwrap_or_else(|| database.message().to_owned()))
        }
    };
    tx.rollback().await.expect("undone");
    name
}

/// Claim: a PATCH of a key in an object that is null so far is told which other keys the object needs, like a POST.
#[tokio::test]
async fn keys_that_are_missing_after_a_patch_are_named() {
    let server = TestServer::start().await;
    let member = server.member("sleeper").await;
    let client = &member.client;
    let body = json!({"channel": "push", "type": "all", "enabled": true});
    let made = client.post("/notification-preferences", body).await;
    let made = made.expect(201);
    let path = format!("/notification-preferences/{}", made.id());
    for (body, all) in [
        (
            json!({"quiet_hours": {}}),
            &["/quiet_hours/starts required", "/quiet_hours/ends required"][..],
        ),
        (
            json!({"quiet_hours": {"starts": "22:00"}}),
            &["/quiet_hours/ends required"],
        ),
        (
            json!({"quiet_hours": {"starts": "22:00"}, "enabled": 1}),
            &["/quiet_hours/ends required", "/enabled type"],
        ),
    ] {
        let answer = client.patch(&path, &made.etag(), body).await.expect(422);
        assert_eq!(answer.problem(), "invalid-request");
        assert_eq!(found(&answer), set(all), "{}", answer.text);
    }
    let whole = json!({"quiet_hours": {"starts": "22:00", "ends": "07:00"}});
    let whole = client.patch(&path, &made.etag(), whole).await.expect(200);
    let part = json!({"quiet_hours": {"starts": "23:00"}});
    let part = client.patch(&path, &whole.etag(), part).await.expect(200);
    assert_eq!(
        part.json["quiet_hours"],
        json!({"starts": "23:00", "ends": "07:00"})
    );
}
