//! What a client meets before any route: the page at `/`, ids of requests, compression, one's own machine as an origin.

use crate::support::{
    Database, TestServer,
    database::Content,
    people::{PASSWORD, address, sign_up},
    program::Program,
    rows,
    socket::talk,
};
use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Read;
use uuid::Uuid;

#[tokio::test]
async fn the_first_page_says_what_this_is_and_where_to_go() {
    for docs in [true, false] {
        let server = TestServer::start_with(Content::Empty, |parts| parts.api_docs = docs).await;
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let page = server
            .client
            .send(Method::GET, "/", None, &[("accept", browser)])
            .await
            .expect(200);
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(page.text.contains("<h1>CulturePass"), "{}", page.text);
        let told = server.client.get("/").await.expect(200);
        assert!(
            told.json["name"]
                .as_str()
                .is_some_and(|name| name.starts_with("CulturePass"))
        );
        let links = told.json["links"].as_object().expect("links");
        assert_eq!(links.contains_key("docs"), docs);
        for link in links.values().filter_map(Value::as_str) {
            assert!(page.text.contains(&format!("href=\"{link}\"")), "{link}");
            server.client.get(link).await.expect(200);
        }
        let varies = |answer: &crate::support::Answer| {
            let all: Vec<_> = answer.headers.get_all("vary").iter().collect();
            all.iter().any(|value| *value == "accept")
        };
        assert!(varies(&page) && varies(&told));
    }
}

/// Claim: a client finds its own id in the answer; in the audit log there is one of ours.
#[tokio::test]
async fn a_request_keeps_the_id_that_it_came_with() {
    let server = TestServer::start().await;
    let mira = server.member("mira").await;
    let ask = async |id: &str, path: &str| {
        let headers = [("x-request-id", id)];
        mira.client.send(Method::GET, path, None, &headers).await
    };
    let own = Uuid::new_v4().to_string();
    for path in ["/countries", "/nowhere", "/events?limit=0", "/events/1"] {
        let answer = ask(&own, path).await;
        assert_eq!(answer.header("x-request-id"), Some(own.as_str()), "{path}");
        if answer.status.as_u16() >= 400 {
            assert_eq!(answer.json["instance"], format!("urn:uuid:{own}"), "{path}");
        }
    }
    let bare = own.replace('-', "");
    for other in [
        "",
        "1",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        bare.as_str(),
        "urn:uuid:0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e",
        "0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e, 0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e",
    ] {
        let answer = ask(other, "/countries").await;
        let told = answer.header("x-request-id").expect("an id");
        assert_ne!(told, other);
        let told: Uuid = told.parse().expect("an id of ours");
        assert_eq!(told.get_version_num(), 7, "{other}");
    }
    let path = format!("/users/{}", mira.id);
    let tag = mira.client.get(&path).await.etag();
    let headers = [("x-request-id", own.as_str()), ("if-match", tag.as_str())];
    let body = Some(json!({"bio": "New here."}));
    mira.client
        .send(Method::PATCH, &path, body, &headers)
        .await
        .expect(200);
    let logged: Uuid = sqlx::query_scalar(
        "select request_id from audit.audit_logs where entity_id = $1 and action = 'update'",
    )
    .bind(mira.id)
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("one change");
    assert_ne!(logged.to_string(), own);
}

struct Fetched {
    headers: reqwest::header::HeaderMap,
    bytes: Vec<u8>,
}

impl Fetched {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn is_gzip(&self) -> bool {
        self.header("content-encoding") == Some("gzip")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        match self.is_gzip() {
            true => GzDecoder::new(&self.bytes[..]).read_to_string(&mut text),
            false => self.bytes.as_slice().read_to_string(&mut text),
        }
        .expect("a text");
        text
    }
}

async fn fetch(url: &str, headers: &[(&str, &str)]) -> Fetched {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("client");
    let mut request = client.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    Fetched {
        headers: answer.headers().clone(),
        bytes: answer.bytes().await.expect("bytes").to_vec(),
    }
}

/// Claim: every list answers in fewer bytes to whoever takes them, and with the same text to everybody.
#[tokio::test]
async fn answers_are_compressed_for_those_who_can_read_them() {
    let server = TestServer::sample().await;
    let base = server.client.base().to_owned();
    let mut smaller = 0;
    let lists = crate::support::resources();
    let paths = lists.values().map(|resource| format!("/{}", resource.path));
    for path in paths.chain(["/openapi.json", "/countries", "/nowhere"].map(str::to_owned)) {
        let url = format!("{base}{path}");
        let plain = fetch(&url, &[]).await;
        assert!(!plain.is_gzip(), "{path}");
        let small = fetch(&url, &[("accept-encoding", "gzip, br")]).await;
        assert_eq!(small.is_gzip(), plain.bytes.len() >= 1024, "{path}");
        if !small.is_gzip() {
            continue;
        }
        assert!(small.bytes.len() < plain.bytes.len(), "{path}");
        let varies = small
            .headers
            .get_all("vary")
            .iter()
            .any(|value| value == "accept-encoding");
        assert!(varies, "{path}");
        if plain.header("content-type") == Some("application/json") {
            assert_eq!(small.text(), plain.text(), "{path}");
        }
        smaller += 1;
        for refused in ["identity", "gzip;q=0", "br"] {
            let answer = fetch(&url, &[("accept-encoding", refused)]).await;
            assert!(!answer.is_gzip(), "{path} {refused}");
        }
    }
    assert!(smaller >= 5, "{smaller}");
}

/// Claim: the tag of a compressed answer is weak, is known again, and is good enough for a change.
#[tokio::test]
async fn a_weak_tag_leads_to_the_same_object() {
    let server = TestServer::demo().await;
    let people = rows::people(&mut server.superuser().await).await;
    let resource = crate::support::resources()["community"];
    let right = rows::who_may(&server.database, &people, resource, "update").await;
    let right = right.expect("somebody who may");
    let member = server.sign_in(right.person).await;
    let path = format!("/communities/{}", right.row);
    let url = format!("{}{path}", server.client.base());
    let long = "A long story. ".repeat(100);
    let strong = member.client.get(&path).await.etag();
    member
        .client
        .patch(&path, &strong, json!({"description": long}))
        .await
        .expect(200);
    let bearer = format!("Bearer {}", member.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept-encoding", "gzip"),
    ];
    let fetched = fetch(&url, &headers).await;
    assert!(fetched.is_gzip() && fetched.text().contains(&long));
    let weak = fetched.header("etag").expect("a tag").to_owned();
    assert!(weak.starts_with("W/\""), "{weak}");
    let again = [("if-none-match", weak.as_str())];
    member
        .client
        .send(Method::GET, &path, None, &again)
        .await
        .expect(304);
    member
        .client
        .patch(&path, &weak, json!({"description": "Short."}))
        .await
        .expect(200);
    member
        .client
        .patch(&path, &weak, json!({"description": "Late."}))
        .await
        .expect(412);
}

/// Tokens do not travel in answers whose length tells of them.
#[tokio::test]
async fn answers_with_secrets_are_left_as_they_are() {
    let server = TestServer::start().await;
    sign_up(&server, "mira").await;
    let body = json!({"email": address("mira"), "password": PASSWORD});
    let headers = [("accept-encoding", "gzip")];
    let answer = server
        .client
        .send(Method::POST, "/auth/sign-in", Some(body), &headers)
        .await
        .expect(200);
    assert_eq!(
        answer.header("cache-control"),
        Some("no-store, no-transform")
    );
    assert_eq!(answer.header("content-encoding"), None);
}

#[tokio::test]
async fn pages_of_ones_own_machine_may_call_only_in_development() {
    for local in [true, false] {
        let server =
            TestServer::start_with(Content::Empty, |parts| parts.http.cors_localhost = local).await;
        for (origin, is_own) in [
            ("http://localhost:5173", true),
            ("http://127.0.0.1:3000", true),
            ("http://[::1]:8081", true),
            ("http://localhost.evil.example", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "PATCH"),
            ];
            for method in [Method::GET, Method::OPTIONS] {
                let answer = server
                    .client
                    .send(method, "/countries", None, &headers)
                    .await;
                let allowed = answer.header("access-control-allow-origin");
                assert_eq!(allowed, (local && is_own).then_some(origin), "{origin}");
                if allowed.is_some() && answer.status == 204 {
                    let told = answer
                        .header("access-control-allow-headers")
                        .unwrap_or_default();
                    assert!(
                        told.contains("x-request-id") && told.contains("if-match"),
                        "{told}"
                    );
                } else if allowed.is_some() {
                    let told = answer
                        .header("access-control-expose-headers")
                        .unwrap_or_default();
                    assert!(
                        told.contains("x-request-id") && told.contains("etag"),
                        "{told}"
                    );
                }
            }
        }
    }
}

/// Only the setting of the environment lets them in.
#[tokio::test]
async fn the_program_lets_local_pages_in_only_in_development() {
    let database = Database::new(Content::Empty).await;
    for environment in ["development", "production"] {
        let program = Program::serve(&database, |command| {
            command.env("CULTUREPASS_ENV", environment);
        })
        .await;
        let headers = [("origin", "http://localhost:3000")];
        let answer = program
            .client
            .send(Method::GET, "/countries", None, &headers)
            .await;
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed.is_some(), environment == "development");
    }
}

/// Also what never becomes a request is answered with a problem.
#[tokio::test]
async fn a_head_that_is_too_long_or_no_http_is_told_so() {
    let server = TestServer::start_with(Content::Empty, |_| {}).await;
    let get = |target: &str, headers: String| {
        format!("GET {target} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}\r\n")
    };
    let long = |bytes: usize| format!("x: {}\r\n", "x".repeat(bytes));
    let cases = [
        (get("/countries", long(20_000)), 431, "headers-too-large"),
        (get("/countries", long(60_000)), 431, "headers-too-large"),
        (
            get("/countries", "x: y\r\n".repeat(150)),
            431,
            "headers-too-large",
        ),
        (
            get(
                &format!("/countries?q={}", "x".repeat(20_000)),
                String::new(),
            ),
            431,
            "headers-too-large",
        ),
        ("GET /countries\r\n\r\n".to_owned(), 400, "bad-request"),
        ("G\0T / HTTP/1.1\r\n\r\n".to_owned(), 400, "bad-request"),
        (
            get("/countries", "no colon\r\n".to_owned()),
            400,
            "bad-request",
        ),
    ];
    for (request, status, problem) in cases {
        let start: String = request.chars().take(40).collect();
        let answer = talk(server.client.base(), &request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{start}: {answer}"
        );
        assert!(
            head.contains("application/problem+json") && head.contains("x-request-id: "),
            "{head}"
        );
        let body: Value = serde_json::from_str(body).expect("a problem");
        assert_eq!(body["type"], format!("/problems/{problem}"), "{start}");
    }
}
