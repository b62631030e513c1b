//! Subscriptions over several months of the fake's clock.

use crate::support::*;
use fake_stripe::{Fake, control::Intent};
use serde_json::Value;

const DAY: u32 = 24 * 3600;

fn price(fake: &Fake, amount: &str, key: &str) -> String {
    let fields = [
        ("currency", "usd"),
        ("unit_amount", amount),
        ("recurring[interval]", "month"),
        ("product_data[name]", "Business"),
        ("lookup_key", key),
    ];
    id(&post(fake, "/v1/prices", &fields))
}

fn subscriber(fake: &Fake, card: &str) -> String {
    let customer = customer(fake);
    let attach = format!("/v1/payment_methods/{card}/attach");
    let method = id(&post(fake, &attach, &[("customer", &customer)]));
    let fields = [("invoice_settings[default_payment_method]", method.as_str())];
    post(fake, &format!("/v1/customers/{customer}"), &fields);
    customer
}

fn subscribe(fake: &Fake, customer: &str, price: &str, behaviour: &str) -> Value {
    let fields = [
        ("customer", customer),
        ("items[0][price]", price),
        ("payment_behavior", behaviour),
        ("expand[]", "latest_invoice.confirmation_secret"),
        ("expand[]", "latest_invoice.payments"),
    ];
    post(fake, "/v1/subscriptions", &fields)
}

fn status(fake: &Fake, subscription: &str) -> String {
    text(&get(fake, &format!("/v1/subscriptions/{subscription}"))["status"])
}

#[test]
fn it_renews_each_month() {
    let fake = Fake::default();
    let price = price(&fake, "2000", "basic");
    let found = get(&fake, "/v1/prices?lookup_keys[]=basic");
    assert_eq!(found["data"][0]["id"], price);
    let customer = subscriber(&fake, "pm_card_visa");
    let subscription = subscribe(&fake, &customer, &price, "allow_incomplete");
    assert_eq!(subscription["status"], "active");
    assert_eq!(subscription["latest_invoice"]["status"], "paid");
    fake.advance(95 * DAY);
    let id = id(&subscription);
    let invoices = get(&fake, &format!("/v1/invoices?subscription={id}"));
    assert_eq!(invoices["data"].as_array().unwrap().len(), 4);
    assert_eq!(fake.books()["usd"].captured, 8000);
    post(
        &fake,
        &format!("/v1/subscriptions/{id}"),
        &[("cancel_at_period_end", "true")],
    );
    fake.advance(40 * DAY);
    assert_eq!(status(&fake, &id), "canceled");
    assert_eq!(fake.books()["usd"].captured, 8000);
    assert_eq!(
        events(&fake).last().unwrap(),
        "customer.subscription.deleted"
    );
    sound(&fake);
}

#[test]
fn the_buyer_pays_the_first_invoice() {
    let fake = Fake::default();
    let price = price(&fake, "2000", "basic");
    let customer = customer(&fake);
    let subscription = subscribe(&fake, &customer, &price, "default_incomplete");
    assert_eq!(subscription["status"], "incomplete");
    let secret = text(&subscription["latest_invoice"]["confirmation_secret"]["client_secret"]);
    let intent =
        text(&subscription["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"]);
    assert!(secret.starts_with(&intent));
    fake.pay_as_buyer(Intent::Payment, &intent, "4242424242424242")
        .unwrap();
    assert_eq!(status(&fake, &id(&subscription)), "active");
    sound(&fake);

    let waiting = subscribe(&fake, &customer, &price, "default_incomplete");
    fake.advance(DAY);
    assert_eq!(status(&fake, &id(&waiting)), "incomplete_expired");
}

#[test]
fn a_first_payment_that_fails() {
    let fake = Fake::default();
    let price = price(&fake, "2000", "basic");
    let customer = subscriber(&fake, "pm_card_chargeCustomerFail");
    let incomplete = subscribe(&fake, &customer, &price, "allow_incomplete");
    assert_eq!(incomplete["status"], "incomplete");
    let fields = [
        ("customer", customer.as_str()),
        ("items[0][price]", price.as_str()),
        ("payment_behavior", "error_if_incomplete"),
    ];
    assert_eq!(
        refused(&fake, "/v1/subscriptions", &fields),
        (402, "card_declined".to_owned())
    );
    assert_eq!(fake.all("subscriptions").len(), 1);
    assert!(fake.books().is_empty());
}

#[test]
fn a_renewal_fails_until_it_is_given_up() {
    let fake = Fake::default();
    let price = price(&fake, "2000", "basic");
    let customer = subscriber(&fake, "pm_card_visa");
    let subscription = id(&subscribe(&fake, &customer, &price, "allow_incomplete"));
    let attach = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
    let broken = id(&post(&fake, attach, &[("customer", &customer)]));
    let fields = [("default_payment_method", broken.as_str())];
    post(&fake, &format!("/v1/subscriptions/{subscription}"), &fields);
    fake.advance(32 * DAY);
    assert_eq!(status(&fake, &subscription), "past_due");
    fake.advance(16 * DAY);
    assert_eq!(status(&fake, &subscription), "canceled");
    let failures = events(&fake)
        .into_iter()
        .filter(|kind| kind == "invoice.payment_failed");
    assert_eq!(failures.count(), 4);
    assert_eq!(fake.books()["usd"].captured, 2000);
    sound(&fake);
}

#[test]
fn a_better_plan_in_the_middle_of_a_month() {
    let fake = Fake::default();
    let (basic, better) = (
        price(&fake, "3100", "basic"),
        price(&fake, "6200", "better"),
    );
    let customer = subscriber(&fake, "pm_card_visa");
    // January has 31 days; after 10 there are 21 left.
    let subscription = subscribe(&fake, &customer, &basic, "allow_incomplete");
    fake.advance(10 * DAY);
    let item = id(&subscription["items"]["data"][0]);
    let fields = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", better.as_str()),
        ("proration_behavior", "always_invoice"),
    ];
    let changed = post(
        &fake,
        &format!("/v1/subscriptions/{}", id(&subscription)),
        &fields,
    );
    assert_eq!(changed["items"]["data"][0]["id"], item);
    assert_eq!(fake.books()["usd"].captured, 3100 + 2100);
    fake.advance(22 * DAY);
    assert_eq!(fake.books()["usd"].captured, 3100 + 2100 + 6200);
    sound(&fake);
}

#[test]
fn a_trial_is_free() {
    let fake = Fake::default();
    let price = price(&fake, "2000", "basic");
    let customer = subscriber(&fake, "pm_card_visa");
    let fields = [
        ("customer", customer.as_str()),
        ("items[0][price]", price.as_str()),
        ("trial_period_days", "14"),
    ];
    let subscription = post(&fake, "/v1/subscriptions", &fields);
    assert_eq!(subscription["status"], "trialing");
    assert!(fake.books().is_empty());
    fake.advance(15 * DAY);
    assert_eq!(status(&fake, &id(&subscription)), "active");
    assert_eq!(fake.books()["usd"].captured, 2000);
    let (code, _) = call(
        &fake,
        "DELETE",
        &format!("/v1/subscriptions/{}", id(&subscription)),
        &[],
    );
    assert_eq!(
        (code, status(&fake, &id(&subscription)).as_str()),
        (200, "canceled")
    );
}

/// A saved card of a customer, by the name that Stripe gives it in tests.
fn saved(fake: &Fake, customer: &str, card: &str) -> String {
    let attach = format!("/v1/payment_methods/{card}/attach");
    id(&post(fake, &attach, &[("customer", customer)]))
}

#[test]
fn an_invoice_is_paid_with_a_card_that_is_named() {
    let fake = Fake::default();
    let price = price(&fake, "2000", "basic");
    let customer = customer(&fake);
    let subscription = subscribe(&fake, &customer, &price, "default_incomplete");
    let invoice = text(&subscription["latest_invoice"]["id"]);
    let pay = format!("/v1/invoices/{invoice}/pay");
    let with = |card: &str| {
        [
            ("payment_method", card.to_owned()),
            ("off_session", "false".to_owned()),
        ]
    };
    let asked = |card: &str| {
        let fields = with(&saved(&fake, &customer, card));
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        call(&fake, "POST", &pay, &fields)
    };
    let (code, told) = asked("pm_card_chargeCustomerFail");
    assert_eq!(
        (code, text(&told["error"]["code"])),
        (402, "card_declined".to_owned())
    );
    assert_eq!(status(&fake, &id(&subscription)), "incomplete");
    let (code, told) = asked("pm_card_authenticationRequired");
    assert_eq!(
        (
            code,
            text(&told["error"]["type"]),
            text(&told["error"]["code"])
        ),
        (
            402,
            "card_error".to_owned(),
            "invoice_payment_intent_requires_action".to_owned()
        )
    );
    let intent =
        text(&subscription["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"]);
    let waiting = get(&fake, &format!("/v1/payment_intents/{intent}"));
    assert_eq!(waiting["status"], "requires_action");
    let (code, paid) = asked("pm_card_visa");
    assert_eq!((code, text(&paid["status"])), (200, "paid".to_owned()));
    assert_eq!(status(&fake, &id(&subscription)), "active");
    let (code, told) = asked("pm_card_visa");
    assert_eq!(
        (code, text(&told["error"]["message"])),
        (400, "Invoice is already paid".to_owned())
    );
    assert!(told["error"]["code"].is_null());
    assert_eq!(fake.books()["usd"].captured, 2000);
    sound(&fake);
}

/// Stripe's documentation: an ended subscription's invoices are not collected any more, but can be paid.
#[test]
fn what_is_open_when_a_subscription_ends_can_still_be_paid_unless_it_has_expired() {
    let fake = Fake::default();
    let price = price(&fake, "2000", "basic");
    let customer = customer(&fake);
    let invoice_of = |subscription: &Value| {
        let id = text(&subscription["latest_invoice"]["id"]);
        get(&fake, &format!("/v1/invoices/{id}?expand[]=payments"))
    };
    let ended = subscribe(&fake, &customer, &price, "default_incomplete");
    call(
        &fake,
        "DELETE",
        &format!("/v1/subscriptions/{}", id(&ended)),
        &[],
    );
    let open = invoice_of(&ended);
    assert_eq!(
        (&open["status"], &open["auto_advance"]),
        (&"open".into(), &false.into())
    );
    let intent = text(&open["payments"]["data"][0]["payment"]["payment_intent"]);
    fake.pay_as_buyer(Intent::Payment, &intent, "4242424242424242")
        .unwrap();
    assert_eq!(invoice_of(&ended)["status"], "paid");
    assert_eq!(status(&fake, &id(&ended)), "canceled");

    let voided = subscribe(&fake, &customer, &price, "default_incomplete");
    let invoice = text(&voided["latest_invoice"]["id"]);
    post(&fake, &format!("/v1/invoices/{invoice}/void"), &[]);
    let expired = subscribe(&fake, &customer, &price, "default_incomplete");
    fake.advance(DAY);
    assert_eq!(status(&fake, &id(&expired)), "incomplete_expired");
    for subscription in [voided, expired] {
        let void = invoice_of(&subscription);
        assert_eq!(void["status"], "void");
        let intent = text(&void["payments"]["data"][0]["payment"]["payment_intent"]);
        fake.pay_as_buyer(Intent::Payment, &intent, "4242424242424242")
            .expect_err("a payment that is cancelled");
    }
    assert_eq!(fake.books()["usd"].captured, 2000);
    sound(&fake);
}

/// Stripe's documentation: the update is applied when its invoice is paid, and given up after a day or if that is void.
#[test]
fn a_better_plan_that_waits_for_its_payment() {
    let fake = Fake::default();
    let (basic, better) = (
        price(&fake, "3100", "basic"),
        price(&fake, "6200", "better"),
    );
    let customer = subscriber(&fake, "pm_card_visa");
    let subscription = subscribe(&fake, &customer, &basic, "allow_incomplete");
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let item = id(&subscription["items"]["data"][0]);
    let broken = saved(&fake, &customer, "pm_card_chargeCustomerFail");
    post(&fake, &path, &[("default_payment_method", &broken)]);
    let fields = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", better.as_str()),
        ("proration_behavior", "always_invoice"),
        ("payment_behavior", "pending_if_incomplete"),
    ];
    let billed = || text(&get(&fake, &path)["items"]["data"][0]["price"]["id"]);
    let change = || {
        let waiting = post(&fake, &path, &fields);
        assert_eq!(waiting["status"], "active");
        let items = &waiting["pending_update"]["subscription_items"];
        assert_eq!(items[0]["price"]["id"], better.as_str());
        assert_eq!(billed(), basic);
        text(&waiting["latest_invoice"])
    };
    let invoice = change();
    post(&fake, &format!("/v1/invoices/{invoice}/void"), &[]);
    assert!(get(&fake, &path)["pending_update"].is_null());
    change();
    fake.advance(DAY);
    assert!(get(&fake, &path)["pending_update"].is_null());
    assert_eq!(
        (status(&fake, &id(&subscription)), billed()),
        ("active".to_owned(), basic.clone())
    );
    let invoice = change();
    let card = saved(&fake, &customer, "pm_card_visa");
    let pay = format!("/v1/invoices/{invoice}/pay");
    post(&fake, &pay, &[("payment_method", &card)]);
    assert!(get(&fake, &path)["pending_update"].is_null());
    assert_eq!(billed(), better);
    sound(&fake);
}

fn change(fake: &Fake, subscription: &Value, price: &str) -> Value {
    let fields = [
        (
            "items[0][id]",
            text(&subscription["items"]["data"][0]["id"]),
        ),
        ("items[0][price]", price.to_owned()),
        ("proration_behavior", "always_invoice".to_owned()),
        ("payment_behavior", "pending_if_incomplete".to_owned()),
        ("expand[]", "latest_invoice".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let path = format!("/v1/subscriptions/{}", id(subscription));
    post(fake, &path, &fields)
}

fn balance(fake: &Fake, customer: &str) -> i64 {
    let customer = get(fake, &format!("/v1/customers/{customer}"));
    customer["balance"].as_i64().unwrap()
}

/// Stripe's documentation: an invoice of less than nothing is credited to the customer, and the credit pays the next ones.
#[test]
fn credit_for_a_cheaper_plan_pays_the_next_invoices() {
    let fake = Fake::default();
    let (basic, better, best) = (
        price(&fake, "3100", "basic"),
        price(&fake, "6200", "better"),
        price(&fake, "12400", "best"),
    );
    let customer = subscriber(&fake, "pm_card_visa");
    let subscription = subscribe(&fake, &customer, &better, "allow_incomplete");
    let captured = || fake.books()["usd"].captured;
    fake.advance(10 * DAY);
    // 21 of 31 days are left. To and fro costs nothing.
    for _ in 0..3 {
        let cheaper = change(&fake, &subscription, &basic);
        assert_eq!(cheaper["items"]["data"][0]["price"]["id"], basic);
        let invoice = &cheaper["latest_invoice"];
        assert_eq!(
            (
                &invoice["status"],
                &invoice["total"],
                &invoice["amount_due"]
            ),
            (&"paid".into(), &(-2100).into(), &0.into())
        );
        assert_eq!((captured(), balance(&fake, &customer)), (6200, -2100));
        let dearer = change(&fake, &subscription, &better);
        let invoice = &dearer["latest_invoice"];
        assert_eq!(
            (
                &invoice["status"],
                &invoice["starting_balance"],
                &invoice["amount_paid"]
            ),
            (&"paid".into(), &(-2100).into(), &0.into())
        );
        assert_eq!((captured(), balance(&fake, &customer)), (6200, 0));
    }
    // An invoice that is made void gives back what it has taken.
    change(&fake, &subscription, &basic);
    let broken = saved(&fake, &customer, "pm_card_chargeCustomerFail");
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    post(&fake, &path, &[("default_payment_method", &broken)]);
    let waiting = change(&fake, &subscription, &best);
    assert_eq!(waiting["latest_invoice"]["amount_due"], 6300 - 2100);
    assert_eq!(balance(&fake, &customer), 0);
    let invoice = text(&waiting["latest_invoice"]["id"]);
    post(&fake, &format!("/v1/invoices/{invoice}/void"), &[]);
    assert_eq!((captured(), balance(&fake, &customer)), (6200, -2100));
    // It pays a part of the next period.
    let good = saved(&fake, &customer, "pm_card_visa");
    post(&fake, &path, &[("default_payment_method", &good)]);
    fake.advance(22 * DAY);
    assert_eq!((captured(), balance(&fake, &customer)), (6200 + 1000, 0));
    sound(&fake);
}

/// Stripe's documentation: another interval begins at once, and what is left of the former period is credited.
#[test]
fn another_interval_begins_at_once() {
    let fake = Fake::default();
    let monthly = price(&fake, "3100", "monthly");
    let fields = [
        ("currency", "usd"),
        ("unit_amount", "31000"),
        ("recurring[interval]", "year"),
        ("product_data[name]", "Business"),
    ];
    let yearly = id(&post(&fake, "/v1/prices", &fields));
    let customer = subscriber(&fake, "pm_card_visa");
    let subscription = subscribe(&fake, &customer, &monthly, "allow_incomplete");
    let period = |subscription: &Value| {
        let item = &subscription["items"]["data"][0];
        let time = |field: &str| item[field].as_i64().unwrap();
        (time("current_period_start"), time("current_period_end"))
    };
    let (_, would_end) = period(&subscription);
    fake.advance(10 * DAY);
    let changed = change(&fake, &subscription, &yearly);
    let (start, end) = period(&changed);
    assert_eq!(start, would_end - 21 * i64::from(DAY));
    assert_eq!(end, start + 365 * i64::from(DAY));
    assert_eq!(changed["billing_cycle_anchor"], start);
    let captured = || fake.books()["usd"].captured;
    assert_eq!(captured(), 3100 + 31000 - 2100);
    // Nothing is due when the month would have ended, and the next year after this one.
    fake.advance(300 * DAY);
    assert_eq!(captured(), 3100 + 31000 - 2100);
    fake.advance(66 * DAY);
    assert_eq!(captured(), 3100 + 31000 - 2100 + 31000);
    // Back to months: the rest of the year is credited and pays them.
    let renewed = get(&fake, &format!("/v1/subscriptions/{}", id(&subscription)));
    change(&fake, &renewed, &monthly);
    let credit = balance(&fake, &customer);
    assert!((-31000 + 3100..-27000).contains(&credit), "{credit}");
    fake.advance(32 * DAY);
    assert_eq!(balance(&fake, &customer), credit + 3100);
    assert_eq!(captured(), 3100 + 31000 - 2100 + 31000);
    sound(&fake);
}
