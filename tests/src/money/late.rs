//! O3, O4, I-O2: a late payment buys what could be ordered now, and is refunded otherwise, whichever limit prevents
//! it: the stock, the promo code, or the limit per person.

use super::{
    hosts::draft,
    stage::{Stage, keyed},
};
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

/// A ticket type that the host has archived since, or that was suspended, sells no more tickets. An archived row can't be
/// changed, so without the guard such a payment would be neither settled nor refunded.
#[tokio::test]
async fn o3_a_late_payment_for_a_type_that_is_withdrawn_goes_back() {
    let stage = Stage::without_provider().await;
    for withdrawn in ["archived", "suspended"] {
        let kind = stage.tickets(withdrawn, 2_500, 10).await;
        let path = format!("/ticket-types/{kind}");
        let late = stage.order(&stage.mira, &[(kind, 2)], false).await;
        let late = late.expect(201).id();
        stage.expired(&late).await;
        match withdrawn {
            "archived" => {
                stage.olga.client.delete(&path).await.expect(204);
            }
            _ => {
                let suspend = format!("{path}/suspend");
                stage.paula.client.act(&suspend).await.expect(200);
            }
        }
        stage.goes_back(&late).await;
        assert_eq!(stage.stock(kind).await, (0, 0), "{withdrawn}");
    }
    // Control: a type that is still sold.
    let kind = stage.tickets("On sale", 2_500, 10).await;
    let late = stage.order(&stage.mira, &[(kind, 2)], false).await;
    let late = late.expect(201).id();
    stage.expired(&late).await;
    assert_eq!(stage.paid(&late).await, Settled::Paid);
    stage.sound().await;
}

/// Nobody could use the tickets of an account that is closed while its payment is on its way: the money goes back, in
/// time or late. A suspension may be lifted, so tickets are issued then.
#[tokio::test]
async fn o3_money_for_an_account_that_was_closed_meanwhile_goes_back() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    for (handle, is_late) in [("leaves_in_time", false), ("leaves_late", true)] {
        let leaver = stage.server.member(handle).await;
        let order = stage.order(&leaver, &[(seat, 2)], false).await;
        let order = order.expect(201).id();
        if is_late {
            stage.expired(&order).await;
        }
        leaver.client.delete("/me").await.expect(204);
        let Settled::Owed(refund) = stage.paid(&order).await else {
            panic!("{handle} has tickets");
        };
        assert_eq!(stage.state(&order).await, "refund_pending");
        assert_eq!(stage.stock(seat).await, (0, 0));
        let shown = stage.paula.client.get(&format!("/refunds/{refund}")).await;
        let shown = shown.expect(200).json;
        assert_eq!(shown["card_cents"], 5_000);
        let note = shown["note"].as_str().unwrap_or_default();
        assert!(note.contains("closed"), "{note}");
        stage.sound().await;
    }
    // Control: a suspended buyer has the tickets.
    let suspended = stage.server.member("comes_back").await;
    let order = stage.order(&suspended, &[(seat, 2)], false).await;
    let order = order.expect(201).id();
    let suspend = format!("/users/{}/suspend", suspended.id);
    stage.paula.client.act(&suspend).await.expect(200);
    assert_eq!(stage.paid(&order).await, Settled::Paid);
    stage.sound().await;
}

/// What may change between the end of an order and its late payment, and whether the payment buys the tickets then.
const CHANGES: [(&str, bool); 16] = [
    ("DELETE /ticket-types/{type}", false),
    ("POST /ticket-types/{type}/suspend", false),
    ("PATCH /ticket-types/{type} {\"capacity\": 1}", false),
    ("PATCH /ticket-types/{type} {\"per_user_limit\": 1}", false),
    ("PATCH /ticket-types/{type} {\"price_cents\": 9900}", true),
    ("PATCH /ticket-types/{type} {\"door_only\": true}", false),
    (
        "PATCH /ticket-types/{type} {\"sales_end\": \"2020-01-01T00:00:00Z\"}",
        false,
    ),
    ("DELETE /promo-codes/{code}", true),
    ("PATCH /events/{event} {\"capacity\": 1}", false),
    ("POST /events/{event}/unpublish", false),
    ("POST /events/{event}/cancel {\"reason\": \"Rain\"}", false),
    ("POST /events/{event}/suspend", false),
    ("DELETE /events/{event}", false),
    ("POST /organizations/{host}/suspend", false),
    ("POST /users/{buyer}/suspend", true),
    ("DELETE /me", false),
];

/// Whatever has changed since the order expired, its late payment is settled: it buys the tickets or goes back. Nothing
/// makes the database refuse it for good.
#[tokio::test]
async fn o3_a_late_payment_is_settled_whatever_has_changed() {
    let mut stage = Stage::without_provider().await;
    let first = stage.event;
    for (n, (change, buys)) in CHANGES.into_iter().enumerate() {
        stage.event = first;
        stage.event = draft(&stage).await.parse().expect("an id");
        let event = format!("/events/{}", stage.event);
        let kind = stage.tickets("Seat", 2_500, 10).await;
        let publish = format!("{event}/publish");
        stage.olga.client.act(&publish).await.expect(200);
        let code = format!("CHANGE{n}");
        let body = json!({"event_id": stage.event, "code": code, "basis_points": 1_000});
        let made = stage.olga.client.post("/promo-codes", body).await;
        let promo = made.expect(201).id();
        let buyer = stage.server.member(&format!("late_buyer_{n}")).await;
        let mut cart = stage.cart(&[(kind, 2)], false);
        cart["promo_code"] = json!(code);
        let order = keyed(&buyer, "/orders", cart).await.expect(201).id();
        stage.expired(&order).await;

        let shown = stage.olga.client.get(&event).await.expect(200).json;
        let host = shown["host_id"].as_str().expect("a host");
        let filled = [
            ("{type}", kind.to_string()),
            ("{code}", promo),
            ("{event}", stage.event.to_string()),
            ("{host}", host.to_owned()),
            ("{buyer}", buyer.id.to_string()),
        ];
        let filled = filled
            .iter()
            .fold(change.to_owned(), |text, (name, value)| {
                text.replace(name, value)
            });
        let mut parts = filled.splitn(3, ' ');
        let [verb, path, body] = [(); 3].map(|()| parts.next().unwrap_or_default());
        let by = match path {
            "/me" => &buyer,
            _ if path.ends_with("/suspend") => &stage.paula,
            _ => &stage.olga,
        };
        let body: Option<Value> = serde_json::from_str(body).ok();
        let changed = match (verb, body) {
            ("DELETE", _) => by.client.delete(path).await,
            ("PATCH", Some(body)) => by.client.patch(path, "*", body).await,
            (_, Some(body)) => by.client.post(path, body).await,
            (_, None) => by.client.act(path).await,
        };
        assert!(changed.status.is_success(), "{change}: {}", changed.text);

        let settled = stage.paid(&order).await;
        assert_eq!(settled == Settled::Paid, buys, "{change}: {settled:?}");
        let state = if buys { "paid" } else { "refund_pending" };
        assert_eq!(stage.state(&order).await, state, "{change}");
        if change.starts_with("POST /organizations") {
            let back = format!("/organizations/{host}/unsuspend");
            stage.paula.client.act(&back).await.expect(200);
        }
    }
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
