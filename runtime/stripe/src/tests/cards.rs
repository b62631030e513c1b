//! Refunds, disputes, customers and cards: what each call sends, and how its answer is converted.

use super::{
    calls::{answers, created, of, params, sent},
    objects::{self, list, with},
    script::key,
};
use crate::Method;
use chrono::TimeDelta;
use gateway::*;
use serde_json::json;

#[tokio::test]
async fn refunds_disputes_and_charges() {
    let body = with(
        objects::refund(),
        json!({"transfer_reversal": objects::reversal()}),
    );
    let script = answers(&[body]);
    let new = NewRefund {
        payment: "pi_1".into(),
        amount: 1000,
        reverse_transfer: true,
        refund_application_fee: true,
        metadata: of(&[("part", "1")]),
    };
    let refund = script
        .gateway()
        .create_refund(&key("re:1"), &new)
        .await
        .unwrap();
    assert_eq!(
        (refund.status, refund.transfer_reversed),
        (RefundStatus::Succeeded, Some(900))
    );
    let expected = params(&[
        ("amount", "1000"),
        ("expand[0]", "transfer_reversal"),
        ("metadata[part]", "1"),
        ("payment_intent", "pi_1"),
        ("refund_application_fee", "true"),
        ("reverse_transfer", "true"),
    ]);
    assert_eq!(
        sent(&script),
        (Method::Post, "/v1/refunds".into(), expected)
    );

    let failed = with(
        objects::refund(),
        json!({"status": "failed", "failure_reason": "lost_or_stolen_card"}),
    );
    let script = answers(&[list(std::slice::from_ref(&failed), false), failed]);
    let refunds = script.gateway().refunds("pi_1").await.unwrap();
    assert_eq!(
        refunds[0].failure_reason.as_deref(),
        Some("lost_or_stolen_card")
    );
    assert_eq!(script.gateway().refund("re_1").await.unwrap(), refunds[0]);

    let script = answers(&[objects::dispute(), objects::charge()]);
    let dispute = script.gateway().dispute("du_1").await.unwrap();
    assert_eq!(
        (dispute.status, dispute.charge.as_str()),
        (DisputeStatus::NeedsResponse, "ch_1")
    );
    assert_eq!(
        dispute.evidence_due_by,
        Some(created() + TimeDelta::days(1))
    );
    let charge = script.gateway().charge("ch_1").await.unwrap();
    assert_eq!(
        (charge.destination.as_deref(), charge.application_fee),
        (Some("acct_1"), Some(250))
    );
}

#[tokio::test]
async fn customers_and_cards() {
    let script = answers(&[objects::customer()]);
    let new = NewCustomer {
        email: Some("ann@example.org".into()),
        name: None,
        metadata: of(&[("user_id", "u1")]),
    };
    let customer = script
        .gateway()
        .create_customer(&key("cus:u1"), &new)
        .await
        .unwrap();
    assert_eq!(customer.id, "cus_1");
    let expected = params(&[("email", "ann@example.org"), ("metadata[user_id]", "u1")]);
    assert_eq!(
        sent(&script),
        (Method::Post, "/v1/customers".into(), expected)
    );
    assert!(!format!("{new:?}").contains("ann@"));

    let script = answers(&[objects::setup()]);
    let new = NewSetup {
        customer: "cus_1".into(),
        metadata: Metadata::new(),
    };
    let setup = script
        .gateway()
        .create_setup(&key("seti:1"), &new)
        .await
        .unwrap();
    assert_eq!(setup.status, SetupStatus::RequiresPaymentMethod);
    assert!(!format!("{setup:?}").contains("secret_1"));
    let expected = params(&[
        ("allowed_payment_method_types[0]", "card"),
        ("customer", "cus_1"),
        ("usage", "off_session"),
    ]);
    assert_eq!(
        sent(&script),
        (Method::Post, "/v1/setup_intents".into(), expected)
    );

    let bank = with(
        objects::card("pm_2"),
        json!({"card": null, "type": "us_bank_account"}),
    );
    let script = answers(&[
        list(&[objects::card("pm_1"), bank.clone()], false),
        bank,
        objects::setup(),
    ]);
    let cards = script.gateway().cards("cus_1").await.unwrap();
    assert_eq!(cards.len(), 1);
    assert_eq!(
        (
            cards[0].last4.as_str(),
            cards[0].exp_month,
            cards[0].exp_year
        ),
        ("4242", 12, 2034)
    );
    let failure = script.gateway().card("pm_2").await.unwrap_err();
    assert_eq!(
        failure.refusal().unwrap().code.as_deref(),
        Some("not_a_card")
    );
    script.gateway().setup("seti_1").await.unwrap();

    let script = answers(&[with(objects::card("pm_1"), json!({"customer": null}))]);
    let card = script
        .gateway()
        .detach_card(&key("detach:1"), "pm_1")
        .await
        .unwrap();
    assert_eq!(card.customer, None);
    assert_eq!(sent(&script).1, "/v1/payment_methods/pm_1/detach");
}
