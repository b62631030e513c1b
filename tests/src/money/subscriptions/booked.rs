//! S3: a period that is paid is booked once, whatever is told of its invoice afterwards and however often.

use super::Shop;
use crate::{
    money::controls::event,
    support::stripe::{self, SECRET},
};
use fake_stripe::webhook::{Post, Target};
use serde_json::{Value, json};

impl Shop {
    /// An event about an invoice, as the service would send it.
    async fn told_of(&self, id: &str, kind: &str, invoice: &str) {
        let mut body: Value = serde_json::from_slice(&event(id)).expect("JSON");
        body["type"] = json!(kind);
        body["data"]["object"] =
            json!({"id": invoice, "object": "invoice", "status": "open", "paid": false});
        let body = body.to_string().into_bytes();
        let post = Post {
            delivery: 0,
            target: Target::Platform,
            url: "/webhooks/stripe".to_owned(),
            signature: gateway::sign(&body, SECRET, chrono::Utc::now()),
            body,
        };
        assert_eq!(stripe::send(&self.stage.server, &post).await, 200);
        self.stage.server.settled().await;
    }
}

#[tokio::test]
async fn s3_a_paid_invoice_is_booked_once_and_a_late_failure_changes_nothing() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let shown = async || {
        let shown = shop.shown(&id).await;
        let fields = [
            "state",
            "is_entitled",
            "entitled_until",
            "current_period_end",
        ];
        fields.map(|field| shown[field].clone())
    };
    let (booked, before) = (shop.movements().await, shown().await);
    assert_eq!((booked, &before[0]), (1, &json!("active")));
    let invoices = shop.stage.stripe.fake.all("invoices");
    let invoice = invoices[0]["id"].as_str().expect("an id");
    for (id, kind) in [
        ("evt_paid_again", "invoice.paid"),
        ("evt_paid_thrice", "invoice.payment_succeeded"),
        ("evt_failed_late", "invoice.payment_failed"),
    ] {
        shop.told_of(id, kind, invoice).await;
        assert_eq!(
            (shop.movements().await, shown().await),
            (booked, before.clone()),
            "{kind}"
        );
    }
    shop.stage.sound().await;

    // The negative control: without its key, the same invoice is booked again.
    shop.stage
        .run("drop index app.transactions_stripe_idempotency_key_key, app.transactions_stripe_payment_intent_id_key")
        .await;
    shop.told_of("evt_paid_unguarded", "invoice.paid", invoice)
        .await;
    assert_eq!(shop.movements().await, booked + 1);
}
