//! Every object has the fields that a typed client requires.
//!
//! The table lists the fields that async-stripe 1.0.0-rc.10 expects to be always present. If one is missing, such a
//! client fails to parse the whole answer, although the money has moved.

use crate::support::*;
use fake_stripe::{Fake, control::Intent};
use serde_json::Value;

const NEEDED: &[(&str, &str)] = &[
    (
        "payment_intents",
        "id amount amount_capturable amount_received capture_method confirmation_method created currency livemode \
         metadata payment_method_types status",
    ),
    (
        "charges",
        "id amount amount_captured amount_refunded billing_details captured created currency disputed livemode \
         metadata paid refunded status",
    ),
    ("refunds", "id amount created currency"),
    (
        "setup_intents",
        "id created livemode payment_method_types status usage",
    ),
    (
        "payment_methods",
        "id billing_details created livemode type",
    ),
    ("customers", "id created livemode"),
    (
        "subscriptions",
        "id automatic_tax billing_cycle_anchor billing_mode billing_schedules cancel_at_period_end collection_method \
         created currency customer discounts invoice_settings items livemode metadata start_date status",
    ),
    (
        "invoices",
        "id amount_due amount_overpaid amount_paid amount_remaining amount_shipping attempt_count attempted \
         automatic_tax collection_method created currency default_tax_rates discounts issuer lines livemode \
         payment_settings period_end period_start post_payment_credit_notes_amount pre_payment_credit_notes_amount \
         starting_balance status_transitions subtotal total",
    ),
    (
        "disputes",
        "id amount balance_transactions charge created currency enhanced_eligibility_types evidence \
         evidence_details is_charge_refundable livemode metadata reason status payment_method_details/card/brand \
         payment_method_details/card/case_type payment_method_details/card/network",
    ),
    ("accounts", "id"),
    (
        "transfers",
        "id amount amount_reversed created currency livemode metadata reversals reversed",
    ),
    ("transfer_reversals", "id amount created currency transfer"),
    (
        "application_fees",
        "id account amount amount_refunded application charge created currency livemode refunded refunds",
    ),
    ("fee_refunds", "id amount created currency fee"),
    ("events", "id created data livemode pending_webhooks type"),
    (
        "balance_transactions",
        "id amount available_on balance_type created currency fee fee_details net reporting_category status type",
    ),
    (
        "prices",
        "id active billing_scheme created currency livemode metadata product type",
    ),
    (
        "products",
        "id active created images livemode marketing_features metadata name type updated",
    ),
];

/// A world with at least one object of every kind.
fn world() -> Fake {
    let fake = Fake::default();
    let account = account(&fake);
    for card in [
        "pm_card_visa",
        "pm_card_createDispute",
        "pm_card_createDisputeInquiry",
    ] {
        pay(&fake, "1000", card);
    }
    let fields = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("application_fee_amount", "100"),
        ("transfer_data[destination]", account.as_str()),
    ];
    let intent = id(&post(&fake, "/v1/payment_intents", &fields));
    let fields = [
        ("payment_intent", intent.as_str()),
        ("reverse_transfer", "true"),
        ("refund_application_fee", "true"),
    ];
    post(&fake, "/v1/refunds", &fields);
    let customer = customer(&fake);
    let setup = id(&post(
        &fake,
        "/v1/setup_intents",
        &[("customer", &customer)],
    ));
    let kept = fake
        .pay_as_buyer(Intent::Setup, &setup, "pm_card_visa")
        .unwrap();
    let price = [
        ("currency", "usd"),
        ("unit_amount", "2000"),
        ("recurring[interval]", "year"),
        ("product_data[name]", "Business"),
    ];
    let price = id(&post(&fake, "/v1/prices", &price));
    let method = text(&kept["payment_method"]);
    let fields = [
        ("customer", customer.as_str()),
        ("items[0][price]", price.as_str()),
        ("default_payment_method", method.as_str()),
    ];
    post(&fake, "/v1/subscriptions", &fields);
    fake
}

#[test]
fn nothing_is_missing() {
    let fake = world();
    for (list, needed) in NEEDED {
        let all = fake.all(list);
        assert!(!all.is_empty(), "no {list}");
        for object in &all {
            for field in needed.split_whitespace() {
                let value = object.pointer(&format!("/{field}"));
                assert!(
                    value.is_some_and(|value| !value.is_null()),
                    "{list}: {field} is missing in {object:#}"
                );
            }
            assert!(no_private(object), "{object:#}");
        }
    }
}

/// Whether the value has none of the fake's own fields.
fn no_private(value: &Value) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .all(|(name, value)| !name.starts_with('_') && no_private(value)),
        Value::Array(all) => all.iter().all(no_private),
        _ => true,
    }
}
