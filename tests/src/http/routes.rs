//! The running server and its document have the same routes, and no other spelling of a path leads to them.

use super::{
    operations::{self, documented},
    people,
    same::seen,
};
use crate::{
    abuse::fields::checksum,
    support::{Answer, Client, TestServer, events::ENDLESS},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

/// The pages that show the document are for people and not part of it.
const PAGES: [&str; 4] = [
    "/docs",
    "/docs/",
    "/docs/swagger-initializer.js",
    "/docs/{*file}",
];
/// Answered outside of the router, even under full load.
const BESIDE: [&str; 1] = ["/livez"];

type Paths = BTreeMap<String, BTreeSet<String>>;

#[tokio::test]
async fn abuse_42_the_router_and_the_document_hold_the_same_routes() {
    let server = TestServer::start().await;
    let document = served(&server).await;
    let mut registered = registered(&format!("{:?}", server.built.router));
    for page in PAGES {
        assert!(registered.remove(page).is_some(), "{page} is gone");
    }
    let mut documented = paths(&document);
    for path in BESIDE {
        assert!(
            documented.remove(path).is_some(),
            "{path} is not documented"
        );
    }
    let all: BTreeSet<&String> = registered.keys().chain(documented.keys()).collect();
    let differ = |path: &&&String| registered.get(**path) != documented.get(**path);
    let differences: Vec<String> = all
        .iter()
        .filter(differ)
        .map(|path| {
            format!(
                "{path}: router {:?}, document {:?}",
                registered.get(*path),
                documented.get(*path)
            )
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(
        registered.len() > 200,
        "only {} paths were found",
        registered.len()
    );
}

#[tokio::test]
async fn abuse_42_every_documented_operation_is_answered_by_a_handler() {
    let server = TestServer::start().await;
    let member = server.member("somebody").await;
    let document = served(&server).await;
    for (title, _) in documented(&document) {
        let (method, path) = title.split_once(' ').expect("a title");
        let answer = send(&member.client, method, path).await;
        let fallback = ["no-such-route", "method-not-allowed"].contains(&answer.problem());
        // The page of an unknown problem is answered like an unknown route, and so is an unknown part of the document.
        assert!(
            !fallback || ["/problems/{slug}", "/openapi/{file}"].contains(&path),
            "{title}: {}",
            answer.text
        );
    }
    // The negative control: the fallbacks can be recognized.
    assert_eq!(
        send(&member.client, "GET", "/nowhere").await.problem(),
        "no-such-route"
    );
    assert_eq!(
        send(&member.client, "PUT", "/events").await.problem(),
        "method-not-allowed"
    );
}

/// Addresses that other programs than clients of the API open and may add parameters to. Those of links in mails take
/// a token.
const FREE: [&str; 8] = [
    "/calendar-feeds/{file}",
    "/media/files/{key}/{name}",
    "/media/uploads/{id}/file",
    "/notifications/unsubscribe",
    "/waitlist-entries/leave",
    "/webhooks/",
    "/problems",
    "/openapi",
];

/// Claim: no operation ignores a query parameter that it does not know, whether it is generated or hand-written.
#[tokio::test]
async fn abuse_42_no_operation_ignores_an_unknown_parameter() {
    let server = TestServer::start().await;
    let member = server.member("somebody").await;
    let document = served(&server).await;
    let own = serde_json::to_value(app::api::hand_written()).expect("JSON");
    let (mut refused, mut bare) = (0, 0);
    for (title, _) in documented(&document) {
        let (method, path) = title.split_once(' ').expect("a title");
        if FREE.iter().any(|free| path.starts_with(free)) || BESIDE.contains(&path) || path == "/" {
            continue;
        }
        let target = format!("{path}?nonsense=1");
        let answer = send(&member.client, method, &target).await;
        let errors = answer.json["errors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let is_named = errors
            .iter()
            .any(|error| error["parameter"] == "nonsense" && error["code"] == "unknown");
        assert!(answer.status.is_client_error(), "{title}: {}", answer.text);
        // Other answers come first: the caller may have no role for it, or the object is gone.
        refused += i32::from(is_named);
        let operation = &own["paths"][path][method.to_lowercase()];
        let takes_query = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|parameter| parameter["in"] == "query");
        if operation.is_object() && !takes_query {
            assert!(is_named, "{title}: {}", answer.text);
            bare += 1;
        }
    }
    assert!(refused > 150 && bare > 60, "{refused}, {bare}");
    // Without a token, where one is needed, that is the answer.
    let answer = server.client.get("/me/wallet?nonsense=1").await;
    answer.expect(401);
    // Links in mails come back with parameters of those who count clicks.
    for path in ["/notifications/unsubscribe", "/waitlist-entries/leave"] {
        for method in ["GET", "POST"] {
            let answer = send(
                &server.client,
                method,
                &format!("{path}?token=x&utm_source=mail"),
            )
            .await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
            let answer = send(&server.client, method, &format!("{path}?utm_source=mail")).await;
            assert_eq!(answer.status, 422, "{method} {path}: {}", answer.text);
            assert_eq!(
                answer.json["errors"][0]["parameter"], "token",
                "{method} {path}"
            );
        }
    }
}

/// Claim: `{}` and `null`, which HTTP libraries send with every POST, are no body. Anything else is refused.
#[tokio::test]
async fn abuse_42_an_empty_object_is_no_body() {
    let server = TestServer::start().await;
    let member = server.member("somebody").await;
    let client = &member.client;
    let body = json!({"channel": "push", "type": "all", "enabled": true});
    for none in ["{}", "null", " { }\n", ""] {
        let made = client.post("/notification-preferences", body.clone()).await;
        let path = format!("/notification-preferences/{}", made.expect(201).id());
        let media = Some(("{\"enabled\":false}", "application/json"));
        let refused = client.send_text(Method::DELETE, &path, media, &[]).await;
        refused.expect(422);
        let media = Some((none, "application/json"));
        let answer = client.send_text(Method::DELETE, &path, media, &[]).await;
        answer.expect(204);
    }
}

#[tokio::test]
async fn abuse_41_other_methods_are_405_and_say_which_there_are() {
    let server = TestServer::start().await;
    let member = server.member("somebody").await;
    let document = served(&server).await;
    let beside = |path: &&String| !BESIDE.contains(&path.as_str());
    for path in paths(&document).keys().filter(beside) {
        let known = &paths(&document)[path];
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
        ] {
            if known.contains(method) {
                continue;
            }
            for client in [&server.client, &member.client] {
                let answer = send(client, method, path).await;
                assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text);
                let allow = answer.header("allow").unwrap_or_default();
                let allowed: BTreeSet<String> =
                    allow.split(',').map(|one| one.trim().to_owned()).collect();
                assert_eq!(&allowed, known, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn abuse_41_head_is_get_without_the_body() {
    let server = TestServer::start().await;
    let member = server.member("somebody").await;
    let document = served(&server).await;
    for (path, _) in paths(&document)
        .iter()
        .filter(|(path, methods)| methods.contains("GET") && path.as_str() != ENDLESS)
    {
        for client in [&server.client, &member.client] {
            let get = send(client, "GET", path).await;
            let head = send(client, "HEAD", path).await;
            assert_eq!(head.text, "", "{path}");
            let headers = |answer: &Answer| {
                let seen = seen(answer);
                // The transfer encoding belongs to the connection.
                let lines = seen.lines().filter(|line| {
                    !line.starts_with("ratelimit") && !line.starts_with("transfer-encoding")
                });
                let lines: Vec<&str> = lines.collect();
                lines[..lines.len() - 1].join("\n")
            };
            assert_eq!(headers(&head), headers(&get), "{path}");
        }
    }
}

/// Another spelling is another path, which does not exist.
#[tokio::test]
async fn abuse_44_no_other_spelling_leads_to_an_operation() {
    let server = people::server().await;
    let paula = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let mut conn = server.superuser().await;
    for resource in generated::hooks::RESOURCES {
        let path = resource.path;
        let text = format!("select id from app.{} order by id limit 1", resource.plural);
        let id: Option<Uuid> = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_optional(&mut conn)
            .await
            .expect("an id");
        let id = id.unwrap_or_default();
        let (first, rest) = path.split_at(1);
        let upper = path.to_uppercase();
        for target in [
            format!("/{path}/"),
            format!("//{path}"),
            format!("/{path}//{id}"),
            format!("/{path}/{id}/"),
            format!("/{upper}/{id}"),
            format!("/{}{rest}/{id}", first.to_uppercase()),
            format!("/%{:02x}{rest}/{id}", first.as_bytes()[0]),
            format!("/users/%2e%2e/{path}/{id}"),
            format!("/users/../{path}/{id}"),
            format!("/./{path}/{id}"),
            format!("/users/..%2f{path}/{id}"),
            format!("/{path}%2f{id}"),
            format!("/{path}/{id}%00"),
            format!("/{path};v=1/{id}"),
            format!("/{path}/{id}.json"),
        ] {
            for method in ["GET", "DELETE"] {
                let status = raw(&server, method, &target, &paula.token).await;
                // With an invalid id, the caller may also be refused because of missing roles.
                let garbled = target.starts_with(&format!("/{path}/{id}")) && status == 403;
                assert!(
                    matches!(status, 404 | 405) || garbled,
                    "{method} {target}: {status}"
                );
            }
        }
        let status = raw(&server, "get", &format!("/{path}/{id}"), &paula.token).await;
        assert_eq!(status, 405, "a method in small letters");
    }
}

/// Headers by which some servers allow overriding the method.
const HEADERS: [(&str, &str); 3] = [
    ("x-http-method-override", "DELETE"),
    ("x-http-method", "PUT"),
    ("x-method-override", "delete"),
];
const PARAMETERS: [&str; 3] = ["_method=DELETE", "method=delete", "_METHOD=PUT"];

/// At every path of every entity, the header has no effect, and the parameter is unknown.
#[tokio::test]
async fn abuse_44_a_header_or_parameter_does_not_choose_the_method() {
    let server = people::server().await;
    let paula = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let mut conn = server.superuser().await;
    let before = checksum(&mut conn).await;
    let (mut seen, mut tried) = (0, BTreeSet::new());
    for operation in operations::all() {
        if !tried.insert(operation.template()) {
            continue;
        }
        let text = format!(
            "select id::text from app.{} order by id limit 1",
            operation.resource.plural
        );
        let id: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_optional(&mut conn)
            .await
            .expect("an id");
        let path = operation.path(&id.unwrap_or_default());
        seen += usize::from(chooses_nothing(&paula.client, &path).await);
    }
    assert!(seen > 60 && tried.len() > 150, "{seen} of {}", tried.len());
    assert_eq!(before, checksum(&mut conn).await);
}

/// Returns whether GET answers 200 at the path.
async fn chooses_nothing(client: &Client, path: &str) -> bool {
    let nonsense = || Some(json!({"_method": "DELETE"}));
    let get = client.get(path).await;
    let post = client.send(Method::POST, path, nonsense(), &[]).await;
    assert!(!post.status.is_success(), "POST {path}: {}", post.text);
    for (name, method) in HEADERS {
        let headers = [(name, method), ("if-match", "*")];
        let again = client.send(Method::GET, path, None, &headers).await;
        assert_eq!(again.told(), get.told(), "GET {path} with {name}: {method}");
        let again = client.send(Method::POST, path, nonsense(), &headers).await;
        assert_eq!(
            again.told(),
            post.told(),
            "POST {path} with {name}: {method}"
        );
    }
    // A path without GET answers 405, and a caller who may not read it at all gets 403 first.
    let refused = match get.status.as_u16() {
        status @ (403 | 405) => status,
        _ => 422,
    };
    for parameter in PARAMETERS {
        let target = format!("{path}?{parameter}");
        assert_eq!(client.get(&target).await.status, refused, "GET {target}");
        let status = client
            .send(Method::POST, &target, nonsense(), &[])
            .await
            .status;
        // Hand-written routes without a body refuse unknown parameters before they read a key.
        assert!(
            status == post.status || status == 422,
            "POST {target}: {status}, not {}",
            post.status
        );
    }
    get.status == 200
}

async fn served(server: &TestServer) -> Value {
    server.client.get("/openapi.json").await.expect(200).json
}

/// Paths and methods of a document, with HEAD wherever there is GET.
fn paths(document: &Value) -> Paths {
    let mut paths = Paths::new();
    for (title, _) in documented(document) {
        let (method, path) = title.split_once(' ').expect("a title");
        let methods = paths.entry(path.to_owned()).or_default();
        methods.insert(method.to_owned());
        if method == "GET" {
            methods.insert("HEAD".to_owned());
        }
    }
    paths
}

/// Parses the router's debug output: `RouteId(7): MethodRouter(… allow_header: Bytes(b"GET,HEAD") …)` and `RouteId(7):
/// "/events"`. Its routes can't be obtained in another way.
fn registered(router: &str) -> Paths {
    let (mut names, mut methods) = (BTreeMap::new(), BTreeMap::new());
    for part in router.split("RouteId(").skip(1) {
        let Some((id, rest)) = part.split_once("): ") else {
            continue;
        };
        if let Some(path) = rest.strip_prefix('"') {
            // The fallback's own routes are numbered from 0 again; they come last.
            let path = path.split('"').next().expect("a path");
            names.entry(id).or_insert(path);
        } else if let Some((_, allow)) = rest.split_once("allow_header: Bytes(b\"") {
            let allow = allow.split('"').next().expect("methods");
            let allow = allow.split(',').map(str::to_owned).collect();
            methods.entry(id).or_insert(allow);
        }
    }
    let path =
        |(id, methods): (&str, BTreeSet<String>)| Some(((*names.get(id)?).to_owned(), methods));
    methods.into_iter().filter_map(path).collect()
}

/// Sends a request with ids that do not exist, and an object as the body.
async fn send(client: &crate::support::Client, method: &str, path: &str) -> Answer {
    let never = Uuid::nil().to_string();
    let path = path
        .replace("{id}", &never)
        .replace("{slug}", "no-such-problem");
    let body = matches!(method, "POST" | "PUT" | "PATCH").then(|| serde_json::json!({}));
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    // Without a key, operations about money answer that first.
    let key = Uuid::new_v4().to_string();
    client
        .send(method, &path, body, &[("idempotency-key", &key)])
        .await
}

/// Sends a request line exactly as written, which clients would normalize. Returns the status.
async fn raw(server: &TestServer, method: &str, target: &str, token: &str) -> u16 {
    let address = server.client.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nif-match: *\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("{method} {target}: {answer}"))
}
