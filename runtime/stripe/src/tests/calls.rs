//! Payments: what each call sends, and how its answer is converted.

use super::{
    objects::{self, list, with},
    script::{Script, Step, error, key, ok},
};
use crate::Method;
use chrono::{DateTime, TimeDelta, Utc};
use gateway::*;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

pub fn answers(bodies: &[Value]) -> Arc<Script> {
    Script::new(bodies.iter().map(|body| Step::Reply(ok(body))))
}

/// Method, path and decoded parameters of the only request.
pub fn sent(script: &Script) -> (Method, String, BTreeMap<String, String>) {
    let seen = script.seen();
    let [request] = seen.as_slice() else {
        panic!("one request, not {seen:?}");
    };
    let query = request
        .path_and_query
        .split_once('?')
        .map(|(_, query)| query);
    let form = query.unwrap_or(&request.body);
    let pairs = url::form_urlencoded::parse(form.as_bytes()).into_owned();
    (request.method, request.path().to_owned(), pairs.collect())
}

pub fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

pub fn aud() -> Currency {
    Currency::new("AUD").unwrap()
}

pub fn created() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

pub fn of(pairs: &[(&str, &str)]) -> Metadata {
    params(pairs)
}

#[tokio::test]
async fn a_payment_is_created_with_all_that_was_said() {
    let script = answers(&[objects::payment("pi_1")]);
    let new = NewPayment {
        customer: Some("cus_1".into()),
        payment_method: Some("pm_1".into()),
        confirm: true,
        off_session: true,
        return_url: Some("https://example.org/back?a=b&c".into()),
        destination: Some("acct_1".into()),
        application_fee: Some(250),
        transfer_group: Some("o1".into()),
        on_behalf_of: Some("acct_1".into()),
        metadata: of(&[("order_id", "o1"), ("attempt", "1"), ("kind", "tickets")]),
        description: Some("Two tickets & more".into()),
        ..NewPayment::new(2500, aud())
    };
    let payment = script
        .gateway()
        .create_payment(&key("pi:o1:1"), &new)
        .await
        .unwrap();
    let (method, path, body) = sent(&script);
    assert_eq!(
        (method, path.as_str()),
        (Method::Post, "/v1/payment_intents")
    );
    let expected = params(&[
        ("allowed_payment_method_types[0]", "card"),
        ("amount", "2500"),
        ("application_fee_amount", "250"),
        ("confirm", "true"),
        ("currency", "aud"),
        ("customer", "cus_1"),
        ("description", "Two tickets & more"),
        ("expand[0]", "latest_charge"),
        ("expand[1]", "latest_charge.application_fee"),
        ("expand[2]", "latest_charge.transfer"),
        ("metadata[attempt]", "1"),
        ("metadata[kind]", "tickets"),
        ("metadata[order_id]", "o1"),
        ("off_session", "true"),
        ("on_behalf_of", "acct_1"),
        ("payment_method", "pm_1"),
        ("return_url", "https://example.org/back?a=b&c"),
        ("transfer_data[destination]", "acct_1"),
        ("transfer_group", "o1"),
    ]);
    assert_eq!(body, expected);
    assert_eq!(payment.status, PaymentStatus::Created);
    assert_eq!(payment.currency, aud());
    assert_eq!(payment.client_secret.unwrap().expose(), "pi_1_secret_1");
    assert_eq!(payment.amount_refunded, None);

    let bodies: Vec<String> = {
        let script = answers(&vec![objects::payment("pi_1"); 8]);
        for _ in 0..8 {
            script
                .gateway()
                .create_payment(&key("k"), &new)
                .await
                .unwrap();
        }
        script
            .seen()
            .into_iter()
            .map(|request| request.body)
            .collect()
    };
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "the same bytes each time"
    );
}

#[tokio::test]
async fn what_is_false_is_not_sent() {
    let script = answers(&[objects::payment("pi_1")]);
    let new = NewPayment::new(1, Currency::new("JPY").unwrap());
    script
        .gateway()
        .create_payment(&key("k"), &new)
        .await
        .unwrap();
    let (_, _, body) = sent(&script);
    let names: Vec<&str> = body.keys().map(String::as_str).collect();
    let expected = [
        "allowed_payment_method_types[0]",
        "amount",
        "currency",
        "expand[0]",
        "expand[1]",
        "expand[2]",
    ];
    assert_eq!(names, expected);
    assert_eq!(body["currency"], "jpy");

    let script = answers(&[objects::refund()]);
    let new = NewRefund {
        payment: "pi_1".into(),
        amount: 1000,
        reverse_transfer: false,
        refund_application_fee: false,
        metadata: Metadata::new(),
    };
    script
        .gateway()
        .create_refund(&key("k"), &new)
        .await
        .unwrap();
    let (_, _, body) = sent(&script);
    assert!(!body.contains_key("reverse_transfer") && !body.contains_key("refund_application_fee"));
}

#[tokio::test]
async fn amounts_in_other_units_are_not_sent() {
    for code in ["ISK", "UGX", "MGA"] {
        let script = Script::new([]);
        let new = NewPayment::new(1000, Currency::new(code).unwrap());
        let failure = script
            .gateway()
            .create_payment(&key("k"), &new)
            .await
            .unwrap_err();
        assert_eq!(
            failure.refusal().unwrap().code.as_deref(),
            Some("unsupported_currency")
        );
    }
}

#[tokio::test]
async fn a_payment_tells_its_status_and_what_came_back() {
    let charge = with(
        objects::charge(),
        json!({
            "amount_refunded": 1000, "disputed": true,
            "application_fee": objects::application_fee(), "transfer": objects::transfer("tr_1"),
        }),
    );
    let paid = json!({"status": "succeeded", "amount_received": 2500, "latest_charge": charge});
    let whole = with(
        charge.clone(),
        json!({"amount_refunded": 2500, "refunded": true}),
    );
    let declined = json!({"last_payment_error": {
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "message": "No.",
    }});
    let asked = json!({"status": "requires_action", "next_action": {
        "type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/3ds"},
    }});
    for (fields, status) in [
        (json!({}), PaymentStatus::Created),
        (declined.clone(), PaymentStatus::Failed),
        (asked.clone(), PaymentStatus::RequiresAction),
        (
            json!({"status": "requires_confirmation"}),
            PaymentStatus::Created,
        ),
        (json!({"status": "processing"}), PaymentStatus::Processing),
        (json!({"status": "canceled"}), PaymentStatus::Canceled),
        (
            json!({"status": "succeeded", "latest_charge": "ch_1"}),
            PaymentStatus::Succeeded,
        ),
        (
            json!({"status": "succeeded", "latest_charge": objects::charge()}),
            PaymentStatus::Succeeded,
        ),
        (paid.clone(), PaymentStatus::PartiallyRefunded),
        (
            json!({"status": "succeeded", "latest_charge": whole}),
            PaymentStatus::Refunded,
        ),
    ] {
        let script = answers(&[with(objects::payment("pi_1"), fields.clone())]);
        let payment = script.gateway().payment("pi_1").await.unwrap();
        assert_eq!(payment.status, status, "{fields}");
    }
    let read = async |fields: Value| {
        let script = answers(&[with(objects::payment("pi_1"), fields)]);
        script.gateway().payment("pi_1").await.unwrap()
    };
    let payment = read(paid).await;
    assert_eq!(
        (payment.amount_refunded, payment.disputed),
        (Some(1000), Some(true))
    );
    assert_eq!(
        (payment.transfer.as_deref(), payment.transfer_reversed),
        (Some("tr_1"), Some(1000))
    );
    assert_eq!(payment.application_fee_refunded, Some(100));
    assert_eq!(
        read(declined).await.decline_code.as_deref(),
        Some("insufficient_funds")
    );
    assert_eq!(
        read(asked).await.next_action_url.as_deref(),
        Some("https://bank.example/3ds")
    );

    // An unknown status is an error and not mapped to a known one.
    let script = answers(&[with(
        objects::payment("pi_1"),
        json!({"status": "pondering"}),
    )]);
    let failure = script.gateway().payment("pi_1").await.unwrap_err();
    let why = Ambiguity::Undecodable;
    assert_eq!(
        failure,
        Failure::Ambiguous {
            why,
            replayed: false
        }
    );
}

#[tokio::test]
async fn a_refusal_shows_the_payment_as_it_is() {
    let succeeded = with(objects::payment("pi_1"), json!({"status": "succeeded"}));
    let body = json!({"error": {
        "type": "invalid_request_error", "code": "payment_intent_unexpected_state", "message": "Too late.",
        "payment_intent": succeeded,
    }});
    let late = super::script::reply(400, body.to_string(), &[]);
    let script = Script::new([Step::Reply(late)]);
    let failure = script
        .gateway()
        .cancel_payment(&key("k"), "pi_1")
        .await
        .unwrap_err();
    let refusal = failure.refusal().unwrap();
    assert!(refusal.payment.as_ref().unwrap().status.is_paid());
    let (method, path, _) = sent(&script);
    assert_eq!(
        (method, path.as_str()),
        (Method::Post, "/v1/payment_intents/pi_1/cancel")
    );

    let script = Script::new([error(404, "invalid_request_error", "resource_missing")]);
    assert!(
        script
            .gateway()
            .payment("pi_0")
            .await
            .unwrap_err()
            .is_missing()
    );
}

#[tokio::test]
async fn payments_of_an_order_are_found_page_by_page() {
    let other = with(
        objects::payment("pi_2"),
        json!({"metadata": {"order_id": "o2"}}),
    );
    let script = answers(&[
        list(&[objects::payment("pi_3"), other], true),
        list(&[objects::payment("pi_1")], false),
    ]);
    let query = FindPayments {
        metadata: ("order_id".into(), "o1".into()),
        customer: Some("cus_1".into()),
        created_since: created(),
        created_until: Some(created() + TimeDelta::days(1)),
    };
    let found = script.gateway().find_payments(&query).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|payment| payment.id.as_str()).collect();
    assert_eq!(ids, ["pi_3", "pi_1"]);
    let seen = script.seen();
    let query = |index: usize| {
        let (_, query) = seen[index].path_and_query.split_once('?').unwrap();
        url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(query(0)["created[gte]"], "1790000000");
    assert_eq!(query(0)["created[lte]"], "1790086400");
    assert_eq!(query(0)["customer"], "cus_1");
    assert_eq!(query(0)["expand[0]"], "data.latest_charge");
    assert_eq!(query(0).get("starting_after"), None);
    assert_eq!(query(1)["starting_after"], "pi_2");

    // An unreadable item is an error, since it might be the one that is searched for.
    let script = answers(&[list(&[json!({"id": "pi_9"})], false)]);
    let query = FindPayments {
        metadata: ("order_id".into(), "o1".into()),
        customer: None,
        created_since: created(),
        created_until: None,
    };
    assert!(matches!(
        script.gateway().find_payments(&query).await,
        Err(Failure::Ambiguous { .. })
    ));
}
