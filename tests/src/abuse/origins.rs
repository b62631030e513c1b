//! Requests from other web sites, and caches.

use crate::support::{Answer, TestServer, database::Content};
use reqwest::Method;

const OURS: &str = "https://app.example.org";

const STRANGERS: [&str; 9] = [
    "https://evil.example.org",
    "null",
    "https://app.example.org.evil.example",
    "https://evil.example/https://app.example.org",
    "http://app.example.org",
    "https://app.example.org:444",
    "https://APP.example.org",
    "https://app.example.org/",
    "*",
];

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn abuse_58_only_our_own_pages_may_read_answers() {
    let server = TestServer::start_with(Content::Empty, |parts| {
        parts.http.cors_origins = vec![OURS.to_owned()];
    })
    .await;
    let mira = server.member("mira").await;
    let requests = [
        (Method::GET, "/countries"),
        (Method::GET, "/me"),
        (Method::GET, "/nowhere"),
        (Method::POST, "/auth/sign-in"),
        (Method::OPTIONS, "/events"),
        (Method::DELETE, "/events"),
    ];
    for (method, path) in requests {
        for client in [&server.client, &mira.client] {
            for origin in STRANGERS {
                let headers = [
                    ("origin", origin),
                    ("access-control-request-method", "DELETE"),
                ];
                let answer = client.send(method.clone(), path, None, &headers).await;
                assert_eq!(allowed(&answer), None, "{method} {path} {origin}");
                no_credentials(&answer);
            }
            let answer = client
                .send(method.clone(), path, None, &[("origin", OURS)])
                .await;
            assert_eq!(allowed(&answer), Some(OURS), "{method} {path}");
            no_credentials(&answer);
            let varies = answer
                .headers
                .get_all("vary")
                .iter()
                .any(|value| value == "origin");
            assert!(varies, "{method} {path}: {:?}", answer.headers);
        }
    }
}

#[track_caller]
fn no_credentials(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_ne!(allowed(answer), Some("*"));
}

#[tokio::test]
async fn abuse_58_without_origins_nobody_is_one_of_ours() {
    let server = TestServer::start_with(Content::Empty, |_| {}).await;
    for origin in STRANGERS.into_iter().chain([OURS]) {
        let headers = [("origin", origin), ("access-control-request-method", "GET")];
        for method in [Method::GET, Method::OPTIONS] {
            let answer = server
                .client
                .send(method, "/countries", None, &headers)
                .await;
            assert_eq!(allowed(&answer), None, "{origin}");
        }
    }
}

#[tokio::test]
async fn abuse_58_answers_protect_themselves_and_caches_keep_none_of_a_member() {
    let server = TestServer::start_with(Content::Reference, |_| {}).await;
    let mira = server.member("mira").await;
    let paths = [
        "/countries",
        "/me",
        "/users",
        "/nowhere",
        "/events/1",
        "/events?limit=0",
        "/openapi.json",
        "/problems",
        "/me/sessions",
    ];
    for path in paths {
        for (client, credential) in [
            (&server.client, false),
            (&mira.client, true),
            (&server.client.with_token("nonsense"), true),
        ] {
            let answer = client.get(path).await;
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{path}");
            }
            let policy = answer.header("content-security-policy").unwrap_or_default();
            assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
            let varies = answer
                .headers
                .get_all("vary")
                .iter()
                .any(|value| value == "authorization");
            assert!(varies, "{path}: {:?}", answer.headers);
            let cache = answer.header("cache-control").unwrap_or_default();
            if credential || answer.status.as_u16() >= 400 {
                assert!(
                    cache.split(", ").any(|word| word == "no-store"),
                    "{path}: {cache}"
                );
            }
            // Otherwise caches choose themselves how long they keep it.
            assert!(!cache.is_empty(), "{path}");
            assert!(!cache.contains("public") || !credential, "{path}: {cache}");
        }
    }
    // Answers about tokens are never cached, even if the request had no token.
    let body = serde_json::json!({"email": "mira@example.org", "password": "wrong wrong"});
    let answer = server.client.post("/auth/sign-in", body).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}
