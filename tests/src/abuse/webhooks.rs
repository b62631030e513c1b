//! Case 68: webhooks that only pretend to come from the payment service.

use crate::{
    money::stage::Stage,
    support::stripe::{self, CONNECT_SECRET, SECRET},
};
use axum::http::Method;
use chrono::{TimeDelta, Utc};
use fake_stripe::Intent;
use serde_json::{Value, json};
use uuid::Uuid;

const URL: &str = "/webhooks/stripe";

const STORED: &str = "select count(*) from app.stripe_events";

/// An event in the service's format.
fn event(kind: &str, object: &Value) -> Value {
    json!({"id": format!("evt_{}", Uuid::now_v7().simple()), "object": "event", "type": kind, "created": Utc::now().timestamp(),
        "livemode": false, "api_version": "2026-09-30.endive", "data": {"object": object}})
}

async fn told(stage: &Stage, body: &[u8], signature: &str) -> u16 {
    let headers = [
        ("stripe-signature", signature),
        ("content-type", "application/json"),
    ];
    let client = &stage.server.client;
    client
        .send_bytes(Method::POST, URL, body.to_vec(), &headers)
        .await
        .status
        .as_u16()
}

async fn signed(stage: &Stage, event: &Value) -> u16 {
    let body = event.to_string().into_bytes();
    let signature = gateway::sign(&body, SECRET, Utc::now());
    told(stage, &body, &signature).await
}

/// The state and the error of a stored event.
async fn became(stage: &Stage, event: &Value) -> (String, String) {
    stage.server.settled().await;
    sqlx::query_as(
        "select state, coalesce(error, '') from app.stripe_events where stripe_event_id = $1",
    )
    .bind(event["id"].as_str())
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("an event")
}

#[tokio::test]
async fn abuse_68_what_nobody_has_signed_is_not_stored() {
    let stage = Stage::new().await;
    let before = stage.number(STORED).await;
    let now = Utc::now();
    let body = event(
        "payment_intent.succeeded",
        &json!({"id": "pi_1", "object": "payment_intent"}),
    )
    .to_string();
    let body = body.as_bytes();
    let by =
        |secret: &str, seconds: i64| gateway::sign(body, secret, now + TimeDelta::seconds(seconds));
    let good = by(SECRET, 0);
    for (what, signature) in [
        ("missing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("v0 only", good.replace("v1=", "v0=")),
        (
            "no time",
            good.split_once(',').expect("two parts").1.to_owned(),
        ),
        ("another time", good.replacen("t=", "t=1", 1)),
        ("of a stranger", by("whsec_of_a_stranger", 0)),
        ("of the other endpoint", by(CONNECT_SECRET, 0)),
        ("of an empty secret", by("", 0)),
        // With a margin of some seconds, which the test itself takes.
        ("too old", by(SECRET, -301)),
        ("of the future", by(SECRET, 330)),
    ] {
        assert_eq!(told(&stage, body, &signature).await, 400, "{what}");
    }
    for at in [0, body.len() / 2, body.len() - 1] {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        assert_eq!(told(&stage, &changed, &good).await, 400, "byte {at}");
    }
    // Signed bodies that are no events, and one that exceeds the maximum size.
    let signed_by_us = |body: &[u8]| gateway::sign(body, SECRET, Utc::now());
    for nonsense in [
        &b"{}"[..],
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{\"object\": \"event\"}",
    ] {
        assert_eq!(told(&stage, nonsense, &signed_by_us(nonsense)).await, 400);
    }
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(told(&stage, &large, &signed_by_us(&large)).await, 413);
    assert_eq!(stage.number(STORED).await, before);
    // The negative control: the same body with a recent signature, as one of several.
    let rotated = format!("{},v1={}", by(SECRET, -250), "0".repeat(64));
    assert_eq!(told(&stage, body, &rotated).await, 200);
    assert_eq!(stage.number(STORED).await, before + 1);
}

#[tokio::test]
async fn abuse_68_events_that_come_twice_or_mean_nothing_change_nothing() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let payment = stage.payment_of(&order).await;
    let object = |id: &str, kind: &str| json!({"id": id, "object": kind});
    stage.stripe.deliver(&stage.server).await;

    // The event says that the payment succeeded, but the payment itself says otherwise. Ten deliveries count as one
    // event.
    let mut lie = event(
        "payment_intent.succeeded",
        &object(&payment, "payment_intent"),
    );
    lie["data"]["object"]["status"] = json!("succeeded");
    lie["data"]["object"]["amount_received"] = json!(4_500);
    let before = stage.number(STORED).await;
    for _ in 0..10 {
        assert_eq!(signed(&stage, &lie).await, 200);
    }
    assert_eq!(stage.number(STORED).await, before + 1);
    assert_eq!(became(&stage, &lie).await.0, "done");
    assert_eq!(stage.state(&order).await, "pending");

    let mut of_real_money = event(
        "payment_intent.succeeded",
        &object(&payment, "payment_intent"),
    );
    of_real_money["livemode"] = json!(true);
    let mut of_an_account = event(
        "payment_intent.succeeded",
        &object(&payment, "payment_intent"),
    );
    of_an_account["account"] = json!("acct_of_a_stranger");
    for (expected, meaningless) in [
        (
            "ignored",
            event("galaxy.collapsed", &object("gx_1", "galaxy")),
        ),
        ("ignored", event("payment_intent.succeeded", &json!({}))),
        ("ignored", of_real_money),
        ("ignored", of_an_account),
        (
            "parked",
            event(
                "payment_intent.succeeded",
                &object("pi_of_nobody", "payment_intent"),
            ),
        ),
        (
            "parked",
            event("charge.refunded", &object("../../v1/balance", "charge")),
        ),
    ] {
        assert_eq!(signed(&stage, &meaningless).await, 200);
        let (state, error) = became(&stage, &meaningless).await;
        assert_eq!(state, expected, "{meaningless} {error}");
    }
    assert_eq!(stage.state(&order).await, "pending");
    assert_eq!(stage.stock(kind).await, (1, 0));

    // The payment succeeds, and its events arrive in reverse order, twice each.
    stage
        .stripe
        .fake
        .pay_as_buyer(Intent::Payment, &payment, "4242424242424242")
        .expect("paid");
    let due = stage.stripe.fake.due_webhooks();
    for _ in 0..2 {
        for post in due.iter().rev() {
            assert_eq!(stripe::send(&stage.server, post).await, 200);
        }
        stage.server.settled().await;
    }
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.stock(kind).await, (0, 1));
    stage.books_agree().await;
}

/// A payment that claims to be for one of our orders, but does not match the stored transaction.
#[tokio::test]
async fn abuse_68_what_a_payment_says_of_itself_is_not_believed() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let mut conn = stage.server.superuser().await;
    let transaction: Uuid =
        sqlx::query_scalar("select id from app.transactions where order_id = $1::text::uuid")
            .bind(&order)
            .fetch_one(&mut conn)
            .await
            .expect("a transaction");
    stage.stripe.deliver(&stage.server).await;
    // As before the service has answered, when a payment is only known by our id in its metadata.
    stage
        .run("update app.transactions set stripe_payment_intent_id = null")
        .await;
    let stripe = stage.stripe.gateway();
    for (n, (amount, currency, destination)) in [
        (50, "aud", Some(stage.account.clone())),
        (4_500, "usd", Some(stage.account.clone())),
        (4_500, "aud", None),
    ]
    .into_iter()
    .enumerate()
    {
        let currency = gateway::Currency::new(currency).expect("a currency");
        let mut new = gateway::NewPayment::new(amount, currency);
        new.destination = destination;
        new.metadata = gateway::Metadata::from([
            ("order_id".to_owned(), order.clone()),
            ("transaction_id".to_owned(), transaction.to_string()),
            ("user_id".to_owned(), stage.mira.id.to_string()),
        ]);
        let key = gateway::Key::new(format!("a-payment-of-their-own-{n}")).expect("a key");
        let made = stripe.create_payment(&key, &new).await.expect("a payment");
        let paid = stage
            .stripe
            .fake
            .pay_as_buyer(Intent::Payment, &made.id, "4242424242424242");
        paid.expect("paid");
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.state(&order).await, "pending", "{amount}");
        let parked = format!(
            "select count(*) from app.stripe_events where state = 'parked' and object_id = '{}'",
            made.id
        );
        assert!(stage.number(&parked).await > 0);
    }
    assert_eq!(stage.stock(kind).await, (1, 0));
}
