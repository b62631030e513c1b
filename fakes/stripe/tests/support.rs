//! A minimal client for tests.

use fake_stripe::{Fake, Outcome, Reply, Request};
use serde_json::Value;

pub fn send(fake: &Fake, request: &Request) -> Reply {
    match fake.handle(request) {
        Outcome::Reply(reply) => reply,
        other => panic!("{} {}: {other:?}", request.method, request.path),
    }
}

pub fn call(fake: &Fake, method: &str, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let reply = send(fake, &Request::new(method, path).form(fields));
    (reply.status, reply.json().expect("JSON"))
}

#[track_caller]
pub fn post(fake: &Fake, path: &str, fields: &[(&str, &str)]) -> Value {
    let (status, body) = call(fake, "POST", path, fields);
    assert_eq!(status, 200, "POST {path}: {body:#}");
    body
}

#[track_caller]
pub fn get(fake: &Fake, path: &str) -> Value {
    let (status, body) = call(fake, "GET", path, &[]);
    assert_eq!(status, 200, "GET {path}: {body:#}");
    body
}

/// The status and the error code of a refused call.
pub fn refused(fake: &Fake, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let (status, body) = call(fake, "POST", path, fields);
    (status, text(&body["error"]["code"]))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn id(value: &Value) -> String {
    text(&value["id"])
}

pub fn customer(fake: &Fake) -> String {
    id(&post(
        fake,
        "/v1/customers",
        &[("email", "ada@example.org")],
    ))
}

/// Pays with a card.
pub fn pay(fake: &Fake, amount: &str, card: &str) -> Value {
    let fields = [
        ("amount", amount),
        ("currency", "usd"),
        ("payment_method", card),
        ("confirm", "true"),
    ];
    post(fake, "/v1/payment_intents", &fields)
}

/// Creates an account that can receive payments.
pub fn account(fake: &Fake) -> String {
    let fields = [
        ("type", "express"),
        ("country", "US"),
        ("capabilities[card_payments][requested]", "true"),
        ("capabilities[transfers][requested]", "true"),
    ];
    let account = id(&post(fake, "/v1/accounts", &fields));
    fake.onboard(&account).expect("onboarded");
    account
}

#[track_caller]
pub fn sound(fake: &Fake) {
    assert_eq!(fake.audit(), Vec::<String>::new());
    for (currency, books) in fake.books() {
        assert_eq!(books.sum, 0, "{currency}");
    }
}

/// The types of the events so far.
pub fn events(fake: &Fake) -> Vec<String> {
    fake.all("events")
        .iter()
        .map(|event| text(&event["type"]))
        .collect()
}
