//! O3, O4, I-O2: a late payment buys what could be ordered now, and is refunded otherwise, whichever limit prevents
//! it: the stock, the promo code, or the limit per person.

use super::stage::{Stage, keyed};
use crate::support::Member;
use app::tickets::settle::Settled;
use serde_json::{Value, json};
use uuid::Uuid;

impl Stage {
    async fn promo_code(&self, code: &str, bounds: Value) {
        let mut body = json!({"event_id": self.event, "code": code, "basis_points": 1_000});
        let bounds = bounds.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(bounds);
        let made = self.olga.client.post("/promo-codes", body).await;
        made.expect(201);
    }

    async fn with_code(&self, by: &Member, kind: Uuid, code: &str) -> String {
        let mut cart = self.cart(&[(kind, 1)], false);
        cart["promo_code"] = json!(code);
        keyed(by, "/orders", cart).await.expect(201).id()
    }

    /// Expires the order, which releases everything that it held.
    async fn expired(&self, order: &str) {
        self.run_out(order).await;
        let tickets = &self.server.built.app.modules.tickets;
        tickets.expire().await.expect("swept");
        assert_eq!(self.state(order).await, "expired");
    }

    /// Asserts that the payment buys nothing and is refunded with a reason.
    async fn goes_back(&self, order: &str) {
        let Settled::Owed(refund) = self.paid(order).await else {
            panic!("it bought tickets");
        };
        assert_eq!(self.state(order).await, "refund_pending");
        let shown = self.mira.client.get(&format!("/refunds/{refund}")).await;
        let shown = shown.expect(200).json;
        assert_eq!(shown["reason"], "other");
        assert!(
            shown["note"]
                .as_str()
                .is_some_and(|note| note.contains("late"))
        );
        let order = self.mira.client.get(&format!("/orders/{order}")).await;
        assert_eq!(shown["card_cents"], order.expect(200).json["card_cents"]);
        self.sound().await;
    }

    async fn redemptions(&self, code: &str) -> i64 {
        let text =
            format!("select redemption_count::int8 from app.promo_codes where code = '{code}'");
        self.number(&text).await
    }
}

#[tokio::test]
async fn o3_a_late_payment_takes_its_promo_code_again_or_goes_back() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    stage
        .promo_code("LASTONE", json!({"max_redemptions": 1}))
        .await;
    let order = stage.with_code(&stage.mira, seat, "LASTONE").await;
    stage.expired(&order).await;
    assert_eq!(stage.redemptions("LASTONE").await, 0);
    let other = stage.with_code(&stage.olga, seat, "LASTONE").await;
    assert_eq!(stage.paid(&other).await, Settled::Paid);
    stage.goes_back(&order).await;
    // There were enough tickets; none of them is held or sold for it.
    assert_eq!(stage.stock(seat).await, (0, 1));
    assert_eq!(stage.redemptions("LASTONE").await, 1);
    assert_eq!(stage.paid(&order).await, Settled::Before);

    // Nobody else has used this code meanwhile, so it is used again.
    stage
        .promo_code("STILLFREE", json!({"max_redemptions": 1}))
        .await;
    let order = stage.with_code(&stage.mira, seat, "STILLFREE").await;
    stage.expired(&order).await;
    assert_eq!(stage.paid(&order).await, Settled::Paid);
    assert_eq!(stage.redemptions("STILLFREE").await, 1);
    assert_eq!(stage.stock(seat).await, (0, 2));
    stage.sound().await;
}

#[tokio::test]
async fn o4_nobody_has_more_than_one_person_may_by_paying_late() {
    let stage = Stage::without_provider().await;
    let few = json!({"per_user_limit": 2});
    let seat = stage.tickets_with("Seat", 2_500, 10, few).await;
    let two = [(seat, 2)];
    let mut orders = Vec::new();
    for _ in 0..2 {
        let order = stage.order(&stage.mira, &two, false).await.expect(201);
        stage.expired(&order.id()).await;
        orders.push(order.id());
    }
    // Expired orders don't count, so the first of them gets its tickets.
    assert_eq!(stage.paid(&orders[0]).await, Settled::Paid);
    stage.goes_back(&orders[1]).await;
    assert_eq!(stage.stock(seat).await, (0, 2));

    // The limit also counts an order that waits for its payment.
    let kind = stage
        .tickets_with("Box", 2_500, 10, json!({"per_user_limit": 1}))
        .await;
    let late = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let late = late.expect(201).id();
    stage.expired(&late).await;
    let waiting = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let waiting = waiting.expect(201).id();
    stage.goes_back(&late).await;
    assert_eq!(stage.paid(&waiting).await, Settled::Paid);
    assert_eq!(stage.stock(kind).await, (0, 1));
    stage.sound().await;
}

#[tokio::test]
async fn o4_nobody_uses_a_promo_code_more_often_by_paying_late() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    stage.promo_code("ONCE", json!({"per_user_limit": 1})).await;
    let late = stage.with_code(&stage.mira, seat, "ONCE").await;
    stage.expired(&late).await;
    let second = stage.with_code(&stage.mira, seat, "ONCE").await;
    assert_eq!(stage.paid(&second).await, Settled::Paid);
    stage.goes_back(&late).await;
    assert_eq!(stage.stock(seat).await, (0, 1));
    stage.sound().await;
}

/// A payment that arrives after its buyer has cancelled the order goes back, although there are tickets left.
#[tokio::test]
async fn o3_a_payment_of_a_cancelled_order_buys_nothing() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    let order = stage.order(&stage.mira, &[(seat, 2)], false).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let cancel = format!("/orders/{order}/cancel");
    keyed(&stage.mira, &cancel, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.stock(seat).await, (0, 0));
    let path = format!("/refunds?order_id={order}");
    let refunds = stage.mira.client.get(&path).await.expect(200).json;
    let refunds = refunds["data"].as_array().expect("a list");
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    assert_eq!(refunds[0]["card_cents"], 5_000);
    let note = refunds[0]["note"].as_str().unwrap_or_default();
    assert!(note.contains("cancelled"), "{note}");
    // Control: the same payment of an order that has expired buys its tickets.
    let kept = stage.order(&stage.mira, &[(seat, 2)], false).await;
    let kept = kept.expect(201).id();
    stage.pay(&stage.mira, &kept, json!({})).await.expect(200);
    stage.expired(&kept).await;
    stage.confirm(&kept, "4242424242424242").await;
    assert_eq!(stage.state(&kept).await, "paid");
    stage.books_agree().await;
    stage.sound().await;
}

/// Cancelling and paying at the same moment end in one of two ways: the tickets and no refund, or the refund and no
/// tickets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_cancelled_and_paid_at_once_is_one_of_both() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 50).await;
    let mut sold = 0;
    for _ in 0..12 {
        let order = stage.order(&stage.mira, &[(seat, 1)], false).await;
        let order = order.expect(201).id();
        let cancel = format!("/orders/{order}/cancel");
        let row = format!("app.orders where id = '{order}'");
        let cancelling = keyed(&stage.mira, &cancel, json!({}));
        let (cancelled, settled) = stage.meeting(&row, cancelling, stage.paid(&order)).await;
        match cancelled.status.as_u16() {
            200 => {
                assert!(matches!(settled, Settled::Owed(_)), "{settled:?}");
                assert_eq!(stage.state(&order).await, "refund_pending");
            }
            409 => {
                assert_eq!(settled, Settled::Paid);
                sold += 1;
            }
            other => panic!("{other}: {}", cancelled.text),
        }
        assert_eq!(stage.stock(seat).await, (0, sold));
    }
    stage.sound().await;
}

/// Who sells at the door buys for guests: that uses up neither the guests' promo code nor the seller's own limits, in
/// time or late.
#[tokio::test]
async fn o3_sales_at_the_door_count_for_nobodys_limit() {
    let stage = Stage::without_provider().await;
    let three = json!({"per_user_limit": 3});
    let seat = stage.tickets_with("Seat", 2_000, 50, three).await;
    stage
        .promo_code("GUEST", json!({"per_user_limit": 1, "max_redemptions": 4}))
        .await;
    let mut at_door = stage.cart(&[(seat, 2)], false);
    at_door["promo_code"] = json!("GUEST");
    for _ in 0..3 {
        keyed(&stage.olga, "/door-sales", at_door.clone())
            .await
            .expect(201);
    }
    // Olga still has her own three, one of them with the code.
    let order = stage.with_code(&stage.olga, seat, "GUEST").await;
    stage.expired(&order).await;
    assert_eq!(stage.paid(&order).await, Settled::Paid);
    let more = stage.order(&stage.olga, &[(seat, 2)], false).await;
    more.expect(201);
    // Controls: her own limits, and the number of redemptions in all.
    let too_many = stage.order(&stage.olga, &[(seat, 1)], false).await;
    assert_eq!(too_many.expect(409).problem(), "limit-reached");
    let used_up = keyed(&stage.olga, "/door-sales", at_door).await;
    assert_eq!(used_up.expect(409).problem(), "promo-code-refused");
    stage.sound().await;
}
