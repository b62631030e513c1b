//! Deliveries: they are signed, go to the right endpoint, are repeated until they are accepted, and arrive out of
//! order on request.

use crate::support::*;
use fake_stripe::{
    Config, Fake, signature,
    webhook::{Endpoint, Mischief, State, Target},
};
use serde_json::Value;
use std::collections::BTreeMap;

fn endpoint(secrets: &[&str]) -> Option<Endpoint> {
    Some(Endpoint {
        url: "http://127.0.0.1:1/webhooks".to_owned(),
        secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
    })
}

fn listening() -> Fake {
    let fake = Fake::default();
    fake.set_endpoint(Target::Platform, endpoint(&["whsec_1"]));
    fake.set_endpoint(Target::Connect, endpoint(&["whsec_2"]));
    fake
}

#[test]
fn each_goes_to_its_endpoint_and_is_signed() {
    let fake = listening();
    account(&fake);
    pay(&fake, "1000", "pm_card_visa");
    let due = fake.due_webhooks();
    assert_eq!(due.len(), fake.all("events").len());
    for post in due {
        let event: Value = serde_json::from_slice(&post.body).unwrap();
        let (target, secret) = match event.get("account") {
            Some(_) => (Target::Connect, "whsec_2"),
            None => (Target::Platform, "whsec_1"),
        };
        assert_eq!(post.target, target, "{event:#}");
        assert!(signature::verify(
            &[secret.to_owned()],
            &post.signature,
            &post.body,
            fake.now()
        ));
        assert!(!signature::verify(
            &["whsec_3".to_owned()],
            &post.signature,
            &post.body,
            fake.now()
        ));
        fake.webhook_answered(post.delivery, Some(200));
    }
    assert!(fake.due_webhooks().is_empty());
    assert_eq!(
        get(&fake, "/v1/events?delivery_success=false")["data"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn two_secrets_during_a_rotation() {
    let fake = Fake::default();
    fake.set_endpoint(Target::Platform, endpoint(&["whsec_old", "whsec_new"]));
    customer(&fake);
    let post = &fake.due_webhooks()[0];
    assert_eq!(post.signature.matches("v1=").count(), 2);
    for secret in ["whsec_old", "whsec_new"] {
        assert!(signature::verify(
            &[secret.to_owned()],
            &post.signature,
            &post.body,
            fake.now()
        ));
    }
}

#[test]
fn refused_ones_come_again_for_three_days() {
    let fake = listening();
    customer(&fake);
    let mut sent = 0;
    for _ in 0..5 * 24 * 60 {
        for post in fake.due_webhooks() {
            sent += 1;
            fake.webhook_answered(post.delivery, if sent % 2 == 0 { Some(500) } else { None });
        }
        fake.advance(60);
    }
    assert!((10..40).contains(&sent), "{sent}");
    assert_eq!(fake.deliveries()[0].state, State::GivenUp);
    let missed = get(&fake, "/v1/events?delivery_success=false");
    assert_eq!(missed["data"][0]["type"], "customer.created");
    fake.resend(&id(&missed["data"][0])).unwrap();
    let again = fake.due_webhooks();
    assert_eq!(again.len(), 1);
    fake.webhook_answered(again[0].delivery, Some(204));
    assert_eq!(
        get(&fake, "/v1/events?delivery_success=true")["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

fn played(seed: u64) -> (Fake, Vec<String>) {
    let fake = Fake::new(Config {
        seed,
        ..Config::default()
    });
    fake.set_endpoint(Target::Platform, endpoint(&["whsec_1"]));
    fake.set_mischief(Mischief {
        copies: 5,
        delay_seconds: 3600,
        shuffle_seconds: 4 * 24 * 3600,
        drop_per_mille: 100,
        hold: false,
    });
    for _ in 0..30 {
        pay(&fake, "1000", "pm_card_visa");
    }
    assert!(fake.due_webhooks().is_empty());
    let mut seen = Vec::new();
    for _ in 0..5 * 24 {
        fake.advance(3600);
        for post in fake.due_webhooks() {
            let event: Value = serde_json::from_slice(&post.body).unwrap();
            seen.push(id(&event));
            fake.webhook_answered(post.delivery, Some(200));
        }
    }
    (fake, seen)
}

#[test]
fn repeated_shuffled_delayed_dropped_by_the_seed() {
    let (fake, seen) = played(1);
    assert_eq!(seen, played(1).1);
    assert_ne!(seen, played(2).1);
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &seen {
        *times.entry(event).or_default() += 1;
    }
    let all = fake.all("events");
    let in_order: Vec<String> = all.iter().map(id).collect();
    assert!(times.len() < all.len(), "none was dropped");
    assert!(times.values().any(|times| *times > 1) && times.values().all(|times| *times <= 5));
    let mut first: Vec<&String> = Vec::new();
    for event in &seen {
        if !first.contains(&event) {
            first.push(event);
        }
    }
    let sorted: Vec<&String> = in_order
        .iter()
        .filter(|event| times.contains_key(event.as_str()))
        .collect();
    assert_ne!(first, sorted, "none was overtaken");
    // Events that were never delivered can be listed.
    let missed = all
        .iter()
        .filter(|event| event["pending_webhooks"] != 0)
        .count();
    assert_eq!(missed, all.len() - times.len());
}

#[test]
fn held_back_until_released() {
    let fake = listening();
    fake.set_mischief(Mischief {
        hold: true,
        ..Mischief::default()
    });
    customer(&fake);
    assert!(fake.due_webhooks().is_empty());
    fake.set_mischief(Mischief::default());
    assert_eq!(fake.due_webhooks().len(), 1);
}
