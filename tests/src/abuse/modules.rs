//! Application code that forgets to check the caller only gets what everybody may see.

use crate::support::{self, Member, TestServer, events::ENDLESS, model, pages::all};
use kernel::{Caller, Db};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::{collections::BTreeSet, path::Path};
use uuid::Uuid;

/// Every hand-written operation that requires a token: method and path. Those of `/me` are based on generated ones.
fn for_members() -> Vec<(Method, String)> {
    let own = serde_json::to_value(app::api::hand_written()).expect("JSON");
    let generated: Value = serde_json::from_str(app::api::document()).expect("JSON");
    let mut found = Vec::new();
    for document in [&own, &generated] {
        for (path, item) in document["paths"].as_object().expect("paths") {
            if std::ptr::eq(document, &generated) && path != "/me" && !path.starts_with("/me/") {
                continue;
            }
            for (method, said) in item.as_object().expect("operations") {
                let open = |one: &Value| one.as_object().is_some_and(|one| one.is_empty());
                let security = said["security"].as_array();
                if security.is_some_and(|all| !all.iter().any(open)) {
                    let method = method.to_uppercase().parse().expect("a method");
                    let path = path
                        .replace("{id}", &Uuid::now_v7().to_string())
                        .replace("{currency}", "AUD");
                    found.push((method, path));
                }
            }
        }
    }
    found
}

/// An empty object for methods with a body, since the engine checks the media type before the caller.
fn body(method: &Method) -> Option<Value> {
    (*method != Method::GET && *method != Method::DELETE).then(|| json!({}))
}

/// Routes that require an idempotency key check it first.
fn keyed() -> [(&'static str, &'static str); 1] {
    [("idempotency-key", "a-key-of-this-test")]
}

/// A token can be valid longer than its session: a route that does not ask the database would still serve it.
#[tokio::test]
async fn hand_written_routes_serve_no_session_that_ended() {
    let server = TestServer::start().await;
    let mut conn = server.superuser().await;
    let routes = for_members();
    assert!(routes.len() > 20, "{routes:?}");
    let endings = [
        (
            "session-revoked",
            "update app.sessions set revoked_at = now() where user_id = $1",
        ),
        (
            "account-suspended",
            "update app.users set status = 'suspended' where id = $1",
        ),
        (
            "account-suspended",
            "update app.users set status = 'archived' where id = $1",
        ),
    ];
    let mut served = Vec::new();
    for (at, (problem, ending)) in endings.into_iter().enumerate() {
        let member = server.member(&format!("ended{at}")).await;
        sqlx::query(ending)
            .bind(member.id)
            .execute(&mut conn)
            .await
            .expect("an end");
        for (method, path) in &routes {
            let answer = member
                .client
                .send(method.clone(), path, body(method), &keyed())
                .await;
            if (answer.status.as_u16(), answer.problem()) != (401, problem) {
                served.push(format!("{method} {path} after {ending}: {}", answer.text));
            }
        }
    }
    assert!(served.is_empty(), "{}", served.join("\n"));
    // A member with a valid session is not refused for that reason, whatever the result is.
    for (at, (method, path)) in routes.iter().enumerate() {
        if path == ENDLESS {
            continue;
        }
        let Member { client, .. } = server.member(&format!("good{at}")).await;
        let answer = client
            .send(method.clone(), path, body(method), &keyed())
            .await;
        assert_ne!(
            answer.status.as_u16(),
            401,
            "{method} {path}: {}",
            answer.text
        );
    }
    // Anonymous callers are told to authenticate.
    for (method, path) in &routes {
        let answer = server
            .client
            .send(method.clone(), path, body(method), &keyed())
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (401, "authentication-required"),
            "{method} {path}"
        );
    }
}

async fn seen(db: &Db, table: &str) -> Result<BTreeSet<String>, String> {
    let caller = Caller::anonymous(Uuid::now_v7());
    let mut cx = db.begin_read(&caller).await.expect("a connection");
    let text = format!("select id::text from app.{table}");
    let ids: Result<Vec<String>, _> = sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_all(cx.conn())
        .await;
    match ids {
        Ok(ids) => Ok(ids.into_iter().collect()),
        Err(error) => Err(error
            .as_database_error()
            .and_then(|e| e.code())
            .unwrap_or_default()
            .into_owned()),
    }
}

#[tokio::test]
async fn abuse_12_a_module_that_forgets_the_caller_sees_what_is_public() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let (mut public, mut hidden) = (0, 0);
    for entity in &model().entities {
        let seen = seen(&server.built.db, &entity.plural).await;
        if entity.internal {
            assert_eq!(seen, Err("42501".to_owned()), "{}", entity.name);
            continue;
        }
        let seen = seen.unwrap_or_else(|code| panic!("{}: {code}", entity.name));
        let resource = support::resources()[entity.name.as_str()];
        let shown = match server
            .client
            .get(&format!("/{}?limit=1", resource.path))
            .await
            .status
            .as_u16()
        {
            200 => all(&server.client, &format!("/{}", resource.path)).await,
            // Anonymous callers see nothing of it.
            _ => Vec::new(),
        };
        let shown: BTreeSet<String> = support::pages::ids(&shown)
            .into_iter()
            .map(str::to_owned)
            .collect();
        assert_eq!(seen, shown, "{}", entity.name);
        let text = format!("select count(*) from app.{}", entity.plural);
        let all: i64 = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut conn)
            .await
            .expect("counted");
        public += seen.len();
        hidden += all as usize - seen.len();
    }
    assert!(
        public > 500 && hidden > 500,
        "{public} public, {hidden} hidden"
    );
}

/// The pools are private to `kernel::cx`, so other code would have to open connections itself.
#[tokio::test]
async fn abuse_12_no_code_of_the_application_opens_a_connection() {
    let mut files = Vec::new();
    for folder in ["runtime/app/src", "generated/src"] {
        collect(&support::root().join(folder), &mut files);
    }
    assert!(files.len() > 50, "{} files", files.len());
    for (path, text) in files {
        for word in [
            "PgPool",
            "PgConnection",
            "PgConnectOptions",
            "PoolOptions",
            "connect(",
        ] {
            assert!(!text.contains(word), "{path} names {word}");
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("a text");
            files.push((path.display().to_string(), text));
        }
    }
}
