//! C8: hosts outside the region of the platform's own account are paid only by payments made on their behalf; separate
//! transfers to them are never begun.

use super::stage::{Stage, keyed};
use fake_stripe::fault::{Fault, Kind};
use serde_json::json;
use server::seed::demo::PEOPLE;
use uuid::Uuid;

const GOOD_CARD: &str = "4242424242424242";

impl Stage {
    async fn intent(&self, order: &str) -> serde_json::Value {
        let payment = self.payment_of(order).await;
        self.stripe.fake.object(&payment).expect("a payment")
    }

    async fn begun(&self, cents: i64) -> String {
        let name = format!("Seat {}", Uuid::now_v7());
        let kind = self.tickets(&name, cents, 10).await;
        let order = self.order(&self.mira, &[(kind, 1)], false).await;
        order.expect(201).id()
    }
}

#[tokio::test]
async fn c8_a_host_abroad_is_paid_by_payments_on_its_behalf() {
    let stage = Stage::abroad().await;
    let seen = stage.olga.client.get("/connected-accounts").await;
    assert_eq!(seen.expect(200).json["data"][0]["settles_abroad"], true);
    let order = stage.begun(4_500).await;
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let intent = stage.intent(&order).await;
    assert_eq!(intent["on_behalf_of"], stage.account);
    assert_eq!(intent["transfer_data"]["destination"], stage.account);
    stage.confirm(&order, GOOD_CARD).await;
    assert_eq!(stage.state(&order).await, "paid");
    assert!(stage.host_has() > 0);
    stage.books_agree().await;
    // The refund goes back the way the money came.
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

/// With the guard switched off, the service refuses the payment and says why.
#[tokio::test]
async fn c8_without_it_the_service_refuses() {
    let stage = Stage::abroad().await;
    stage
        .run("update app.connected_accounts set settles_abroad = false")
        .await;
    let order = stage.begun(4_500).await;
    let refused = stage.pay(&stage.mira, &order, json!({})).await.expect(409);
    assert_eq!(refused.problem(), "payment-refused");
    assert!(refused.text.contains("on_behalf_of"), "{}", refused.text);
}

/// A host in the platform's own region is paid without `on_behalf_of`.
#[tokio::test]
async fn c8_a_host_of_the_same_region_is_paid_as_before() {
    let stage = Stage::changed(true, |parts| {
        parts.modules.payments.stripe_account_country = Some("AU".to_owned());
    })
    .await;
    let order = stage.begun(4_500).await;
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    assert!(stage.intent(&order).await["on_behalf_of"].is_null());
    stage.confirm(&order, GOOD_CARD).await;
    stage.books_agree().await;
}

/// A repeated request sends the same words as the first, even if the account has changed meanwhile.
#[tokio::test]
async fn c8_p1_what_is_sent_again_is_what_was_sent() {
    let stage = Stage::abroad().await;
    for kind in [Kind::DropAfter, Kind::DropBefore] {
        let order = stage.begun(4_500).await;
        let fault = Fault {
            path: Some("/v1/payment_intents".to_owned()),
            ..Fault::new(kind)
        };
        stage.stripe.fake.add_fault(fault);
        let unknown = stage.pay(&stage.mira, &order, json!({})).await.expect(503);
        assert_eq!(unknown.problem(), "payment-provider-unavailable");
        stage.stripe.fake.clear_faults();
        stage
            .run("update app.connected_accounts set settles_abroad = not settles_abroad")
            .await;
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        let intent = stage.intent(&order).await;
        assert_eq!(intent["on_behalf_of"], stage.account, "{kind:?}");
        let made = stage.stripe.fake.all("payment_intents").into_iter();
        let made = made.filter(|made| made["metadata"]["order_id"] == *order);
        assert_eq!(made.count(), 1, "{kind:?}");
        stage.confirm(&order, GOOD_CARD).await;
        assert_eq!(stage.state(&order).await, "paid");
        stage
            .run("update app.connected_accounts set settles_abroad = not settles_abroad")
            .await;
    }
    stage.books_agree().await;
}

/// P5: a payment with our metadata that settles elsewhere than requested changes nothing.
#[tokio::test]
async fn c8_p5_a_payment_on_somebody_elses_behalf_is_not_believed() {
    let stage = Stage::abroad().await;
    let order = stage.begun(4_500).await;
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage
        .run("update app.transactions set on_behalf_of_host = false where order_id is not null")
        .await;
    stage.confirm(&order, GOOD_CARD).await;
    assert_eq!(stage.state(&order).await, "pending");
    let parked = stage
        .number("select count(*) from app.stripe_events where state = 'parked'")
        .await;
    assert!(parked > 0);
}

/// The part of an order paid by credits would have to be transferred abroad, so credits pay at most the platform's
/// part.
#[tokio::test]
async fn c8_credits_pay_no_part_of_a_host_abroad() {
    let stage = Stage::abroad().await;
    stage.credits(&stage.mira, 50_000).await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let cart = stage.cart(&[(kind, 2)], true);
    let price = stage.mira.client.post("/orders/price", cart).await;
    let price = price.expect(200).json;
    let placed = stage.order(&stage.mira, &[(kind, 2)], true).await;
    let placed = placed.expect(201);
    assert_eq!(placed.json["wallet_cents"], price["wallet_cents"]);
    let credits = placed.json["wallet_cents"].as_i64().expect("credits");
    assert!(credits > 0 && credits < 9_000);
    let order = placed.id();
    let text = format!(
        "select platform_fee_cents + city_share_cents - wallet_cents + top_up_cents + application_fee_cents
         from app.orders where id = '{order}'"
    );
    assert_eq!(
        stage.number(&text).await,
        0,
        "the platform keeps no more and no less than its part"
    );
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, GOOD_CARD).await;
    assert_eq!(stage.state(&order).await, "paid");
    stage.books_agree().await;
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.wallet(&stage.mira).await, (50_000, 0));
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
    // Free tickets need no account at the service.
    let free = stage.tickets("Free", 0, 10).await;
    let order = stage.order(&stage.mira, &[(free, 1)], true).await;
    assert_eq!(order.expect(201).json["wallet_cents"], 0);
}

/// Money taken back from the host because of a dispute couldn't be sent again if the dispute is won, so it is only
/// taken back when the dispute is lost.
#[tokio::test]
async fn c8_p7_a_dispute_takes_the_part_of_a_host_abroad_once_it_is_lost() {
    let stage = Stage::abroad().await;
    for won in [true, false] {
        let order = stage.begun(4_500).await;
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        let before = stage.host_has();
        stage.confirm(&order, GOOD_CARD).await;
        let with = stage.host_has();
        let payment = stage.payment_of(&order).await;
        let fake = &stage.stripe.fake;
        let dispute = fake.dispute(&payment, "fraudulent", false);
        let dispute = dispute.expect("a dispute");
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.host_has(), with);
        let id = dispute["id"].as_str().expect("an id");
        fake.close_dispute(id, won).expect("a dispute");
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.host_has(), if won { with } else { before });
        let failed = "select count(*) from app.transfers where state <> 'succeeded'";
        assert_eq!(stage.number(failed).await, 0);
        stage.sound().await;
    }
}

#[tokio::test]
async fn c8_a_city_abroad_opens_no_account() {
    let stage = Stage::abroad().await;
    let carlo = stage.server.sign_in(PEOPLE[1].id).await;
    let city: Uuid = stage.server.city("melbourne").await;
    let body = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
    let path = format!("/cities/{city}/onboarding");
    let refused = carlo.client.post(&path, body).await.expect(409);
    assert_eq!(refused.problem(), "payment-refused");
    assert_eq!(stage.stripe.fake.all("accounts").len(), 1);
    // Nothing could be sent to an existing account either.
    let text = "select count(*) from app.connected_accounts where owner_type = 'city' and stripe_account_id is not null";
    assert_eq!(stage.number(text).await, 0);
}
