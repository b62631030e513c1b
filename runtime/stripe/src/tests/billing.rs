//! Subscriptions, and the payment of their invoices.

use super::{
    calls::{answers, aud, created},
    connected::sent,
    objects::{self, list, with},
    script::{Script, Step, key},
};
use crate::{Method, Reply};
use chrono::TimeDelta;
use gateway::*;
use serde_json::{Value, json};

#[tokio::test]
async fn subscriptions() {
    let mut first = objects::invoice();
    first["confirmation_secret"] =
        json!({"client_secret": "pi_9_secret_1", "type": "payment_intent"});
    let waiting = with(
        objects::subscription(),
        json!({"status": "incomplete", "latest_invoice": first}),
    );
    let script = answers(&[waiting, objects::subscription()]);
    let mut new = NewSubscription {
        customer: "cus_1".into(),
        price: "price_1".into(),
        payment_method: None,
        trial_days: Some(14),
        metadata: Metadata::new(),
    };
    let waiting = script
        .gateway()
        .create_subscription(&key("sub:1"), &new)
        .await
        .unwrap();
    assert_eq!(waiting.status, SubscriptionStatus::Incomplete);
    assert_eq!(waiting.client_secret.unwrap().expose(), "pi_9_secret_1");
    assert_eq!(waiting.latest_invoice.as_deref(), Some("in_1"));
    let expected = [
        "customer=cus_1",
        "expand[0]=latest_invoice.confirmation_secret",
        "items[0][price]=price_1",
        "payment_behavior=default_incomplete",
        "payment_settings[save_default_payment_method]=on_subscription",
        "trial_period_days=14",
    ];
    assert_eq!(sent(&script, 0).2, expected);

    new.payment_method = Some("pm_1".into());
    let active = script
        .gateway()
        .create_subscription(&key("sub:2"), &new)
        .await
        .unwrap();
    assert_eq!(
        (active.status, active.item.as_str()),
        (SubscriptionStatus::Active, "si_1")
    );
    assert_eq!(active.price, "price_1");
    assert_eq!(active.price_metadata["plan_id"], "p1");
    assert_eq!(
        (active.amount, active.currency, active.interval),
        (Some(4900), aud(), Some(Interval::Month))
    );
    assert_eq!(active.current_period_start, created());
    assert_eq!(active.current_period_end, created() + TimeDelta::days(30));
    let body = sent(&script, 1).2;
    for pair in [
        "default_payment_method=pm_1",
        "payment_behavior=allow_incomplete",
    ] {
        assert!(body.contains(&pair.to_owned()), "{pair}");
    }
    // The buyer is present: an absent one could not authenticate, and the card would be declined instead.
    assert!(!body.iter().any(|pair| pair.starts_with("off_session")));

    let mut item = objects::subscription()["items"]["data"][0].clone();
    item["price"]["id"] = json!("price_2");
    let pending = with(
        objects::subscription(),
        json!({"pending_update": {"expires_at": 1_790_000_000, "subscription_items": [item]}}),
    );
    let mut told = vec![objects::subscription(); 6];
    told[0] = pending;
    let script = answers(&told);
    let gateway = script.gateway();
    let change = ChangePlan {
        subscription: "sub_1".into(),
        item: "si_1".into(),
        price: "price_2".into(),
        proration: Proration::InvoiceNow,
    };
    let waiting = gateway.change_plan(&key("plan:1"), &change).await.unwrap();
    assert_eq!(
        (waiting.price.as_str(), waiting.pending_price.as_deref()),
        ("price_1", Some("price_2"))
    );
    gateway
        .cancel_at_period_end(&key("end:1"), "sub_1")
        .await
        .unwrap();
    gateway
        .keep_subscription(&key("keep:1"), "sub_1")
        .await
        .unwrap();
    gateway
        .cancel_subscription_now(&key("now:1"), "sub_1")
        .await
        .unwrap();
    gateway.subscription("sub_1").await.unwrap();
    gateway
        .set_subscription_card(&key("card:1"), "sub_1", "pm_2")
        .await
        .unwrap();
    assert!(
        sent(&script, 5)
            .2
            .contains(&"default_payment_method=pm_2".to_owned())
    );
    let bodies: Vec<Vec<String>> = (0..3).map(|index| sent(&script, index).2).collect();
    assert_eq!(
        bodies[0],
        [
            "expand[0]=latest_invoice.confirmation_secret",
            "items[0][id]=si_1",
            "items[0][price]=price_2",
            "payment_behavior=pending_if_incomplete",
            "proration_behavior=always_invoice"
        ]
    );
    assert_eq!(bodies[1], ["cancel_at_period_end=true"]);
    assert_eq!(bodies[2], ["cancel_at_period_end=false"]);
    let (method, path, _) = sent(&script, 3);
    assert_eq!(
        (method, path.as_str()),
        (Method::Delete, "/v1/subscriptions/sub_1")
    );
    assert_eq!(script.seen()[3].header("idempotency-key"), Some("now:1"));

    let script = answers(&[list(&[objects::subscription()], false), objects::invoice()]);
    assert_eq!(
        script.gateway().subscriptions("cus_1").await.unwrap().len(),
        1
    );
    assert!(sent(&script, 0).2.contains(&"status=all".to_owned()));
    let invoice = script.gateway().invoice("in_1").await.unwrap();
    assert_eq!(
        (invoice.status, invoice.amount_paid),
        (InvoiceStatus::Paid, 4900)
    );
    assert_eq!(invoice.subscription.as_deref(), Some("sub_1"));
    assert_eq!(invoice.payment.as_deref(), Some("pi_9"));
}

fn refused(status: u16, error: Value) -> Step {
    Step::Reply(Reply {
        status,
        headers: Vec::new(),
        body: json!({ "error": error }).to_string().into_bytes(),
    })
}

#[tokio::test]
async fn an_invoice_is_paid_with_a_card_of_a_buyer_who_is_there() {
    let paid = with(
        objects::invoice(),
        json!({"status_transitions": {"paid_at": 1_790_000_000}}),
    );
    let script = answers(&[paid]);
    let pay = PayInvoice {
        invoice: "in_1".into(),
        payment_method: "pm_1".into(),
    };
    let gateway = script.gateway();
    let paid = gateway.pay_invoice(&key("pay:1"), &pay).await.unwrap();
    assert_eq!(
        (paid.status, paid.payment.as_deref()),
        (InvoiceStatus::Paid, Some("pi_9"))
    );
    assert_eq!(paid.paid_at.unwrap().timestamp(), 1_790_000_000);
    let (method, path, body) = sent(&script, 0);
    assert_eq!(
        (method, path.as_str()),
        (Method::Post, "/v1/invoices/in_1/pay")
    );
    let expected = [
        "expand[0]=payments",
        "off_session=false",
        "payment_method=pm_1",
    ];
    assert_eq!(body, expected);
    assert_eq!(script.seen()[0].header("idempotency-key"), Some("pay:1"));

    // As Stripe words them: a card that declines, a bank that asks the buyer, and an invoice that is paid already.
    let script = Script::new([
        refused(
            402,
            json!({"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
                "message": "Your card has insufficient funds."}),
        ),
        refused(
            402,
            json!({"type": "card_error", "code": "invoice_payment_intent_requires_action",
                "message": "This payment requires additional user action before it can be completed successfully."}),
        ),
        refused(
            400,
            json!({"type": "invalid_request_error", "message": "Invoice is already paid"}),
        ),
    ]);
    let gateway = script.gateway();
    let mut told = Vec::new();
    for attempt in ["pay:2", "pay:3", "pay:4"] {
        let failure = gateway.pay_invoice(&key(attempt), &pay).await.unwrap_err();
        let refusal = failure.refusal().expect("a refusal").clone();
        told.push((refusal.kind, failure.is_for_authentication()));
    }
    let card = "card_error".to_owned();
    let call = "invalid_request_error".to_owned();
    assert_eq!(told, [(card.clone(), false), (card, true), (call, false)]);
}

#[tokio::test]
async fn invoices_are_listed_and_made_void() {
    let void = with(objects::invoice(), json!({"status": "void"}));
    let script = answers(&[list(&[objects::invoice()], false), void]);
    let gateway = script.gateway();
    let all = gateway.invoices("sub_1").await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].payment.as_deref(), Some("pi_9"));
    let (method, path, asked) = sent(&script, 0);
    assert_eq!((method, path.as_str()), (Method::Get, "/v1/invoices"));
    assert!(asked.contains(&"subscription=sub_1".to_owned()));
    let voided = gateway.void_invoice(&key("void:1"), "in_1").await.unwrap();
    assert_eq!(voided.status, InvoiceStatus::Void);
    let (method, path, _) = sent(&script, 1);
    assert_eq!(
        (method, path.as_str()),
        (Method::Post, "/v1/invoices/in_1/void")
    );
}
