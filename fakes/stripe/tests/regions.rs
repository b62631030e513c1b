//! Accounts in the platform's region are paid by transfers; accounts in other regions only by payments on their
//! behalf.

use crate::support::*;
use fake_stripe::{Config, Fake};
use serde_json::json;

fn account_in(fake: &Fake, country: &str) -> String {
    let fields = [
        ("type", "express"),
        ("country", country),
        ("capabilities[card_payments][requested]", "true"),
        ("capabilities[transfers][requested]", "true"),
    ];
    let account = id(&post(fake, "/v1/accounts", &fields));
    fake.onboard(&account).expect("onboarded");
    account
}

#[test]
fn a_destination_in_another_region_wants_a_payment_on_its_behalf() {
    // The platform's country, the account's country, and whether both are in the same region.
    for (ours, theirs, near) in [
        ("US", "US", true),
        ("US", "CA", false),
        ("DE", "GB", true),
        ("AU", "NZ", false),
        ("GB", "US", false),
    ] {
        let fake = Fake::new(Config {
            country: ours.to_owned(),
            ..Config::default()
        });
        let account = account_in(&fake, theirs);
        let mut fields = vec![
            ("amount", "1000"),
            ("currency", "usd"),
            ("payment_method", "pm_card_visa"),
            ("confirm", "true"),
            ("transfer_data[destination]", account.as_str()),
        ];
        let (status, body) = call(&fake, "POST", "/v1/payment_intents", &fields);
        assert_eq!(status, if near { 200 } else { 400 }, "{ours} to {theirs}");
        if !near {
            let message = text(&body["error"]["message"]);
            assert!(
                message.contains("outside the platform's region"),
                "{message}"
            );
        }
        fields.push(("on_behalf_of", &account));
        let paid = post(&fake, "/v1/payment_intents", &fields);
        assert_eq!(paid["status"], "succeeded");
        assert_eq!(paid["on_behalf_of"], *account);
        // A transfer without a payment is refused.
        fake.move_money(None, "usd", 5_000).expect("a balance");
        let fields = [
            ("amount", "100"),
            ("currency", "usd"),
            ("destination", account.as_str()),
        ];
        let (status, body) = call(&fake, "POST", "/v1/transfers", &fields);
        assert_eq!(status, if near { 200 } else { 400 }, "{ours} to {theirs}");
        if !near {
            assert_eq!(body["error"]["code"], "transfers_not_allowed");
        }
        sound(&fake);
    }
}

#[test]
fn who_a_payment_is_made_on_behalf_of_takes_cards() {
    let fake = Fake::default();
    let account = account_in(&fake, "CA");
    let fields = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("transfer_data[destination]", account.as_str()),
        ("on_behalf_of", account.as_str()),
    ];
    post(&fake, "/v1/payment_intents", &fields);
    let change = json!({"capabilities": {"card_payments": "inactive"}});
    fake.change_account(&account, &change).expect("an account");
    let (status, body) = call(&fake, "POST", "/v1/payment_intents", &fields);
    assert_eq!(status, 400);
    assert_eq!(body["error"]["param"], "on_behalf_of");
}
