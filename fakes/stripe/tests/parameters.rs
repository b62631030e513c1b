//! Parameters are checked as strictly as Stripe does, so that mistakes are found by tests and not in production.

use crate::support::*;
use fake_stripe::{Fake, Request};

/// The parameters, the expected code, and the name of the wrong parameter.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

#[test]
fn payments() {
    let fake = Fake::default();
    let table: &[Case] = &[
        (&[("currency", "usd")], "parameter_missing", "amount"),
        (&[("amount", "1000")], "parameter_missing", "currency"),
        (
            &[("amount", "ten"), ("currency", "usd")],
            "parameter_invalid_integer",
            "amount",
        ),
        (
            &[("amount", "10.5"), ("currency", "usd")],
            "parameter_invalid_integer",
            "amount",
        ),
        (
            &[("amount", "0"), ("currency", "usd")],
            "parameter_invalid_integer",
            "amount",
        ),
        (
            &[("amount", "49"), ("currency", "usd")],
            "amount_too_small",
            "amount",
        ),
        (
            &[("amount", "49"), ("currency", "jpy")],
            "amount_too_small",
            "amount",
        ),
        (
            &[("amount", "29"), ("currency", "gbp")],
            "amount_too_small",
            "amount",
        ),
        (
            &[("amount", "100000000"), ("currency", "usd")],
            "amount_too_large",
            "amount",
        ),
        (
            &[("amount", "1001"), ("currency", "kwd")],
            "invalid_charge_amount",
            "amount",
        ),
        (
            &[("amount", "1000"), ("currency", "xyz")],
            "parameter_invalid_enum",
            "currency",
        ),
        (
            &[("amount", "1000"), ("currency", "usd"), ("colour", "red")],
            "parameter_unknown",
            "colour",
        ),
        (
            &[
                ("amount", "1000"),
                ("currency", "usd"),
                ("transfer_data[to]", "acct_1"),
            ],
            "parameter_unknown",
            "transfer_data[to]",
        ),
        (
            &[
                ("amount", "1000"),
                ("currency", "usd"),
                ("customer", "cus_1"),
            ],
            "resource_missing",
            "customer",
        ),
        (
            &[("amount", "1000"), ("currency", "usd"), ("confirm", "yes")],
            "parameter_invalid_boolean",
            "confirm",
        ),
        (
            &[("amount", "1000"), ("currency", "usd"), ("confirm", "true")],
            "parameter_missing",
            "payment_method",
        ),
        (
            &[
                ("amount", "1000"),
                ("currency", "usd"),
                ("off_session", "true"),
            ],
            "parameter_unknown",
            "off_session",
        ),
        (
            &[
                ("amount", "1000"),
                ("currency", "usd"),
                ("application_fee_amount", "10"),
            ],
            "parameter_invalid",
            "application_fee_amount",
        ),
        (
            &[
                ("amount", "1000"),
                ("currency", "usd"),
                ("transfer_data[destination]", "acct_1"),
            ],
            "resource_missing",
            "transfer_data[destination]",
        ),
    ];
    for (fields, code, param) in table {
        let (status, body) = call(&fake, "POST", "/v1/payment_intents", fields);
        let error = &body["error"];
        assert_eq!(status, 400, "{fields:?}: {body:#}");
        assert_eq!(
            (error["code"].as_str(), error["param"].as_str()),
            (Some(*code), Some(*param)),
            "{fields:?}"
        );
    }
    assert!(fake.all("payment_intents").is_empty());
    assert!(fake.all("events").is_empty());
    for currency in ["jpy", "kwd", "usd", "EUR"] {
        let fields = [("amount", "1000"), ("currency", currency)];
        assert_eq!(
            post(&fake, "/v1/payment_intents", &fields)["currency"],
            currency.to_lowercase()
        );
    }
}

#[test]
fn unknown_things() {
    let fake = Fake::default();
    for (method, path, status) in [
        ("GET", "/v1/payment_intents/pi_none", 404),
        ("GET", "/v1/customers/cus_none", 404),
        ("POST", "/v1/checkout/sessions", 404),
        ("GET", "/v2/core/accounts", 404),
        ("DELETE", "/v1/payment_intents/pi_none", 404),
    ] {
        assert_eq!(call(&fake, method, path, &[]).0, status, "{method} {path}");
    }
}

#[test]
fn keys_of_the_api() {
    let fake = Fake::default();
    let with = |value: Option<&str>| {
        let mut request = Request::new("GET", "/v1/balance");
        request.headers.clear();
        let request = match value {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        send(&fake, &request)
    };
    assert_eq!(with(None).status, 401);
    assert_eq!(with(Some("Bearer sk_test_1")).status, 200);
    let live = with(Some("Bearer sk_live_secret"));
    assert_eq!(live.status, 401);
    assert!(!String::from_utf8_lossy(&live.body).contains("sk_live_secret"));
}

#[test]
fn states() {
    let fake = Fake::default();
    let paid = id(&pay(&fake, "1000", "pm_card_visa"));
    for action in ["confirm", "cancel", "capture"] {
        let (status, body) = call(
            &fake,
            "POST",
            &format!("/v1/payment_intents/{paid}/{action}"),
            &[],
        );
        assert_eq!(
            (status, body["error"]["code"].as_str()),
            (400, Some("payment_intent_unexpected_state"))
        );
        // The error contains the intent, which shows that it has been paid.
        assert_eq!(body["error"]["payment_intent"]["status"], "succeeded");
    }
    let open = id(&post(
        &fake,
        "/v1/payment_intents",
        &[("amount", "1000"), ("currency", "usd")],
    ));
    let canceled = post(&fake, &format!("/v1/payment_intents/{open}/cancel"), &[]);
    assert_eq!(canceled["status"], "canceled");
    let late = refused(
        &fake,
        &format!("/v1/payment_intents/{open}/confirm"),
        &[("payment_method", "pm_card_visa")],
    );
    assert_eq!(late, (400, "payment_intent_unexpected_state".to_owned()));
}

#[test]
fn lists_have_pages_and_payments_can_be_searched() {
    let fake = Fake::default();
    for order in 0..25 {
        let order = order.to_string();
        let fields = [
            ("amount", "1000"),
            ("currency", "usd"),
            ("metadata[order_id]", &order),
        ];
        post(&fake, "/v1/payment_intents", &fields);
    }
    let mut seen = 0;
    let mut after = String::new();
    loop {
        let page = get(&fake, &format!("/v1/payment_intents?limit=10{after}"));
        let data = page["data"].as_array().unwrap();
        seen += data.len();
        if page["has_more"] == false {
            break;
        }
        after = format!("&starting_after={}", id(&data[9]));
    }
    assert_eq!(seen, 25);
    let query = "query=metadata%5B%27order_id%27%5D%3A%277%27";
    let found = get(&fake, &format!("/v1/payment_intents/search?{query}"));
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(found["data"][0]["metadata"]["order_id"], "7");
}
