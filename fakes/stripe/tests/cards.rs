//! Stripe's test cards: the behaviour of each when it is charged, saved, or charged without the buyer.

use crate::support::*;
use fake_stripe::{Fake, control::Intent};

fn charge(card: &str) -> (u16, String, String) {
    let fake = Fake::default();
    let fields = [
        ("amount", "2000"),
        ("currency", "usd"),
        ("payment_method", card),
        ("confirm", "true"),
    ];
    let (status, body) = call(&fake, "POST", "/v1/payment_intents", &fields);
    let got = match status {
        200 => (status, text(&body["status"]), String::new()),
        _ => (
            status,
            text(&body["error"]["code"]),
            text(&body["error"]["decline_code"]),
        ),
    };
    if status == 402 {
        let intent = &body["error"]["payment_intent"];
        assert_eq!(intent["status"], "requires_payment_method", "{card}");
        assert_eq!(
            intent["last_payment_error"]["code"], body["error"]["code"],
            "{card}"
        );
        let charge = get(
            &fake,
            &format!("/v1/charges/{}", text(&body["error"]["charge"])),
        );
        assert_eq!(
            (charge["status"].as_str(), charge["paid"].as_bool()),
            (Some("failed"), Some(false))
        );
        assert!(events(&fake).contains(&"payment_intent.payment_failed".to_owned()));
    }
    sound(&fake);
    got
}

#[test]
fn charging() {
    let table = [
        ("pm_card_visa", 200, "succeeded", ""),
        ("pm_card_mastercard", 200, "succeeded", ""),
        ("pm_card_amex", 200, "succeeded", ""),
        (
            "pm_card_chargeDeclined",
            402,
            "card_declined",
            "generic_decline",
        ),
        (
            "pm_card_visa_chargeDeclined",
            402,
            "card_declined",
            "generic_decline",
        ),
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            402,
            "card_declined",
            "insufficient_funds",
        ),
        (
            "pm_card_chargeDeclinedLostCard",
            402,
            "card_declined",
            "lost_card",
        ),
        (
            "pm_card_chargeDeclinedStolenCard",
            402,
            "card_declined",
            "stolen_card",
        ),
        ("pm_card_chargeDeclinedExpiredCard", 402, "expired_card", ""),
        (
            "pm_card_chargeDeclinedIncorrectCvc",
            402,
            "incorrect_cvc",
            "",
        ),
        (
            "pm_card_chargeDeclinedProcessingError",
            402,
            "processing_error",
            "",
        ),
        (
            "pm_card_chargeCustomerFail",
            402,
            "card_declined",
            "generic_decline",
        ),
        ("pm_card_radarBlock", 402, "card_declined", "fraudulent"),
        ("pm_card_authenticationRequired", 200, "requires_action", ""),
        ("pm_card_threeDSecure2Required", 200, "requires_action", ""),
        (
            "pm_card_authenticationRequiredOnSetup",
            200,
            "requires_action",
            "",
        ),
        ("pm_card_createDispute", 200, "succeeded", ""),
        ("pm_card_refundFail", 200, "succeeded", ""),
        ("pm_card_pendingRefund", 200, "succeeded", ""),
        ("pm_card_nonesuch", 400, "resource_missing", ""),
    ];
    for (card, status, what, decline) in table {
        assert_eq!(
            charge(card),
            (status, what.to_owned(), decline.to_owned()),
            "{card}"
        );
    }
}

#[test]
fn a_buyer_authenticates_or_fails_to() {
    for (success, status) in [(true, "succeeded"), (false, "requires_payment_method")] {
        let fake = Fake::default();
        let intent = id(&pay(&fake, "2000", "pm_card_authenticationRequired"));
        let after = fake
            .authenticate(Intent::Payment, &intent, success)
            .unwrap();
        assert_eq!(after["status"], status);
        if !success {
            assert_eq!(
                after["last_payment_error"]["code"],
                "payment_intent_authentication_failure"
            );
            let again = fake
                .pay_as_buyer(Intent::Payment, &intent, "4242424242424242")
                .unwrap();
            assert_eq!(again["status"], "succeeded");
        }
        assert_eq!(fake.books()["usd"].captured, 2000);
        sound(&fake);
    }
}

#[test]
fn some_decline_after_authentication() {
    let fake = Fake::default();
    let card = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds";
    let intent = id(&pay(&fake, "2000", card));
    let after = fake.authenticate(Intent::Payment, &intent, true).unwrap();
    assert_eq!(
        after["last_payment_error"]["decline_code"],
        "insufficient_funds"
    );
    assert!(fake.books().is_empty());
}

#[test]
fn without_the_buyer_a_card_that_asks_declines() {
    let fake = Fake::default();
    let customer = customer(&fake);
    let kept = post(
        &fake,
        "/v1/payment_methods/pm_card_authenticationRequired/attach",
        &[("customer", &customer)],
    );
    let fields = [
        ("amount", "2000"),
        ("currency", "usd"),
        ("customer", &customer),
        ("payment_method", &id(&kept)),
        ("confirm", "true"),
        ("off_session", "true"),
    ];
    let (status, body) = call(&fake, "POST", "/v1/payment_intents", &fields);
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (402, Some("authentication_required"))
    );
}

/// After it was set up with authentication once, this card pays without it.
#[test]
fn a_card_that_was_set_up_pays_alone() {
    let fake = Fake::default();
    let customer = customer(&fake);
    let setup = post(&fake, "/v1/setup_intents", &[("customer", &customer)]);
    let asked = fake
        .pay_as_buyer(Intent::Setup, &id(&setup), "4000 0025 0000 3155")
        .unwrap();
    assert_eq!(asked["status"], "requires_action");
    let done = fake.authenticate(Intent::Setup, &id(&setup), true).unwrap();
    assert_eq!(done["status"], "succeeded");
    let method = text(&done["payment_method"]);
    let listed = get(
        &fake,
        &format!("/v1/customers/{customer}/payment_methods?type=card"),
    );
    assert_eq!(listed["data"][0]["id"], method);
    let fields = [
        ("amount", "2000"),
        ("currency", "usd"),
        ("customer", &customer),
        ("payment_method", &method),
        ("confirm", "true"),
        ("off_session", "true"),
    ];
    assert_eq!(
        post(&fake, "/v1/payment_intents", &fields)["status"],
        "succeeded"
    );
    sound(&fake);
}

#[test]
fn keeping() {
    let fake = Fake::default();
    let (one, other) = (customer(&fake), customer(&fake));
    let attach = |card: &str| format!("/v1/payment_methods/{card}/attach");
    let declined = refused(
        &fake,
        &attach("pm_card_chargeDeclined"),
        &[("customer", &one)],
    );
    assert_eq!(declined, (402, "card_declined".to_owned()));
    let kept = id(&post(&fake, &attach("pm_card_visa"), &[("customer", &one)]));
    post(&fake, &attach(&kept), &[("customer", &one)]);
    let twice = refused(&fake, &attach(&kept), &[("customer", &other)]);
    assert_eq!(twice, (400, "payment_method_already_attached".to_owned()));
    let fields = [
        ("amount", "2000"),
        ("currency", "usd"),
        ("customer", &other),
        ("payment_method", &kept),
        ("confirm", "true"),
    ];
    let stolen = refused(&fake, "/v1/payment_intents", &fields);
    assert_eq!(stolen, (400, "payment_method_customer_mismatch".to_owned()));
    post(&fake, &format!("/v1/payment_methods/{kept}/detach"), &[]);
    let spent = refused(&fake, &attach(&kept), &[("customer", &one)]);
    assert_eq!(spent, (400, "payment_method_unexpected_state".to_owned()));
}

#[test]
fn a_card_is_typed_in() {
    let fake = Fake::default();
    let make = |number: &str, year: &str| {
        let fields = [
            ("type", "card"),
            ("card[number]", number),
            ("card[exp_month]", "8"),
            ("card[exp_year]", year),
        ];
        call(&fake, "POST", "/v1/payment_methods", &fields)
    };
    assert_eq!(make("4242424242424242", "2030").1["card"]["last4"], "4242");
    assert_eq!(
        make("4242424242424241", "2030").1["error"]["code"],
        "incorrect_number"
    );
    assert_eq!(
        make("4242424242424242", "2020").1["error"]["code"],
        "invalid_expiry_year"
    );
}
