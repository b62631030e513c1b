//! C2, C1: tickets that nobody could order are not put on sale: the host is told, with what to do, and not each buyer.
//! What changes later is in the figures of its sales.

use super::{
    hosts::draft,
    stage::{Stage, keyed},
};
use crate::support::Answer;
use serde_json::{Value, json};
use uuid::Uuid;

fn kind(event: &str, name: &str, price: i64, currency: &str) -> Value {
    json!({"event_id": event, "name": name, "price_cents": price, "currency": currency, "capacity": 10})
}

fn told(answer: Answer, parts: &[&str]) {
    let answer = answer.expect(409);
    assert_eq!(answer.problem(), "tickets-cannot-be-sold");
    for part in parts {
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
}

impl Stage {
    async fn rule(&self, currency: &str, fixed: i64, more: Value) -> String {
        let mut body = json!({"type": "ticket", "basis_points": 500, "fixed_cents": fixed, "currency": currency,
            "valid_from": "2026-01-01T00:00:00Z"});
        let more = more.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        let made = self.paula.client.post("/commission-rules", body).await;
        made.expect(201).id()
    }

    /// Why the type can't be ordered, by the figures of the sales.
    async fn obstacle(&self, name: &str) -> Value {
        let path = format!("/events/{}/sales", self.event);
        let sales = self.olga.client.get(&path).await.expect(200).json;
        let kinds = sales["ticket_types"].as_array().expect("a list").clone();
        let found = kinds.into_iter().find(|kind| kind["name"] == name);
        found.expect("a type")["obstacle"].clone()
    }

    async fn priced(&self, kind: &str, quantity: i32) -> Answer {
        let kind: Uuid = kind.parse().expect("an id");
        let cart = self.cart(&[(kind, quantity)], false);
        self.mira.client.post("/orders/price", cart).await
    }
}

#[tokio::test]
async fn c2_tickets_without_a_commission_rule_are_not_put_on_sale() {
    let stage = Stage::new().await;
    let olga = &stage.olga.client;
    let event = stage.event.to_string();
    let draft = draft(&stage).await;
    olga.post("/ticket-types", kind(&draft, "Hut", 4_500, "VUV"))
        .await
        .expect(201);
    olga.post("/ticket-types", kind(&draft, "Seat", 4_500, "AUD"))
        .await
        .expect(201);
    let publish = format!("/events/{draft}/publish");
    let refused = olga.act(&publish).await;
    assert!(!refused.text.contains("`Seat`"), "{}", refused.text);
    told(
        refused,
        &[
            "`Hut`",
            "commission rule",
            "VUV",
            "`currency`",
            "`door_only`",
        ],
    );
    let added = olga
        .post("/ticket-types", kind(&event, "Hut", 4_500, "VUV"))
        .await;
    told(added, &["`Hut`"]);
    // Neither is a free type that starts to cost something, nor one in another currency.
    let free = olga
        .post("/ticket-types", kind(&event, "Free", 0, "VUV"))
        .await;
    let free = format!("/ticket-types/{}", free.expect(201).id());
    told(
        olga.patch(&free, "*", json!({"price_cents": 100})).await,
        &["`Free`"],
    );
    let seat = stage.tickets("Seat", 4_500, 10).await;
    let seat = format!("/ticket-types/{seat}");
    told(
        olga.patch(&seat, "*", json!({"currency": "VUV"})).await,
        &["`Seat`"],
    );

    // A rule of another currency, kind, city or time does not help; one that holds when the sale begins does.
    let perth = stage.server.city("perth").await;
    stage.rule("XPF", 0, json!({})).await;
    stage.rule("VUV", 0, json!({"type": "featured"})).await;
    stage
        .rule("VUV", 0, json!({"scope_type": "city", "scope_id": perth}))
        .await;
    let later = stage
        .rule("VUV", 0, json!({"valid_from": "2040-01-01T00:00:00Z"}))
        .await;
    told(olga.act(&publish).await, &["`Hut`"]);
    let mut advance = kind(&event, "Advance", 4_500, "VUV");
    advance["sales_start"] = json!("2040-06-01T00:00:00Z");
    olga.post("/ticket-types", advance).await.expect(201);
    let path = format!("/commission-rules/{later}");
    stage.paula.client.delete(&path).await.expect(204);
    let rule = stage.rule("VUV", 0, json!({})).await;
    olga.act(&publish).await.expect(200);
    let hut = olga
        .post("/ticket-types", kind(&event, "Hut", 4_500, "VUV"))
        .await;
    let hut = hut.expect(201).id();
    stage.priced(&hut, 1).await.expect(200);
    assert_eq!(stage.obstacle("Hut").await, Value::Null);

    // The rule ends later: buyers are refused from then on, and the host sees it. Other changes stay possible.
    let path = format!("/commission-rules/{rule}");
    stage.paula.client.delete(&path).await.expect(204);
    let refused = stage.priced(&hut, 1).await.expect(409);
    assert_eq!(refused.problem(), "not-on-sale");
    let why = stage.obstacle("Hut").await.to_string();
    assert!(why.contains("commission rule for tickets in VUV"), "{why}");
    assert_eq!(stage.obstacle("Seat").await, Value::Null);
    let path = format!("/ticket-types/{hut}");
    for change in [json!({"name": "Huts"}), json!({"capacity": 0})] {
        olga.patch(&path, "*", change).await.expect(200);
    }
    let at_door = json!({"door_only": true});
    olga.patch(&path, "*", at_door).await.expect(200);
    assert_eq!(stage.obstacle("Huts").await, Value::Null);
    stage.sound().await;
}

/// A price that no order reaches or stays below is refused as well; one that several tickets reach is not.
#[tokio::test]
async fn p5_tickets_that_no_card_can_pay_are_not_put_on_sale() {
    let stage = Stage::new().await;
    let olga = &stage.olga.client;
    let event = stage.event.to_string();
    let mut cheap = kind(&event, "Sweet", 10, "AUD");
    cheap["per_user_limit"] = json!(4);
    let added = olga.post("/ticket-types", cheap.clone()).await;
    told(added, &["0.40 AUD", "0.50 AUD", "`per_user_limit`"]);
    cheap["per_user_limit"] = json!(5);
    let sweet = olga.post("/ticket-types", cheap).await.expect(201).id();
    stage.priced(&sweet, 4).await.expect(422);
    stage.priced(&sweet, 5).await.expect(200);
    let path = format!("/ticket-types/{sweet}");
    told(
        olga.patch(&path, "*", json!({"per_user_limit": 3})).await,
        &["0.30 AUD"],
    );
    // It may be sold along with others.
    stage.tickets("Seat", 4_500, 10).await;
    olga.patch(&path, "*", json!({"per_user_limit": 3}))
        .await
        .expect(200);
    // The fee of the buyer makes it more than a card takes.
    stage
        .rule(
            "AUD",
            500,
            json!({"scope_type": "event", "scope_id": event, "paid_by": "buyer"}),
        )
        .await;
    let dear = olga.post("/ticket-types", kind(&event, "Gold", 99_999_000, "AUD"));
    told(
        dear.await,
        &["`Gold`", "Set a lower `price_cents`", "`price_cents`"],
    );
    let dear = olga.post("/ticket-types", kind(&event, "Gold", 90_000_000, "AUD"));
    let dear = dear.await.expect(201).id();
    stage.priced(&dear, 1).await.expect(200);
}

/// An account that takes no payments any more is told in the same place.
#[tokio::test]
async fn c1_a_host_sees_that_buyers_are_refused() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 4_500, 10).await.to_string();
    stage.tickets("Free", 0, 10).await;
    assert_eq!(stage.obstacle("Seat").await, Value::Null);
    let change = json!({"payouts_enabled": false});
    let fake = &stage.stripe.fake;
    fake.change_account(&stage.account, &change)
        .expect("an account");
    stage.stripe.deliver(&stage.server).await;
    let refused = stage.priced(&seat, 1).await.expect(409);
    assert_eq!(refused.problem(), "host-cannot-be-paid");
    let why = stage.obstacle("Seat").await.to_string();
    assert!(why.contains("/onboarding"), "{why}");
    assert_eq!(stage.obstacle("Free").await, Value::Null);
    let late = json!({"sales_start": "2041-05-01T20:00:00Z"});
    stage.tickets_with("Late", 0, 10, late).await;
    let why = stage.obstacle("Late").await.to_string();
    assert!(why.contains("`sales_start`"), "{why}");
}

/// The platform takes no part of cash, so that it needs no rule about it.
#[tokio::test]
async fn c2_cash_is_taken_without_a_commission_rule() {
    let stage = Stage::new().await;
    let at_door = json!({"door_only": true, "currency": "ISK"});
    let seat = stage.tickets_with("Seat", 4_500, 10, at_door).await;
    let cart = stage.cart(&[(seat, 2)], false);
    let sold = keyed(&stage.olga, "/door-sales", cart).await.expect(201);
    assert_eq!(sold.json["cash_cents"], 9_000);
    let order = format!("/orders/{}", sold.id());
    let order = stage.olga.client.get(&order).await.expect(200).json;
    assert_eq!(order["organizer_cents"], 9_000);
    assert_eq!(order["platform_fee_cents"], 0);
    assert_eq!(order["commission_rule_id"], Value::Null);
    stage.sound().await;
}
