//! What merging does to documents, and what the routes answer.

use super::{Examples, document, examples, router};
use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;
use utoipa::{OpenApi, ToSchema};

const GENERATED: &str = r##"{
  "openapi": "3.1.0",
  "info": {"title": "Test", "version": "1.0.0"},
  "tags": [{"name": "Things", "description": "Things."}],
  "x-tagGroups": [{"name": "All", "tags": ["Things"]}],
  "paths": {"/things": {"get": {"tags": ["Things"], "responses": {"200": {"description": "The page."},
    "default": {"description": "others", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}}}}},
  "components": {
    "schemas": {"Problem": {"type": "object", "description": "the generated one"}},
    "responses": {
      "401": {"description": "401", "content": {"application/problem+json": {"example": {"status": 401}}}},
      "409": {"description": "409", "content": {"application/problem+json": {"example": {"status": 409}}}},
      "default": {"description": "others", "content": {"application/problem+json": {"example": {"status": 429}}}},
      "NotModified": {"description": "304"}
    },
    "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}
  }
}"##;

#[derive(ToSchema)]
#[allow(dead_code, reason = "described, never made")]
struct SignIn {
    email: String,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "described, never made")]
struct Problem {
    title: String,
}

#[utoipa::path(
    post, path = "/sessions", tag = "Sessions", request_body = SignIn,
    responses((status = 201, description = "Signed in."), (status = 409, description = "Taken.", body = Problem))
)]
#[allow(dead_code, reason = "described, never called")]
fn sign_in() {}

#[utoipa::path(delete, path = "/me", tag = "Me", responses((status = 204, description = "Gone.")))]
#[allow(dead_code, reason = "described, never called")]
fn sign_out() {}

#[utoipa::path(post, path = "/things", tag = "Things", responses((status = 200, description = "Done.")))]
#[allow(dead_code, reason = "described, never called")]
fn add_thing() {}

#[derive(OpenApi)]
#[openapi(paths(sign_in, sign_out, add_thing), tags((name = "Sessions", description = "Signing in.")))]
struct HandWritten;

fn merged() -> Value {
    document(GENERATED, HandWritten::openapi).expect("a document")
}

#[test]
fn hand_written_routes_come_first_and_share_paths() {
    let merged = merged();
    let tags: Vec<&Value> = merged["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    assert_eq!(
        tags,
        ["Sessions", "Me", "Things", "About the API"],
        "declared or not"
    );
    let chapters: Vec<&Value> = merged["x-tagGroups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| &group["tags"])
        .collect();
    assert_eq!(
        json!(chapters),
        json!([["Sessions", "Me"], ["Things"], ["About the API"]])
    );
    let things: Vec<&String> = merged["paths"]["/things"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(things, ["post", "get"]);
    assert_eq!(
        merged["info"]["title"], "Test",
        "the generated document says what this is"
    );
    assert!(merged["paths"]["/problems/{slug}"].is_object());
}

#[test]
fn components_are_there_once_and_generated_ones_win() {
    let merged = merged();
    assert_eq!(
        merged["components"]["schemas"]["Problem"]["description"],
        "the generated one"
    );
    assert!(merged["components"]["schemas"]["SignIn"].is_object());
    assert!(merged["components"]["securitySchemes"]["bearer"].is_object());
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "described, never made")]
struct Wish {
    text: String,
    note: Option<String>,
    of: Option<Person>,
}

/// Sent and answered.
#[derive(ToSchema)]
#[allow(dead_code, reason = "described, never made")]
struct Person {
    name: String,
    town: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "described, never made")]
struct Granted {
    text: String,
    note: Option<String>,
    to: Option<Person>,
    places: Vec<Seat>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "described, never made")]
struct Seat {
    row: Option<i32>,
}

#[utoipa::path(
    post, path = "/wishes", tag = "Wishes", request_body = Wish,
    responses((status = 200, description = "Granted.", body = Granted))
)]
#[allow(dead_code, reason = "described, never called")]
fn wish() {}

#[derive(OpenApi)]
#[openapi(paths(wish))]
struct Wishes;

#[test]
fn what_is_only_answered_has_all_of_its_properties() {
    let merged = document(GENERATED, Wishes::openapi).expect("a document");
    let required = |name: &str| {
        let names = merged["components"]["schemas"][name]["required"].as_array();
        let mut names: Vec<&str> = (names.into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(required("Granted"), ["note", "places", "text", "to"]);
    assert_eq!(required("Seat"), ["row"]);
    assert_eq!(required("Wish"), ["text"]);
    assert_eq!(required("Person"), ["name"]);
    let note = &merged["components"]["schemas"]["Granted"]["properties"]["note"];
    assert_eq!(note["type"], json!(["string", "null"]), "null as before");
}

#[test]
fn problem_answers_take_the_shared_form() {
    let responses = &merged()["paths"]["/sessions"]["post"]["responses"];
    assert_eq!(responses["201"]["description"], "Signed in.");
    assert_eq!(
        responses["default"],
        json!({"$ref": "#/components/responses/default"}),
        "added"
    );
    assert_eq!(
        responses["409"],
        json!({"description": "Taken.", "content": {"application/problem+json": {"example": {"status": 409}}}}),
        "replaced, and in place, because nothing else refers to it"
    );
}

/// The table in the handbook is the list in the code, row by row.
#[test]
fn the_handbook_lists_every_problem_type() {
    let page = include_str!("../../../../docs/api-design.md");
    let rows: Vec<String> = page
        .lines()
        .filter(|line| line.contains("| `/problems/"))
        .map(|line| {
            line.split('|')
                .skip(1)
                .take(2)
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    let list: Vec<String> = crate::problems::ALL
        .iter()
        .map(|kind| format!("{} `/problems/{}`", kind.status, kind.slug))
        .collect();
    assert_eq!(rows, list);
}

/// Each convention is shown in curl and in TypeScript, one after the other; `script/sdks examples` runs them.
#[test]
fn the_handbook_has_every_example_in_both_languages() {
    let page = include_str!("../../../../docs/api-design.md");
    // No server has limits that a test can rely on.
    let without = ["Limits", "Known quirks"];
    for section in page.split("\n## ") {
        let title = section.lines().next().expect("a title");
        let shown: Vec<&str> = section
            .lines()
            .filter(|line| ["```sh", "```ts"].contains(line))
            .collect();
        let is_shown = !shown.is_empty() || without.contains(&title);
        assert!(is_shown, "{title} has no example");
        for pair in shown.chunks(2) {
            assert_eq!(pair, ["```sh", "```ts"], "{title}");
        }
    }
}

#[tokio::test]
async fn the_document_has_an_etag() {
    let app = router(
        || GENERATED,
        HandWritten::openapi,
        vec!["/".to_owned()],
        examples(Vec::new()),
    );
    let first = get(&app, "/openapi.json", None).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()["content-type"], "application/json");
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    let mut whole = merged();
    whole["servers"] = json!([{"url": "/"}]);
    assert_eq!(
        serde_json::from_slice::<Value>(&body(first).await).unwrap(),
        whole
    );
    let again = get(&app, "/openapi.json", Some(&etag)).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(body(again).await.is_empty());
    let other = get(&app, "/openapi.json", Some("\"other\"")).await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn swagger_ui_is_served_from_the_binary() {
    let app = router(
        || GENERATED,
        HandWritten::openapi,
        vec!["/".to_owned()],
        examples(Vec::new()),
    );
    assert_eq!(
        get(&app, "/docs", None).await.headers()["location"],
        "/docs/"
    );
    let page = get(&app, "/docs/", None).await;
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let html = String::from_utf8(body(page).await).unwrap();
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "nothing from elsewhere: {html}"
    );
    let script =
        String::from_utf8(body(get(&app, "/docs/swagger-initializer.js", None).await).await)
            .unwrap();
    for (name, url) in [
        ("Everything", "/openapi.json"),
        ("All", "/openapi/all.json"),
        ("About the API", "/openapi/about-the-api.json"),
    ] {
        let entry = json!({"name": name, "url": url}).to_string();
        assert!(script.contains(&entry), "{entry} in {script}");
        assert_eq!(get(&app, url, None).await.status(), StatusCode::OK);
    }
    assert!(script.contains("persistAuthorization: true"), "{script}");
    assert_eq!(
        get(&app, "/openapi/other.json", None).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        get(&app, "/docs/swagger-ui-bundle.js", None).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        get(&app, "/docs/nothing", None).await.status(),
        StatusCode::NOT_FOUND
    );
}

async fn get(app: &Router, path: &str, etag: Option<&str>) -> Response<Body> {
    let mut request = Request::get(path);
    if let Some(etag) = etag {
        request = request.header("if-none-match", etag);
    }
    app.clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn body(response: Response<Body>) -> Vec<u8> {
    response
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes()
        .to_vec()
}

#[tokio::test]
async fn a_part_has_the_operations_of_its_group_and_what_they_refer_to() {
    let app = router(
        || GENERATED,
        HandWritten::openapi,
        vec!["/".to_owned()],
        examples(vec![("Signed in.".into(), "Done so.".into())]),
    );
    let part: Value =
        serde_json::from_slice(&body(get(&app, "/openapi/sessions.json", None).await).await)
            .unwrap();
    assert_eq!(part["info"]["title"], "Test: Sessions");
    let paths: Vec<&String> = part["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/me", "/sessions"]);
    assert_eq!(
        part["paths"]["/sessions"]["post"]["responses"]["201"]["description"], "Done so.",
        "examples are replaced"
    );
    let schemas: Vec<&String> = part["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(schemas, ["SignIn"]);
    assert!(part["components"]["securitySchemes"]["bearer"].is_object());
    assert!(part["x-tagGroups"].is_null());
}

/// An object that an example refers to may be created later; the document refers to it from then on, and has another
/// entity tag.
#[tokio::test]
async fn examples_are_as_they_are_when_they_are_asked_for() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = asked.clone();
    let later: Examples = Arc::new(move || {
        let times = counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let all = match times {
            0 => Vec::new(),
            _ => vec![("Signed in.".to_owned(), "Done so.".to_owned())],
        };
        Box::pin(async move { all })
    });
    let app = router(
        || GENERATED,
        HandWritten::openapi,
        vec!["/".to_owned()],
        later,
    );
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = get(&app, "/openapi.json", None).await;
        let etag = answer.headers()["etag"].clone();
        let text = String::from_utf8(body(answer).await).unwrap();
        seen.push((text.contains("Done so."), etag));
    }
    assert_eq!([seen[0].0, seen[1].0], [false, true]);
    assert_ne!(seen[0].1, seen[1].1);
    assert_eq!(seen[1], seen[2]);
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 3);
}
