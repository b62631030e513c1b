//! Money of a period that had bought nothing, on its way back to the payer.

use super::Shop;
use axum::http::Method;
use fake_stripe::Intent;
use serde_json::json;

/// A card sends back the refund of what had bought nothing, after it had succeeded: an administrator hears of it until the
/// payer has the money.
#[tokio::test]
async fn s4_a_period_that_a_card_sends_back_waits_for_an_administrator() {
    let shop = Shop::new().await;
    let id = shop.begun().await;
    shop.deliver_all().await;
    shop.at_once_at_stripe(&id).await;
    let fake = &shop.stage.stripe.fake;
    let payment = shop.payment_due();
    fake.pay_as_buyer(Intent::Payment, &payment, "4000000000005126")
        .expect("paid");
    shop.deliver_all().await;
    let paula = &shop.stage.paula.client;
    let all = async || {
        let path = "/stripe-events?state=parked";
        let list = paula.get(path).await.expect(200).json;
        list["data"].as_array().expect("events").clone()
    };
    // Rows that were made up for tests may be parked, too.
    let others = all().await;
    let parked = async || {
        let mut events = all().await;
        events.retain(|event| !others.iter().any(|other| other["id"] == event["id"]));
        events
    };
    let status = async || {
        let path = format!("/transactions?subscription_id={id}");
        let list = shop.binh.client.get(&path).await.expect(200).json;
        list["data"][0]["status"].clone()
    };
    assert_eq!(
        (status().await, parked().await),
        (json!("refunded"), vec![])
    );
    fake.advance(60);
    shop.deliver_all().await;
    assert_eq!(status().await, "succeeded");
    let waiting = parked().await;
    assert!(!waiting.is_empty());
    let retry = async || {
        for event in &waiting {
            let path = format!(
                "/stripe-events/{}/retry",
                event["id"].as_str().expect("an id")
            );
            let sent = paula.send(Method::POST, &path, None, &[]).await;
            sent.expect(202);
        }
        shop.stage.server.settled().await;
    };
    retry().await;
    for event in parked().await {
        let why = event["error"].as_str().expect("a reason");
        assert!(why.contains("sent back the refund"), "{why}");
        assert!(why.contains("1900 AUD"), "{why}");
    }
    assert_eq!(parked().await.len(), waiting.len());
    shop.by_hand("/v1/refunds", &[("payment_intent", &payment)]);
    retry().await;
    assert_eq!(
        (status().await, parked().await),
        (json!("refunded"), vec![])
    );
    shop.stage.sound().await;
}
