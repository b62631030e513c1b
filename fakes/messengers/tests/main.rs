//! Tests of the fake: it refuses what the services refuse, and keeps what they keep.

use fake_messengers::{
    Config, Fake, Outcome, Reply, Request, Webhook,
    fault::{Fault, Kind, Service},
};
use serde_json::{Value, json};

const SECRET: &str = "whsec_ZmFrZS1tZXNzZW5nZXJzLXNlY3JldA==";

fn fake() -> Fake {
    let webhook = |url: &str| {
        Some(Webhook {
            url: url.to_owned(),
            secrets: vec![SECRET.to_owned(), SECRET.to_owned()],
        })
    };
    Fake::new(Config {
        resend_webhook: webhook("http://127.0.0.1:1/resend"),
        sendgrid_webhook: webhook("http://127.0.0.1:1/sendgrid"),
        ..Config::default()
    })
    .expect("a fake")
}

fn ask(fake: &Fake, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let headers = [("user-agent", "test")].iter().chain(headers);
    let request = Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.to_string().into_bytes(),
    };
    match fake.handle(&request) {
        Some(Outcome::Reply(reply)) => reply,
        other => panic!("{path}: {other:?}"),
    }
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).expect("JSON")
}

fn mail(to: &str) -> Value {
    json!({ "from": "A <a@example.org>", "to": [to], "subject": "Hello", "text": "Hi",
        "tags": [{ "name": "delivery_id", "value": "7" }] })
}

#[test]
fn resend_keeps_a_key_for_a_day() {
    let fake = fake();
    let send = |key: &str, body: &Value| {
        let headers = [
            ("authorization", "Bearer re_fake"),
            ("idempotency-key", key),
        ];
        ask(&fake, "/emails", &headers, body)
    };
    let first = send("1", &mail("ana@example.org"));
    assert_eq!(first.status, 200);
    assert_eq!(send("1", &mail("ana@example.org")), first);
    assert_eq!(fake.mail().len(), 1);
    let other = send("1", &mail("ben@example.org"));
    assert_eq!(
        (other.status, json_of(&other)["name"].as_str()),
        (409, Some("invalid_idempotent_request"))
    );
    fake.advance(24 * 60 * 60);
    assert_ne!(send("1", &mail("ana@example.org")), first);
    assert_eq!(fake.mail().len(), 2);
    // The request was refused, so nothing is stored under the key.
    assert_eq!(send("2", &mail("nobody")).status, 422);
    assert_eq!(send("2", &mail("ana@example.org")).status, 200);
}

#[test]
fn keys_and_access_tokens_are_looked_at() {
    let fake = fake();
    for (path, body) in [
        ("/emails", mail("ana@example.org")),
        ("/v3/mail/send", json!({})),
    ] {
        for headers in [&[][..], &[("authorization", "Bearer re_wrong")]] {
            assert_eq!(ask(&fake, path, headers, &body).status, 401, "{path}");
        }
    }
    let send = "/v1/projects/fake-project/messages:send";
    let headers = [("authorization", "Bearer ya29.made-up")];
    assert_eq!(ask(&fake, send, &headers, &json!({})).status, 401);
    let grants = [
        "",
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c",
    ];
    for grant in grants {
        let request = Request {
            method: "POST".to_owned(),
            path: "/token".to_owned(),
            headers: Vec::new(),
            body: grant.as_bytes().to_vec(),
        };
        let Some(Outcome::Reply(reply)) = fake.handle(&request) else {
            panic!("no answer");
        };
        assert_eq!(reply.status, 400, "{grant}");
    }
}

#[test]
fn what_becomes_of_mail_is_told_and_told_again() {
    let fake = fake();
    let key = [("authorization", "Bearer re_fake")];
    ask(&fake, "/emails", &key, &mail("bounced@example.org"));
    let due = fake.due().expect("signed");
    assert_eq!((due.len(), fake.due().expect("signed").len()), (1, 0));
    let body: Value = serde_json::from_slice(&due[0].body).expect("JSON");
    assert_eq!(
        (&body["type"], &body["data"]["bounce"]["type"]),
        (&json!("email.bounced"), &json!("Permanent"))
    );
    assert_eq!(body["data"]["tags"]["delivery_id"], "7");
    let header = |name: &str| {
        let mut found = due[0].headers.iter().filter(|(other, _)| other == name);
        found
            .next()
            .map(|(_, value)| value.clone())
            .expect("a header")
    };
    assert_eq!(header("svix-signature").split(' ').count(), 2);
    let id = header("svix-id");
    fake.failed(due[0].clone());
    assert_eq!(fake.due().expect("signed").len(), 0, "not at once");
    fake.advance(60);
    let again = fake.due().expect("signed");
    assert!(
        again[0].headers.contains(&("svix-id".to_owned(), id)),
        "{again:?}"
    );
}

#[test]
fn faults_strike_in_order_and_end() {
    let fake = fake();
    fake.add_fault(Fault::answer(Service::Resend, 503, &[("retry-after", "7")], "<html>").times(2));
    fake.add_fault(Fault::new(Service::Resend, Kind::Drop).after_accepting());
    let request = Request {
        method: "POST".to_owned(),
        path: "/emails".to_owned(),
        headers: vec![
            ("user-agent".to_owned(), "test".to_owned()),
            ("authorization".to_owned(), "Bearer re_fake".to_owned()),
        ],
        body: mail("ana@example.org").to_string().into_bytes(),
    };
    for _ in 0..2 {
        let Some(Outcome::Reply(reply)) = fake.handle(&request) else {
            panic!("no answer");
        };
        assert_eq!(reply.status, 503);
        assert!(
            reply
                .headers
                .contains(&("retry-after".to_owned(), "7".to_owned()))
        );
    }
    assert_eq!(fake.mail().len(), 0);
    assert_eq!(fake.handle(&request), Some(Outcome::Dropped));
    assert_eq!(fake.mail().len(), 1, "taken before it was dropped");
    assert!(matches!(fake.handle(&request), Some(Outcome::Reply(reply)) if reply.status == 200));
    assert_eq!(fake.calls(Service::Resend), 4);
    let line: Fault =
        serde_json::from_value(json!({ "kind": "hang", "seconds": 9, "service": "fcm" }))
            .expect("a line");
    assert_eq!((line.times, line.accepted), (1, false));
}
