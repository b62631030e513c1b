//! Invalid bodies: they are never stored, and never cause an internal error.

use super::fields::{checksum, everything};
use crate::support::{Client, TestServer, document, documented::types};
use reqwest::Method;
use serde_json::{Map, Value, json};

pub(super) struct Route {
    pub method: Method,
    pub path: String,
    pub fields: Map<String, Value>,
}

/// All operations whose body is an entity's, with the schemas of its fields.
pub(super) fn routes(document: &Value) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["post", "put", "patch"] {
            let content = &item[method]["requestBody"]["content"];
            let Some(content) = content
                .as_object()
                .and_then(|content| content.values().next())
            else {
                continue;
            };
            let name = content["schema"]["$ref"]
                .as_str()
                .unwrap_or_default()
                .rsplit('/')
                .next()
                .expect("a name");
            let schema = &document["components"]["schemas"][name];
            let (Some(fields), true) = (
                schema["properties"].as_object(),
                ["Create", "Replace", "Patch"]
                    .iter()
                    .any(|kind| name.starts_with(kind)),
            ) else {
                continue;
            };
            routes.push(Route {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.replace("{id}", "019caddd-0f20-7b8e-a1f8-0bd70ae0784c"),
                fields: fields.clone(),
            });
        }
    }
    routes
}

/// A kind of wrong value: its name, and a function that returns one for a field with these JSON types (None: the value
/// would be valid).
type Wrong = (&'static str, fn(&[&str]) -> Option<Value>);

const WRONG: [Wrong; 9] = [
    ("null", |types| {
        (!types.contains(&"null") && !types.is_empty()).then_some(Value::Null)
    }),
    ("another type", |types| {
        Some(if types.contains(&"object") {
            json!("text")
        } else {
            json!({"a": [1]})
        })
    }),
    ("a list", |types| {
        (!types.contains(&"array")).then(|| json!([1, "2"]))
    }),
    ("a number as a text", |types| {
        (types.contains(&"integer") || types.contains(&"number")).then(|| json!("3"))
    }),
    ("yes or no as a text", |types| {
        types.contains(&"boolean").then(|| json!("true"))
    }),
    ("yes or no as a number", |types| {
        types.contains(&"boolean").then(|| json!(1))
    }),
    ("a text as a number", |types| {
        types.contains(&"string").then(|| json!(3))
    }),
    ("more than 64 bits", |types| {
        types.contains(&"integer").then(|| json!(u64::MAX))
    }),
    ("NUL", |types| {
        types.contains(&"string").then(|| json!("a\0b"))
    }),
];

#[tokio::test]
async fn abuse_25_values_of_a_wrong_kind_are_all_named() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let admin = everything(&server).await.client;
    let before = checksum(&mut conn).await;
    let mut named = 0;
    for route in routes(document()) {
        for (what, wrong) in &WRONG {
            let body: Map<String, Value> = route
                .fields
                .iter()
                .filter_map(|(name, field)| Some((name.clone(), wrong(&types(document(), field))?)))
                .collect();
            let names: Vec<String> = body.keys().map(|name| format!("/{name}")).collect();
            if names.is_empty() {
                continue;
            }
            let answer = admin
                .send(
                    route.method.clone(),
                    &route.path,
                    Some(body.into()),
                    &[("if-match", "*")],
                )
                .await;
            let place = format!("{} {} with {what}", route.method, route.path);
            assert_eq!(answer.status, 422, "{place}: {}", answer.text);
            let pointers = answer.pointers();
            for name in &names {
                let is_named = pointers.iter().any(|pointer| {
                    pointer == name
                        || pointer
                            .strip_prefix(name.as_str())
                            .is_some_and(|rest| rest.starts_with('/'))
                });
                assert!(is_named, "{place}: {name} was taken: {}", answer.text);
                named += 1;
            }
        }
    }
    assert!(named > 1000, "only {named}");
    assert_eq!(before, checksum(&mut conn).await);
}

#[tokio::test]
async fn abuse_25_what_is_not_one_json_object_is_refused() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let admin = everything(&server).await.client;
    let before = checksum(&mut conn).await;
    let routes = routes(document());
    let mut refused = 0;
    for route in &routes {
        let name = route.fields.keys().next().expect("a field");
        let texts = [
            format!(r#"{{"{name}":"a","{name}":"b"}}"#),
            format!(
                r#"{{"{name}":"a","\u{:04x}{}":"b"}}"#,
                name.as_bytes()[0],
                &name[1..]
            ),
            format!(r#"{{"{name}":1e400}}"#),
            format!(r#"{{"{name}":-1e999}}"#),
            format!(r#"{{"{name}":NaN}}"#),
            format!(r#"{{"{name}":0x10}}"#),
            format!(r#"{{"{name}":"\ud800"}}"#),
            format!(r#"{{"{name}":"\udc00\ud800"}}"#),
            format!("{{\"{name}\":\"\u{7}\"}}"),
            format!(r#"{{"{name}":"a"}} {{}}"#),
            format!(r#"{{"{name}":"a",}}"#),
            format!(r#"{{"{name}":"a""#),
            format!(r#"{{"{name}":{}1{}}}"#, "[".repeat(200), "]".repeat(200)),
            // One byte order mark is skipped; a second one is no JSON.
            "\u{feff}\u{feff}{}".to_owned(),
            "[]".to_owned(),
            "null".to_owned(),
            "\"text\"".to_owned(),
            String::new(),
        ];
        for text in &texts {
            let answer = send(&admin, route, text.as_bytes()).await;
            assert_eq!(
                answer.0, 400,
                "{} {}: {text}: {}",
                route.method, route.path, answer.1
            );
        }
        refused += texts.len();
        // Invalid UTF-8: an overlong encoding, half of a surrogate pair, a lone byte.
        for bytes in [
            &b"{\"a\":\"\xc0\xaf\"}"[..],
            b"{\"a\":\"\xed\xa0\x80\"}",
            b"{\"a\":\"\xff\"}",
        ] {
            let answer = send(&admin, route, bytes).await;
            assert!(
                matches!(answer.0, 400 | 415),
                "{} {}: {}",
                route.method,
                route.path,
                answer.1
            );
        }
    }
    let puts = routes.iter().filter(|route| route.method == Method::PUT);
    assert!(puts.count() > 15 && refused > 1000, "{refused}");
    assert_eq!(before, checksum(&mut conn).await);
}

async fn send(client: &Client, route: &Route, body: &[u8]) -> (u16, String) {
    let media = if route.method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let answer = client
        .send_bytes(
            route.method.clone(),
            &route.path,
            body.to_vec(),
            &[("content-type", media), ("if-match", "*")],
        )
        .await;
    (answer.status.as_u16(), answer.text)
}
