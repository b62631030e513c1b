//! What a card can be charged: a price outside of it is refused when it is asked for and when it is ordered, with a
//! pointer at what the buyer can change.

use super::stage::{Stage, keyed};
use crate::support::{Answer, Member};
use serde_json::{Value, json};

/// The refusal of this cart, which is the same for its price and its order.
async fn refused(stage: &Stage, cart: Value) -> Answer {
    let price = stage.mira.client.post("/orders/price", cart.clone()).await;
    let price = price.expect(422);
    let order = keyed(&stage.mira, "/orders", cart).await.expect(422);
    assert_eq!(price.json["errors"], order.json["errors"]);
    order
}

fn detail(answer: &Answer) -> &str {
    let detail = &answer.json["errors"][0]["detail"];
    detail.as_str().expect("a text")
}

#[tokio::test]
async fn p5_an_order_above_the_largest_charge_is_refused() {
    let stage = Stage::new().await;
    let dear = stage.tickets("Gold", 50_000_000, 100).await;
    let answer = refused(&stage, stage.cart(&[(dear, 2)], false)).await;
    assert_eq!(answer.pointers(), ["/items"]);
    let says = detail(&answer);
    assert!(says.contains("999.99 AUD"), "{says}");
    assert!(says.contains("`use_credits`"), "{says}");
    // Credits that are too few change nothing; one cent less for the card can be paid.
    stage.credits(&stage.mira, 1).await;
    let order = stage.order(&stage.mira, &[(dear, 2)], true).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "paid");
    // Cash has no bound.
    let cart = json!({"event_id": stage.event, "items": [{"ticket_type_id": dear, "quantity": 3}]});
    let sold = keyed(&stage.olga, "/door-sales", cart).await.expect(201);
    assert_eq!(sold.json["amount_cents"], 150_000_000);
    assert_eq!(sold.json["wallet_cents"], 0);
    stage.sound().await;
}

#[tokio::test]
async fn p5_a_price_below_the_smallest_charge_says_what_to_do() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 1_000, 100).await;
    let code = json!({"event_id": stage.event, "code": "ALMOST", "basis_points": 9_700, "per_user_limit": 100});
    stage
        .olga
        .client
        .post("/promo-codes", code)
        .await
        .expect(201);
    let cart = |quantity: i32, code: Option<&str>, credits: Option<bool>| {
        let items = json!([{"ticket_type_id": seat, "quantity": quantity}]);
        let mut cart = json!({"event_id": stage.event, "items": items});
        if let Some(code) = code {
            cart["promo_code"] = json!(code);
        }
        if let Some(credits) = credits {
            cart["use_credits"] = json!(credits);
        }
        cart
    };
    for credits in [None, Some(false)] {
        let answer = refused(&stage, cart(1, Some("ALMOST"), credits)).await;
        assert_eq!(answer.pointers(), ["/promo_code"]);
        for part in [
            "0.30 AUD",
            "0.50 AUD",
            "more tickets",
            "without the promo code",
            "`use_credits`",
        ] {
            assert!(
                detail(&answer).contains(part),
                "{part}: {}",
                detail(&answer)
            );
        }
    }
    // What it says to do works.
    for followed in [cart(2, Some("ALMOST"), None), cart(1, None, None)] {
        let price = stage.mira.client.post("/orders/price", followed).await;
        price.expect(200);
    }
    stage.credits(&stage.mira, 970).await;
    let all = cart(1, Some("ALMOST"), Some(true));
    let price = stage.mira.client.post("/orders/price", all).await;
    assert_eq!(price.expect(200).json["card_cents"], 0);
    // Where credits leave too little, it is they that are named.
    let answer = refused(&stage, cart(1, None, Some(true))).await;
    assert_eq!(answer.pointers(), ["/credits_max_cents"]);
    assert!(
        detail(&answer).contains("at most 950"),
        "{}",
        detail(&answer)
    );
    stage.sound().await;
}

/// Credits at the door are refused instead of ignored.
#[tokio::test]
async fn o8_the_door_takes_cash_alone() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    let sell = async |use_credits: Option<bool>, most: Option<i64>| {
        let mut cart = stage.cart(&[(seat, 1)], false);
        cart["use_credits"] = json!(use_credits);
        cart["credits_max_cents"] = json!(most);
        cart.as_object_mut()
            .expect("an object")
            .retain(|_, value| !value.is_null());
        keyed(&stage.olga, "/door-sales", cart).await
    };
    let refused = sell(Some(true), Some(100)).await.expect(422);
    assert_eq!(refused.pointers(), ["/use_credits", "/credits_max_cents"]);
    let refused = sell(None, Some(0)).await.expect(422);
    assert_eq!(refused.pointers(), ["/credits_max_cents"]);
    assert_eq!(stage.stock(seat).await, (0, 0));
    for credits in [None, Some(false)] {
        sell(credits, None).await.expect(201);
    }
    assert_eq!(stage.stock(seat).await, (0, 2));
    stage.sound().await;
}

/// The parts of an answer add up, cash included.
#[tokio::test]
async fn o8_answers_of_the_door_tell_the_cash() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    let told = |answer: &Value| {
        ["amount", "card", "wallet", "cash"].map(|part| answer[format!("{part}_cents")].as_i64())
    };
    let all = [5_000, 0, 0, 5_000].map(Some);
    let sold = keyed(&stage.olga, "/door-sales", stage.cart(&[(seat, 2)], false)).await;
    let sold = sold.expect(201);
    assert_eq!(told(&sold.json), all);
    let path = format!("/orders/{}/refunds", sold.id());
    let back = keyed(&stage.olga, &path, json!({})).await.expect(201);
    assert_eq!(told(&back.json), all);
    stage.sound().await;
}

/// A member who tries codes learns no more once a hundred were wrong, not even from the right one.
#[tokio::test]
async fn o2_promo_codes_are_not_found_by_trying() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 2000, 10).await;
    let code = json!({"event_id": stage.event, "code": "VIP", "basis_points": 5000});
    let olga = &stage.olga.client;
    olga.post("/promo-codes", code).await.expect(201);
    let price = async |buyer: &Member, code: &str| {
        let mut cart = stage.cart(&[(kind, 1)], false);
        cart["promo_code"] = json!(code);
        let answer = buyer.client.post("/orders/price", cart).await;
        answer.status.as_u16()
    };
    let guesser = stage.server.member("guesser").await;
    // Right codes are not counted, and neither are carts without one.
    for _ in 0..3 {
        assert_eq!(price(&guesser, "vip").await, 200);
    }
    for n in 0..100 {
        assert_eq!(price(&guesser, &format!("TRY{n}")).await, 409, "{n}");
    }
    assert_eq!(price(&guesser, "TRY100").await, 429);
    assert_eq!(price(&guesser, "VIP").await, 429);
    let mut cart = stage.cart(&[(kind, 1)], false);
    keyed(&guesser, "/orders", cart.clone()).await.expect(201);
    cart["promo_code"] = json!("VIP");
    let refused = keyed(&guesser, "/orders", cart).await;
    refused.expect(429);
    assert_eq!(price(&stage.mira, "VIP").await, 200);
}
