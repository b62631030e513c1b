//! Events: the objects that they are about, and how undecodable events are handled.

use super::{
    objects::{self, with},
    script::Script,
};
use gateway::{Decoded, Envelope, Gateway, PaymentStatus, Undecodable};
use serde_json::{Value, json};

fn decode(kind: &str, object: &Value) -> Result<Decoded, Undecodable> {
    let event = objects::event("evt_1", kind, object).to_string();
    let event = Envelope::parse(event.as_bytes()).expect("an envelope");
    Script::new([]).gateway().decode(&event)
}

#[test]
fn what_we_know_is_decoded() {
    let bank = with(
        objects::card("pm_2"),
        json!({"card": null, "type": "us_bank_account"}),
    );
    let is = |kind: &str, object: Value, expected: fn(&Decoded) -> bool| {
        let decoded = decode(kind, &object).expect(kind);
        assert!(expected(&decoded), "{kind}: {decoded:?}");
    };
    is("payment_intent.succeeded", objects::payment("pi_1"), |it| {
        matches!(it, Decoded::Payment(_))
    });
    is("charge.refunded", objects::charge(), |it| {
        matches!(it, Decoded::Charge(_))
    });
    is("charge.dispute.created", objects::dispute(), |it| {
        matches!(it, Decoded::Dispute(_))
    });
    is("refund.updated", objects::refund(), |it| {
        matches!(it, Decoded::Refund(_))
    });
    is("payment_method.attached", objects::card("pm_1"), |it| {
        matches!(it, Decoded::PaymentMethod(_))
    });
    is("payment_method.attached", bank, |it| {
        matches!(it, Decoded::Unknown)
    });
    is("setup_intent.succeeded", objects::setup(), |it| {
        matches!(it, Decoded::Setup(_))
    });
    is(
        "account.updated",
        objects::account("acct_1", "org1"),
        |it| matches!(it, Decoded::Account(_)),
    );
    is("transfer.reversed", objects::transfer("tr_1"), |it| {
        matches!(it, Decoded::Transfer(_))
    });
    is(
        "customer.subscription.updated",
        objects::subscription(),
        |it| matches!(it, Decoded::Subscription(_)),
    );
    is("invoice.paid", objects::invoice(), |it| {
        matches!(it, Decoded::Invoice(_))
    });
    let application = json!({"id": "ca_1", "object": "application"});
    is("account.application.deauthorized", application, |it| {
        matches!(it, Decoded::Deauthorized)
    });
    is("moon.risen", json!({"id": "m_1", "object": "moon"}), |it| {
        matches!(it, Decoded::Unknown)
    });
    is("moon.risen", json!({}), |it| matches!(it, Decoded::Unknown));
}

#[test]
fn an_object_of_another_version_is_undecodable_and_not_lost() {
    let more = with(
        objects::payment("pi_1"),
        json!({"of_tomorrow": {"deep": [1, 2]}, "status": "succeeded"}),
    );
    let Ok(Decoded::Payment(payment)) = decode("payment_intent.succeeded", &more) else {
        panic!("a field more is no reason");
    };
    assert_eq!(payment.status, PaymentStatus::Succeeded);

    let mut less = objects::payment("pi_1");
    less.as_object_mut().unwrap().remove("amount_received");
    let other = with(objects::payment("pi_1"), json!({"amount": "2500"}));
    let unknown = with(objects::payment("pi_1"), json!({"status": "pondering"}));
    for object in [less, other, unknown] {
        let error = decode("payment_intent.succeeded", &object).unwrap_err();
        assert_eq!(error.object_kind, "payment_intent");
        assert_eq!(error.object_id.as_deref(), Some("pi_1"));
    }
    // A subscription of an older API version has its period next to its items.
    let mut old = objects::subscription();
    let item = old["items"]["data"][0].as_object_mut().unwrap();
    item.remove("current_period_end");
    assert!(decode("customer.subscription.updated", &old).is_err());
    let two = with(
        objects::subscription(),
        json!({"items": objects::list(&[], false)}),
    );
    assert!(decode("customer.subscription.updated", &two).is_err());
}
