//! Idempotency keys: which answers are stored, for which account, and for how long.

use crate::support::*;
use fake_stripe::{
    Fake, Outcome, Reply, Request,
    fault::{Fault, Kind},
};

fn payment(key: &str) -> Request {
    let fields = [
        ("amount", "1500"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
    ];
    Request::new("POST", "/v1/payment_intents")
        .form(&fields)
        .header("Idempotency-Key", key)
}

fn replayed(reply: &Reply) -> bool {
    reply.header("Idempotent-Replayed") == Some("true")
}

fn payments(fake: &Fake) -> usize {
    fake.all("payment_intents").len()
}

#[test]
fn the_same_key_gives_the_same_bytes_and_one_effect() {
    let fake = Fake::default();
    let first = send(&fake, &payment("order-1-attempt-1"));
    let second = send(&fake, &payment("order-1-attempt-1"));
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert!(!replayed(&first) && replayed(&second));
    assert_eq!(first.header("request-id"), second.header("request-id"));
    assert_eq!(payments(&fake), 1);
    sound(&fake);
}

#[test]
fn other_parameters_or_another_path_are_refused() {
    let fake = Fake::default();
    send(&fake, &payment("key"));
    let others = [
        Request::new("POST", "/v1/payment_intents")
            .form(&[("amount", "1600"), ("currency", "usd")]),
        Request::new("POST", "/v1/customers").form(&[]),
    ];
    for other in others {
        let reply = send(&fake, &other.header("Idempotency-Key", "key"));
        assert_eq!(reply.status, 400);
        assert_eq!(reply.json().unwrap()["error"]["type"], "idempotency_error");
        assert!(!replayed(&reply));
    }
    assert_eq!(payments(&fake), 1);
}

#[test]
fn a_decline_is_kept() {
    let fake = Fake::default();
    let fields = [
        ("amount", "1500"),
        ("currency", "usd"),
        ("payment_method", "pm_card_chargeDeclined"),
        ("confirm", "true"),
    ];
    let request = Request::new("POST", "/v1/payment_intents")
        .form(&fields)
        .header("Idempotency-Key", "key");
    let (first, second) = (send(&fake, &request), send(&fake, &request));
    assert_eq!((first.status, second.status), (402, 402));
    assert_eq!(first.body, second.body);
    assert!(replayed(&second));
    assert_eq!(payments(&fake), 1);
}

/// Answers from before the endpoint began are not stored, so the key can be used for the corrected request.
#[test]
fn unreadable_parameters_are_not_kept() {
    let fake = Fake::default();
    let wrong = Request::new("POST", "/v1/payment_intents").form(&[("currency", "usd")]);
    assert_eq!(
        send(&fake, &wrong.header("Idempotency-Key", "key")).status,
        400
    );
    let right = send(&fake, &payment("key"));
    assert_eq!(right.status, 200);
    assert!(!replayed(&right));
}

#[test]
fn an_internal_error_is_kept_whether_it_had_an_effect_or_not() {
    for (kind, made) in [(Kind::ErrorBefore, 0), (Kind::ErrorAfter, 1)] {
        let fake = Fake::default();
        fake.add_fault(Fault::once(kind));
        let (first, second) = (send(&fake, &payment("key")), send(&fake, &payment("key")));
        assert_eq!((first.status, second.status), (500, 500), "{kind:?}");
        assert!(replayed(&second), "{kind:?}");
        assert_eq!(payments(&fake), made, "{kind:?}");
    }
}

#[test]
fn limits_and_conflicts_are_not_kept() {
    for (kind, status) in [(Kind::RateLimited, 429), (Kind::Conflict, 409)] {
        let fake = Fake::default();
        fake.add_fault(Fault::once(kind));
        let (first, second) = (send(&fake, &payment("key")), send(&fake, &payment("key")));
        assert_eq!((first.status, second.status), (status, 200), "{kind:?}");
        assert!(!replayed(&second), "{kind:?}");
        assert_eq!(payments(&fake), 1);
    }
}

#[test]
fn a_key_whose_request_still_runs_is_in_use() {
    let fake = Fake::default();
    fake.add_fault(Fault::once(Kind::Stall { seconds: 30 }));
    let late = fake.handle(&payment("key"));
    let Outcome::Stall(late) = late else {
        panic!("{late:?}");
    };
    assert_eq!(send(&fake, &payment("key")).status, 409);
    fake.advance(29);
    assert_eq!(send(&fake, &payment("key")).status, 409);
    fake.advance(1);
    let after = send(&fake, &payment("key"));
    assert_eq!((after.status, &after.body), (200, &late.reply.body));
    assert!(replayed(&after));
    assert_eq!(payments(&fake), 1);
}

#[test]
fn keys_are_forgotten_after_a_day() {
    let fake = Fake::default();
    send(&fake, &payment("key"));
    fake.advance(24 * 3600 - 60);
    assert!(replayed(&send(&fake, &payment("key"))));
    fake.advance(120);
    assert!(!replayed(&send(&fake, &payment("key"))));
    assert_eq!(payments(&fake), 2);
}

#[test]
fn each_account_has_keys_of_its_own_and_reading_needs_none() {
    let fake = Fake::default();
    let account = account(&fake);
    send(&fake, &payment("key"));
    let theirs = send(&fake, &payment("key").header("Stripe-Account", &account));
    assert_eq!(theirs.status, 200);
    assert!(!replayed(&theirs));
    let read = Request::new("GET", "/v1/payment_intents").header("Idempotency-Key", "key");
    assert!(!replayed(&send(&fake, &read)));
    let long = "k".repeat(256);
    assert_eq!(send(&fake, &payment(&long)).status, 400);
    sound(&fake);
}

#[test]
fn keys_survive_a_restart() {
    let fake = Fake::default();
    let first = send(&fake, &payment("key"));
    let fake = Fake::load(&fake.save().unwrap(), fake_stripe::Config::default()).unwrap();
    let second = send(&fake, &payment("key"));
    assert_eq!(first.body, second.body);
    assert_eq!(payments(&fake), 1);
    sound(&fake);
}
