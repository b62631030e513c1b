//! Pushes through FCM: the meaning of each of its answers.

use super::services::PATIENCE;
use delivery::push::{FcmConfig, FcmPusher, Push, Pusher, Unpushed};
use fake_messengers::{
    Config,
    fault::{Fault, Kind, Service},
    server::Running,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

pub fn push(token: &str) -> Push {
    Push {
        id: Uuid::now_v7(),
        token: token.to_owned().into(),
        title: "Tonight".to_owned(),
        body: "Doors open at eight".to_owned(),
        data: [("event_id".to_owned(), "1".to_owned())].into(),
        urgent: false,
        expires_at: None,
    }
}

pub fn pusher(running: &Running) -> FcmPusher {
    let account = running.fake.service_account().expect("an account");
    FcmPusher::new(FcmConfig {
        service_account: account.to_string().into(),
        url: running.url.parse().expect("a URL"),
        timeout: PATIENCE,
    })
    .expect("a pusher")
}

async fn start() -> (Running, FcmPusher) {
    let running = Running::start(Config::default()).await.expect("a fake");
    let pusher = pusher(&running);
    (running, pusher)
}

pub fn error(status: &str, message: &str, details: Value) -> String {
    json!({ "error": { "status": status, "message": message, "details": details } }).to_string()
}

pub fn of_fcm(code: &str) -> Value {
    json!([{ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code }])
}

pub fn violation(field: &str) -> Value {
    json!([{ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{ "field": field }] }])
}

/// The expected result of an answer; `paused` includes the seconds.
fn kind(done: &Result<Option<String>, Unpushed>) -> String {
    match done {
        Ok(_) => "sent".to_owned(),
        Err(Unpushed::Gone) => "gone".to_owned(),
        Err(Unpushed::Never(_)) => "never".to_owned(),
        Err(Unpushed::NotNow(_)) => "not now".to_owned(),
        Err(Unpushed::Paused { wait, .. }) => format!("paused {}", wait.as_secs()),
    }
}

/// Status, headers and body of an answer, and its meaning.
type Case<'a> = (u16, Vec<(&'a str, &'a str)>, String, &'static str);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no9_every_answer_of_fcm() {
    let (running, pusher) = start().await;
    const PAGE: &str = "<!doctype html><title>502 Bad Gateway</title>";
    const TOKEN: &str = "The registration token is not a valid FCM registration token";
    let soon = httpdate(chrono::Utc::now() + chrono::TimeDelta::days(2));
    let invalid = "INVALID_ARGUMENT";
    let cases: Vec<Case> = vec![
        (
            404,
            vec![],
            error("NOT_FOUND", "", of_fcm("UNREGISTERED")),
            "gone",
        ),
        (404, vec![], error("NOT_FOUND", "", json!([])), "not now"),
        (404, vec![], PAGE.to_owned(), "not now"),
        (400, vec![], error(invalid, TOKEN, of_fcm(invalid)), "gone"),
        (
            400,
            vec![],
            error(invalid, "", violation("message.token")),
            "gone",
        ),
        (
            400,
            vec![],
            error(invalid, "", violation("message.data[0].value")),
            "never",
        ),
        (
            400,
            vec![],
            error(invalid, "Android message is too big", of_fcm(invalid)),
            "never",
        ),
        (400, vec![], PAGE.to_owned(), "never"),
        (
            401,
            vec![],
            error("UNAUTHENTICATED", "", of_fcm("THIRD_PARTY_AUTH_ERROR")),
            "not now",
        ),
        (
            403,
            vec![],
            error("PERMISSION_DENIED", "", of_fcm("SENDER_ID_MISMATCH")),
            "never",
        ),
        (
            403,
            vec![],
            error("PERMISSION_DENIED", "", json!([])),
            "paused 60",
        ),
        (
            429,
            vec![("retry-after", "90")],
            error("", "", of_fcm("QUOTA_EXCEEDED")),
            "paused 90",
        ),
        (
            429,
            vec![],
            error("", "", of_fcm("QUOTA_EXCEEDED")),
            "paused 60",
        ),
        (
            429,
            vec![("retry-after", &soon)],
            PAGE.to_owned(),
            "paused 86400",
        ),
        (
            503,
            vec![("retry-after", "7")],
            error("UNAVAILABLE", "", of_fcm("UNAVAILABLE")),
            "paused 7",
        ),
        (
            503,
            vec![("retry-after", &soon)],
            PAGE.to_owned(),
            "paused 86400",
        ),
        (
            503,
            vec![],
            error("UNAVAILABLE", "", of_fcm("UNAVAILABLE")),
            "not now",
        ),
        (
            500,
            vec![],
            error("INTERNAL", "", of_fcm("INTERNAL")),
            "not now",
        ),
        (502, vec![], PAGE.to_owned(), "not now"),
        (504, vec![], String::new(), "not now"),
        (200, vec![], PAGE.to_owned(), "not now"),
        (
            302,
            vec![("location", "http://127.0.0.1:9/")],
            String::new(),
            "not now",
        ),
        (418, vec![], String::new(), "not now"),
    ];
    for (status, headers, body, expected) in cases {
        running
            .fake
            .add_fault(Fault::answer(Service::Fcm, status, &headers, &body));
        let done = pusher.send(push("device")).await;
        assert_eq!(
            kind(&done),
            expected,
            "{status} {headers:?} {body}: {done:?}"
        );
    }
    assert_eq!(running.fake.push().len(), 0);
    assert_eq!(
        running.fake.calls(Service::Token),
        1,
        "one token for all of them"
    );

    // The same with the fake itself, which decides by the token.
    for (token, expected) in [
        ("device", "sent"),
        ("gone-device", "gone"),
        ("bad-device", "gone"),
        ("other-device", "never"),
    ] {
        let done = pusher.send(push(token)).await;
        assert_eq!(kind(&done), expected, "{token}: {done:?}");
    }
    let mut reserved = push("device");
    reserved
        .data
        .insert("google.c.a".to_owned(), "1".to_owned());
    assert_eq!(kind(&pusher.send(reserved).await), "never");
}

fn httpdate(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no9_a_refused_access_token_is_renewed_once() {
    let (running, pusher) = start().await;
    pusher.send(push("device")).await.expect("sent");
    let calls = |service| running.fake.calls(service);
    running.fake.revoke();
    pusher
        .send(push("device"))
        .await
        .expect("sent with another token");
    assert_eq!((calls(Service::Token), calls(Service::Fcm)), (2, 3));

    // Concurrent refusals lead to one request for a new access token.
    running.fake.revoke();
    let done = join_all((0..10).map(|_| pusher.send(push("device")))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(calls(Service::Token), 3);

    // A second refusal affects all messages, and isn't retried again and again.
    let before = calls(Service::Fcm);
    let refusal = error("UNAUTHENTICATED", "", json!([]));
    running
        .fake
        .add_fault(Fault::answer(Service::Fcm, 401, &[], &refusal).times(2));
    let done = pusher.send(push("device")).await;
    assert_eq!(kind(&done), "paused 60", "{done:?}");
    assert_eq!(calls(Service::Fcm) - before, 2);

    // No access token is available.
    running.fake.revoke();
    let none = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    running
        .fake
        .add_fault(Fault::answer(Service::Token, 400, &[], none).times(100));
    let done = pusher.send(push("device")).await;
    assert!(
        matches!(kind(&done).as_str(), "paused 60" | "not now"),
        "{done:?}"
    );
}

/// 503 although it was delivered, or no answer in time: the second copy replaces the first on the device.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no9_a_second_copy_is_shown_once() {
    let (running, pusher) = start().await;
    let faults = [
        Fault::answer(Service::Fcm, 503, &[], ""),
        Fault::new(Service::Fcm, Kind::Drop),
        Fault::new(Service::Fcm, Kind::Hang { seconds: 60 }),
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        running.fake.add_fault(fault.after_accepting());
        let message = push("device");
        assert_eq!(kind(&pusher.send(message.clone()).await), "not now");
        pusher.send(message.clone()).await.expect("sent");
        let shown = running.fake.push();
        assert_eq!((shown.len(), shown[at].copies), (at + 1, 2));
        let made = &shown[at].fields["message"];
        assert_eq!(made["android"]["collapse_key"], message.id.to_string());
        assert_eq!(
            made["apns"]["headers"]["apns-collapse-id"],
            message.id.to_string()
        );
        assert_eq!(
            made["webpush"]["headers"]["Topic"],
            message.id.simple().to_string()
        );
    }
}

#[tokio::test]
async fn no9_what_is_too_large_does_not_leave() {
    let (running, pusher) = start().await;
    let mut large = push("device");
    large.body = "x".repeat(4096);
    assert_eq!(kind(&pusher.send(large).await), "never");
    let mut late = push("device");
    late.expires_at = Some(chrono::Utc::now() - chrono::TimeDelta::seconds(1));
    assert_eq!(kind(&pusher.send(late).await), "never");
    assert_eq!(
        (
            running.fake.calls(Service::Fcm),
            running.fake.calls(Service::Token)
        ),
        (0, 0)
    );
}

#[tokio::test]
async fn no9_a_service_account_is_looked_at_before_it_is_needed() {
    let running = Running::start(Config::default()).await.expect("a fake");
    let whole = running.fake.service_account().expect("an account");
    let config = |account: String| FcmConfig {
        service_account: account.into(),
        url: FcmConfig::URL.parse().expect("a URL"),
        timeout: Duration::from_secs(15),
    };
    assert!(FcmPusher::new(config(whole.to_string())).is_ok());
    for (field, value) in [
        ("project_id", json!("a/../b")),
        ("project_id", json!("")),
        ("token_uri", json!("file:///etc/passwd")),
        ("token_uri", json!("no address")),
        ("private_key", json!("canary")),
        ("private_key", json!(null)),
    ] {
        let mut account = whole.clone();
        account[field] = value;
        let why = FcmPusher::new(config(account.to_string()))
            .err()
            .expect(field);
        assert!(!why.contains("canary"), "{why}");
    }
}
