//! P6: card numbers in any field are refused before they are stored or logged, and are not repeated in the error.

use super::{bodies::routes, fields::everything, purchases::demanding};
use crate::{
    money::stage::{Stage, keyed},
    support::{Database, TestServer, database::Content, document, program::Program},
};
use serde_json::{Map, Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

const WRITTEN: [&str; 2] = ["4242424242424242", "4242 4242 4242 4242"];

/// The error gives the field and the code, but not the number.
fn assert_refused(place: &str, status: u16, text: &str) {
    assert_eq!(status, 422, "{place}: {text}");
    assert!(text.contains("\"card_number\""), "{place}: {text}");
    for written in WRITTEN {
        assert!(!text.contains(written), "{place}: {text}");
    }
}

#[tokio::test]
async fn p6_the_number_of_a_card_is_refused_by_every_entity() {
    let server = TestServer::demo().await;
    let admin = everything(&server).await.client;
    let mut refused = 0;
    for route in routes(document()) {
        for written in WRITTEN {
            let names = route.fields.keys();
            let body: Map<String, Value> = names
                .map(|name| (name.clone(), json!(format!("Pay with {written}, please"))))
                .collect();
            let (method, body) = (route.method.clone(), Some(body.into()));
            let headers = [("if-match", "*")];
            let answer = admin.send(method, &route.path, body, &headers).await;
            let place = format!("{} {}", route.method, route.path);
            assert_refused(&place, answer.status.as_u16(), &answer.text);
            refused += 1;
        }
    }
    assert!(refused > 50, "only {refused}");
}

#[tokio::test]
async fn p6_the_number_of_a_card_is_refused_wherever_money_moves() {
    let stage = Stage::without_provider().await;
    let mut paths = demanding(&stage).await;
    let more = [
        "/orders/price",
        "/promotions/price",
        "/organizations/{id}/onboarding",
    ];
    paths.extend(more.map(str::to_owned));
    // Hand-written routes are only in the served document.
    let whole = stage.server.client.get("/openapi.json").await.expect(200);
    let whole = whole.json;
    let takes_body =
        |path: &&String| whole["paths"][path.as_str()]["post"]["requestBody"].is_object();
    let mut refused = 0;
    for path in paths.iter().filter(takes_body) {
        let asked = path
            .replace("{id}", &Uuid::now_v7().to_string())
            .replace("{currency}", "AUD");
        for written in WRITTEN {
            let body = json!({"payment": {"number": written}, "note": "x"});
            let answer = keyed(&stage.mira, &asked, body).await;
            assert_refused(path, answer.status.as_u16(), &answer.text);
            assert_eq!(answer.pointers(), ["/payment/number"], "{path}");
            refused += 1;
        }
    }
    assert!(refused >= 16, "only {refused}");
}

#[tokio::test]
async fn p6_the_number_of_a_card_is_in_no_log() {
    let database = Database::new(Content::Demo).await;
    let mut program = Program::serve(&database, |command| {
        command.env("LOG", "debug");
    })
    .await;
    let olga = program.sign_in(&database, PEOPLE[2].id).await;
    for written in WRITTEN {
        let body = json!({"name": written, "email": written, "password": written, written: written, "reason": written});
        for path in ["/communities", "/orders/price", "/auth/sign-in"] {
            olga.client.post(path, body.clone()).await.expect(422);
        }
    }
    program.signal("TERM");
    program.ended().await;
    for line in program.log() {
        for written in WRITTEN {
            assert!(!line.contains(written), "{line}");
        }
    }
}
