//! Error answers tell the client what to do, but nothing about the internals.

use crate::support::{Answer, Client, TestServer, database::Content, resources, rows};
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// Words that would reveal internals, in lower case.
const INSIDE: [&str; 25] = [
    "canary",
    "sqlstate",
    "postgres",
    "sqlx",
    "relation \"",
    "column \"",
    "constraint",
    "policy",
    "permission denied",
    "row-level",
    "trigger",
    "plpgsql",
    "select ",
    "insert into",
    "app.",
    "sec.",
    "pg_",
    "culturepass_",
    "panicked",
    "backtrace",
    ".rs:",
    "src/",
    "/home/",
    "42p01",
    "division by zero",
];

/// Checks that the answer is a problem without any of these words.
#[track_caller]
fn tells_nothing(what: &str, answer: &Answer) {
    let text = &answer.text;
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{what}: {text}"
    );
    let document = answer.json.as_object().expect("an object");
    for key in document.keys() {
        let known = ["type", "title", "status", "detail", "instance", "errors"];
        assert!(known.contains(&key.as_str()), "{what}: {key}: {text}");
    }
    assert_eq!(document["status"], answer.status.as_u16(), "{what}");
    let id = answer.header("x-request-id").expect("an id");
    assert_eq!(document["instance"], format!("urn:uuid:{id}"), "{what}");
    let lower = text.to_lowercase();
    for word in INSIDE {
        assert!(!lower.contains(word), "{what} says `{word}`: {text}");
    }
    for name in answer.headers.keys() {
        assert!(
            !["server", "x-powered-by"].contains(&name.as_str()),
            "{what}: {name}"
        );
    }
}

async fn run(server: &TestServer, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(&mut server.superuser().await)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Invalid requests to every entity.
#[tokio::test]
async fn abuse_56_refusals_tell_nothing_of_the_inside() {
    let server = TestServer::demo().await;
    let paula = server
        .sign_in(server::seed::demo::PEOPLE[0].id)
        .await
        .client;
    let mut statuses = BTreeMap::new();
    for resource in resources().values() {
        let all = format!("/{}", resource.path);
        let one = format!("{all}/{}", Uuid::now_v7());
        for client in [&server.client, &paula, &server.client.with_token("x.y.z")] {
            for (method, path, body) in [
                (Method::GET, format!("{all}/1' or 1=1--"), None),
                (Method::GET, one.clone(), None),
                (
                    Method::GET,
                    format!("{all}?sort=password_hash&nonsense=1"),
                    None,
                ),
                (Method::GET, format!("{all}?cursor=nonsense"), None),
                (Method::POST, all.clone(), Some("{")),
                (
                    Method::POST,
                    all.clone(),
                    Some(r#"{"nonsense": 1, "nonsense": 2}"#),
                ),
                (Method::PUT, one.clone(), Some("{}")),
                (
                    Method::PATCH,
                    one.clone(),
                    Some(r#"{"name": {"deep": [[[[]]]]}}"#),
                ),
                (Method::PATCH, one.clone(), Some("[]")),
                (Method::DELETE, one.clone(), None),
                (Method::POST, format!("{one}/restore"), None),
                (Method::POST, format!("{one}/suspend"), Some("{}")),
            ] {
                let body = body.map(|text| (text, "application/json"));
                let headers = [("if-match", "nonsense")];
                let answer = client
                    .send_text(method.clone(), &path, body, &headers)
                    .await;
                tells_nothing(&format!("{method} {path}"), &answer);
                *statuses.entry(answer.status.as_u16()).or_insert(0) += 1;
            }
        }
    }
    for status in [400, 401, 403, 404, 405, 422] {
        assert!(statuses.contains_key(&status), "{statuses:?}");
    }
    assert!(!statuses.contains_key(&500), "{statuses:?}");
}

/// For each entity, an update that the caller may make: name, path, client.
async fn changes(server: &TestServer) -> Vec<(String, String, Client)> {
    let people = rows::people(server.superuser().await.looking()).await;
    let mut changes = Vec::new();
    for resource in resources().values() {
        // If each field has a rule of its own, an update without fields changes no row.
        if resource.update.is_none() || !resource.sql.update.starts_with("update") {
            continue;
        }
        if let Some(right) = rows::who_may(&server.database, &people, resource, "update").await {
            let client = server.sign_in(right.person).await.client;
            let path = format!("/{}/{}", resource.path, right.row);
            changes.push((resource.plural.to_owned(), path, client));
        }
    }
    assert!(changes.len() > 15, "{}", changes.len());
    changes
}

/// The database refuses with unexpected messages.
#[tokio::test]
async fn abuse_56_faults_of_the_database_stay_inside() {
    let server = TestServer::demo().await;
    let changes = changes(&server).await;
    run(
        &server,
        "create table app.canary_code (code text); insert into app.canary_code values ('');
         grant select on app.canary_code to culturepass_app;
         create function app.canary() returns trigger language plpgsql as $$
         begin
           raise exception 'canary in app.events, see /home/canary/src/main.rs:1'
             using errcode = (select code from app.canary_code), constraint = 'canary_constraint', table = 'canary_table',
               column = 'canary_column', detail = 'canary detail', hint = 'canary hint';
         end $$"
            .to_owned(),
    )
    .await;
    for (table, _, _) in &changes {
        run(
            &server,
            format!("create trigger a_canary before update on app.{table} for each row execute function app.canary()"),
        )
        .await;
    }
    let mut statuses = BTreeMap::new();
    for code in [
        "P0001", "XX000", "22012", "23505", "23503", "23514", "23502", "23P01", "22P02", "22001",
        "42501", "42P01", "42703", "0A000", "53200", "54000", "55P03", "57014", "40001", "40P01",
        "28000",
    ] {
        run(
            &server,
            format!("update app.canary_code set code = '{code}'"),
        )
        .await;
        let some = changes.iter().skip(statuses.len() % 5).step_by(5);
        for (_, path, client) in some {
            let answer = client.patch(path, "*", json!({})).await;
            assert!(answer.status.as_u16() >= 400, "{code} {path}");
            tells_nothing(&format!("{code} {path}"), &answer);
            statuses.insert(code, answer.status.as_u16());
        }
    }
    assert_eq!(
        (statuses["XX000"], statuses["42P01"], statuses["23505"]),
        (500, 500, 422),
        "{statuses:?}"
    );
}

/// Tables, functions, or the whole database are missing.
#[tokio::test]
async fn abuse_56_a_database_in_ruins_stays_inside() {
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.db.acquire_timeout = Duration::from_millis(300);
    })
    .await;
    let paula = server
        .sign_in(server::seed::demo::PEOPLE[0].id)
        .await
        .client;
    let mut renames = String::new();
    for resource in resources().values() {
        let table = resource.plural;
        renames += &format!("alter table app.{table} rename to canary_{table};");
    }
    run(&server, renames).await;
    let mut failed = 0;
    for resource in resources().values() {
        let path = format!("/{}", resource.path);
        for answer in [
            paula.get(&path).await,
            paula.get(&format!("{path}/{}", Uuid::now_v7())).await,
        ] {
            if answer.status != 200 {
                tells_nothing(resource.plural, &answer);
                failed += u32::from(answer.status == 500);
            }
        }
    }
    assert!(failed as usize > resources().len(), "{failed}");

    run(
        &server,
        "alter function sec.enter(uuid, uuid, text, uuid) rename to canary".to_owned(),
    )
    .await;
    let answer = paula.get("/events").await;
    assert_eq!(answer.status, 500, "{}", answer.text);
    tells_nothing("no way in", &answer);

    let name = server.database.name();
    run(
        &server,
        format!(
            "alter database {name} with connection limit 0;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and usename = 'culturepass_app'"
        ),
    )
    .await;
    for _ in 0..6 {
        let answer = paula.get("/events").await;
        tells_nothing("no database", &answer);
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
        }
    }
}

/// A missing privilege is a bug of ours: the answer is never 403, whoever the caller is and whatever the request.
#[tokio::test]
async fn abuse_56_a_missing_grant_is_an_accident_and_an_alarm() {
    let server = TestServer::demo().await;
    let person = &server::seed::demo::PEOPLE[0];
    let paula = server.sign_in(person.id).await.client;
    let own = format!("/users/{}", person.id);
    let etag = paula.get(&own).await.expect(200).etag();
    let mut asked = Vec::new();
    for resource in resources().values() {
        for path in [
            format!("/{}", resource.path),
            format!("/{}/{}", resource.path, Uuid::now_v7()),
        ] {
            for client in [&paula, &server.client] {
                let usual = client.get(&path).await.status;
                asked.push((client, path.clone(), usual));
            }
        }
    }
    let before = kernel::http::metrics::MISSING_PRIVILEGE.get();
    run(
        &server,
        "revoke update on app.users from culturepass_app".to_owned(),
    )
    .await;
    let answer = paula
        .patch(&own, &etag, serde_json::json!({"bio": "x"}))
        .await;
    assert_eq!(answer.status, 500, "{}", answer.text);
    run(
        &server,
        "revoke all on all tables in schema app from culturepass_app".to_owned(),
    )
    .await;
    let mut failed = 0;
    for (client, path, usual) in asked {
        let answer = client.get(&path).await;
        match usual.as_u16() {
            200 | 404 => assert_eq!(answer.status, 500, "{path}: {}", answer.text),
            // Either a table had to be read for the caller's roles, or the request was refused before that.
            403 if answer.status == 500 => {}
            // Refused without reading a table.
            _ => assert_eq!(answer.status, usual, "{path}: {}", answer.text),
        }
        failed += usize::from(answer.status == 500);
        tells_nothing(&path, &answer);
    }
    assert!(failed > resources().len(), "{failed}");
    let alarms = kernel::http::metrics::MISSING_PRIVILEGE.get() - before;
    assert!(alarms as usize >= failed, "{alarms}");
}
