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
