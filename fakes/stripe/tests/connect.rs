//! Connected accounts: onboarding, destination charges, transfers, fees, and their refunds.

use crate::support::*;
use fake_stripe::{Fake, Request};
use serde_json::json;

fn destination(fake: &Fake, amount: &str, fee: &str, account: &str) -> serde_json::Value {
    let fields = [
        ("amount", amount),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("application_fee_amount", fee),
        ("transfer_data[destination]", account),
        ("expand[]", "latest_charge"),
    ];
    post(fake, "/v1/payment_intents", &fields)
}

#[test]
fn an_account_must_be_onboarded() {
    let fake = Fake::default();
    let fields = [
        ("type", "express"),
        ("capabilities[transfers][requested]", "true"),
    ];
    let account = id(&post(&fake, "/v1/accounts", &fields));
    let pay = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("transfer_data[destination]", account.as_str()),
    ];
    let before = refused(&fake, "/v1/payment_intents", &pay);
    assert_eq!(
        before,
        (400, "insufficient_capabilities_for_transfer".to_owned())
    );
    let link = post(
        &fake,
        "/v1/account_links",
        &[
            ("account", &account),
            ("type", "account_onboarding"),
            ("refresh_url", "https://example.org/again"),
            ("return_url", "https://example.org/back"),
        ],
    );
    assert!(text(&link["url"]).contains(&account));
    // Creating the link alone changes nothing.
    assert_eq!(
        get(&fake, &format!("/v1/accounts/{account}"))["charges_enabled"],
        false
    );
    fake.onboard(&account).unwrap();
    let after = get(&fake, &format!("/v1/accounts/{account}"));
    assert_eq!(
        (&after["charges_enabled"], &after["payouts_enabled"]),
        (&true.into(), &true.into())
    );
    post(&fake, "/v1/payment_intents", &pay);

    fake.change_account(&account, &json!({ "refused_currencies": ["eur"] }))
        .unwrap();
    let euro = [
        ("amount", "1000"),
        ("currency", "eur"),
        ("transfer_data[destination]", account.as_str()),
    ];
    assert_eq!(
        refused(&fake, "/v1/payment_intents", &euro),
        (400, "currency_not_supported".to_owned())
    );

    fake.deauthorize(&account).unwrap();
    assert_eq!(
        call(&fake, "GET", &format!("/v1/accounts/{account}"), &[]).0,
        403
    );
    assert_eq!(
        refused(&fake, "/v1/payment_intents", &pay),
        (400, "resource_missing".to_owned())
    );
    let last = fake.all("events").pop().unwrap();
    assert_eq!(
        (&last["type"], &last["account"]),
        (&"account.application.deauthorized".into(), &account.into())
    );
}

#[test]
fn a_destination_charge_and_its_refund() {
    let fake = Fake::default();
    let account = account(&fake);
    let intent = destination(&fake, "1000", "123", &account);
    let charge = &intent["latest_charge"];
    assert_eq!(charge["application_fee_amount"], 123);
    let balances = |fake: &Fake| {
        let books = fake.books();
        let accounts = &books["usd"].accounts;
        (accounts["platform"], accounts[&account])
    };
    assert_eq!(balances(&fake), (123, 877));
    let back = [
        ("payment_intent", id(&intent)),
        ("amount", "333".to_owned()),
        ("reverse_transfer", "true".to_owned()),
        ("refund_application_fee", "true".to_owned()),
    ];
    let back: Vec<(&str, &str)> = back
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let refund = post(&fake, "/v1/refunds", &back);
    assert!(text(&refund["transfer_reversal"]).starts_with("trr_"));
    // 1000 × 333 / 1000 is taken back from the account, and 123 × 333 / 1000 = 40.959 of the fee is returned to it.
    assert_eq!(balances(&fake), (123 - 41, 877 - 333 + 41));
    sound(&fake);
    // Without a reversal, the platform bears the refund.
    post(
        &fake,
        "/v1/refunds",
        &[("payment_intent", &id(&intent)), ("amount", "100")],
    );
    assert_eq!(balances(&fake), (123 - 41 - 100, 877 - 333 + 41));
    sound(&fake);
}

#[test]
fn a_part_of_a_payment_may_go_to_the_destination() {
    let fake = Fake::default();
    let account = account(&fake);
    let fields = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("transfer_data[destination]", account.as_str()),
        ("transfer_data[amount]", "700"),
    ];
    post(&fake, "/v1/payment_intents", &fields);
    let books = &fake.books()["usd"];
    assert_eq!(
        (
            books.accounts["platform"],
            books.accounts[&account],
            books.transferred
        ),
        (300, 700, 700)
    );
    sound(&fake);
}

#[test]
fn transfers_need_money_and_can_be_reversed() {
    let fake = Fake::default();
    let account = account(&fake);
    let fields = [
        ("amount", "500"),
        ("currency", "usd"),
        ("destination", account.as_str()),
    ];
    assert_eq!(
        refused(&fake, "/v1/transfers", &fields),
        (400, "balance_insufficient".to_owned())
    );
    fake.move_money(None, "usd", 800).unwrap();
    let transfer = id(&post(&fake, "/v1/transfers", &fields));
    let path = format!("/v1/transfers/{transfer}/reversals");
    post(&fake, &path, &[("amount", "200")]);
    assert_eq!(refused(&fake, &path, &[("amount", "301")]).0, 400);
    // After the account was paid out, nothing is left to take back.
    fake.move_money(Some(&account), "usd", -300).unwrap();
    assert_eq!(
        refused(&fake, &path, &[]),
        (400, "balance_insufficient".to_owned())
    );
    let after = get(&fake, &format!("/v1/transfers/{transfer}"));
    assert_eq!(
        (
            &after["amount_reversed"],
            &after["reversals"]["data"][0]["amount"]
        ),
        (&200.into(), &200.into())
    );
    sound(&fake);
}

#[test]
fn a_transfer_of_a_charge_can_not_exceed_it() {
    let fake = Fake::default();
    let account = account(&fake);
    let charge = text(&pay(&fake, "1000", "pm_card_visa")["latest_charge"]);
    let of = |amount: &'static str| {
        [
            ("amount", amount.to_owned()),
            ("currency", "usd".to_owned()),
            ("destination", account.clone()),
            ("source_transaction", charge.clone()),
        ]
    };
    let ask = |fields: &[(&str, String)]| {
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        call(&fake, "POST", "/v1/transfers", &fields).0
    };
    assert_eq!(
        (ask(&of("900")), ask(&of("200")), ask(&of("100"))),
        (200, 400, 200)
    );
    sound(&fake);
}

#[test]
fn direct_charges_belong_to_the_account() {
    let fake = Fake::default();
    let account = account(&fake);
    let fields = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("application_fee_amount", "50"),
    ];
    let request = Request::new("POST", "/v1/payment_intents")
        .form(&fields)
        .header("Stripe-Account", &account);
    let intent = send(&fake, &request).json().unwrap();
    assert_eq!(intent["status"], "succeeded", "{intent:#}");
    let path = format!("/v1/payment_intents/{}", id(&intent));
    assert_eq!(call(&fake, "GET", &path, &[]).0, 404);
    let theirs = Request::new("GET", &path).header("Stripe-Account", &account);
    assert_eq!(send(&fake, &theirs).status, 200);
    let books = &fake.books()["usd"];
    assert_eq!(
        (books.accounts["platform"], books.accounts[&account]),
        (50, 950)
    );
    sound(&fake);
}
