//! Single orders: prices, holds and their release, late payments, and refunds.

use super::stage::{Stage, keyed, keyed_by};
use app::tickets::settle::Settled;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn c10_the_price_is_what_is_charged() {
    let stage = Stage::new().await;
    let (seat, box_) = (
        stage.tickets("Seat", 2_500, 10).await,
        stage.tickets("Box", 9_999, 5).await,
    );
    let promo = json!({"event_id": stage.event, "code": "SUMMER25", "basis_points": 2_500, "per_user_limit": 1});
    stage
        .olga
        .client
        .post("/promo-codes", promo)
        .await
        .expect(201);
    stage.credits(&stage.mira, 1_234).await;
    let mut cart = stage.cart(&[(seat, 3), (box_, 1)], true);
    cart["promo_code"] = json!("summer 25");
    let price = stage
        .mira
        .client
        .post("/orders/price", cart.clone())
        .await
        .expect(200)
        .json;
    assert_eq!(price["subtotal_cents"], 17_499);
    assert_eq!(price["discount_cents"], 4_375);
    assert_eq!(price["wallet_cents"], 1_234);
    let order = keyed(&stage.mira, "/orders", cart.clone())
        .await
        .expect(201);
    for name in ["amount_cents", "wallet_cents", "card_cents", "currency"] {
        assert_eq!(order.json[name], price[name], "{name}");
    }
    assert_eq!(order.json["state"], "pending");
    let path = format!("/orders/{}", order.id());
    let shown = stage.mira.client.get(&path).await.expect(200).json;
    for name in ["subtotal_cents", "discount_cents", "fee_cents"] {
        assert_eq!(shown[name], price[name], "{name}");
    }
    // I-C1: the commission doesn't change after the order.
    let host = stage.olga.client.get(&path).await.expect(200).json;
    let of = |name: &str| host[name].as_i64().expect("an amount");
    assert_eq!(
        of("organizer_cents") + of("platform_fee_cents") + of("city_share_cents"),
        of("amount_cents")
    );
    assert!(of("platform_fee_cents") > 0);
    // I-C2: the host's part of the card payment and the platform's top-up equal what the host is due.
    assert_eq!(
        of("card_cents") - of("application_fee_cents") + of("top_up_cents"),
        of("organizer_cents")
    );
    // A person can use the code once.
    let again = stage
        .mira
        .client
        .post("/orders/price", cart)
        .await
        .expect(409);
    assert_eq!(again.problem(), "limit-reached");
    stage.sound().await;
}

#[tokio::test]
async fn o2_an_order_that_is_not_paid_lets_go_of_everything() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 2_500, 4).await;
    stage.credits(&stage.mira, 1_000).await;
    let order = stage
        .order(&stage.mira, &[(seat, 3)], true)
        .await
        .expect(201);
    assert_eq!(
        (stage.stock(seat).await, stage.wallet(&stage.mira).await),
        ((3, 0), (1_000, 1_000))
    );
    let full = stage
        .order(&stage.olga, &[(seat, 2)], false)
        .await
        .expect(409);
    assert_eq!(
        (full.problem(), full.pointers()),
        ("sold-out", vec!["/items/0/quantity"])
    );
    assert_eq!(
        stage
            .server
            .built
            .app
            .modules
            .tickets
            .expire()
            .await
            .expect("swept"),
        0
    );
    stage.run_out(&order.id()).await;
    stage.sound().await;
    assert_eq!(
        stage
            .server
            .built
            .app
            .modules
            .tickets
            .expire()
            .await
            .expect("swept"),
        1
    );
    assert_eq!(
        (stage.stock(seat).await, stage.wallet(&stage.mira).await),
        ((0, 0), (1_000, 0))
    );
    assert_eq!(stage.state(&order.id()).await, "expired");
    // Only the buyer can cancel the order, and only once.
    let order = stage
        .order(&stage.mira, &[(seat, 2)], true)
        .await
        .expect(201);
    let cancel = format!("/orders/{}/cancel", order.id());
    keyed(&stage.olga, &cancel, json!({})).await.expect(403);
    keyed(&stage.mira, &cancel, json!({})).await.expect(200);
    keyed(&stage.mira, &cancel, json!({})).await.expect(409);
    assert_eq!(
        (stage.stock(seat).await, stage.wallet(&stage.mira).await),
        ((0, 0), (1_000, 0))
    );
    stage.sound().await;
}

#[tokio::test]
async fn o5_what_needs_no_card_is_paid_at_once() {
    let stage = Stage::new().await;
    let (free, seat) = (
        stage.tickets("Free", 0, 10).await,
        stage.tickets("Seat", 2_500, 10).await,
    );
    let order = stage
        .order(&stage.mira, &[(free, 2)], false)
        .await
        .expect(201);
    assert_eq!(order.json["state"], "paid");
    assert_eq!(
        order.json["ticket_ids"].as_array().expect("tickets").len(),
        2
    );
    stage.credits(&stage.mira, 6_000).await;
    let order = stage
        .order(&stage.mira, &[(seat, 2)], true)
        .await
        .expect(201);
    assert_eq!(
        (&order.json["state"], &order.json["card_cents"]),
        (&json!("paid"), &json!(0))
    );
    assert_eq!(
        (stage.stock(seat).await, stage.wallet(&stage.mira).await),
        ((0, 2), (1_000, 0))
    );
    // Each ticket has a QR code for its holder only.
    let ticket = order.json["ticket_ids"][0].as_str().expect("an id");
    let picture = stage
        .mira
        .client
        .get(&format!("/tickets/{ticket}/qr.svg"))
        .await
        .expect(200);
    assert!(picture.text.starts_with("<svg"));
    stage
        .mira
        .client
        .get(&format!("/tickets/{ticket}/qr.png"))
        .await
        .expect(200);
    stage
        .olga
        .client
        .get(&format!("/tickets/{ticket}/qr.svg"))
        .await
        .expect(404);
    stage.sound().await;
}

#[tokio::test]
async fn t9_k1_the_same_key_buys_once() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    let key = Uuid::now_v7().to_string();
    let cart = stage.cart(&[(seat, 2)], false);
    let first = keyed_by(&stage.mira, "/orders", &key, cart.clone())
        .await
        .expect(201);
    let again = keyed_by(&stage.mira, "/orders", &key, cart.clone())
        .await
        .expect(201);
    assert_eq!(first.text, again.text);
    let other = stage.cart(&[(seat, 1)], false);
    keyed_by(&stage.mira, "/orders", &key, other)
        .await
        .expect(422);
    stage
        .mira
        .client
        .post("/orders", cart.clone())
        .await
        .expect(400);
    // The answer was lost before it was stored: the order is found by its key.
    let mut conn = stage.server.superuser().await;
    sqlx::query("delete from requests.keys")
        .execute(&mut conn)
        .await
        .expect("forgotten");
    let found = keyed_by(&stage.mira, "/orders", &key, cart)
        .await
        .expect(201);
    assert_eq!(found.json["id"], first.json["id"]);
    assert_eq!(stage.stock(seat).await, (2, 0));
}

#[tokio::test]
async fn o4_limits_hold_and_several_types_come_together_or_not() {
    let stage = Stage::new().await;
    let limited = stage
        .tickets_with("Limited", 0, 50, json!({"per_user_limit": 3}))
        .await;
    let scarce = stage.tickets("Scarce", 0, 1).await;
    stage
        .order(&stage.mira, &[(limited, 2)], false)
        .await
        .expect(201);
    let more = stage
        .order(&stage.mira, &[(limited, 2)], false)
        .await
        .expect(409);
    assert_eq!(
        (more.problem(), more.pointers()),
        ("limit-reached", vec!["/items/0/quantity"])
    );
    // Five requests at once for the one ticket that she may still buy.
    let one = [(limited, 1)];
    let five = (0..5).map(|_| stage.order(&stage.mira, &one, false));
    let answers = futures_util::future::join_all(five).await;
    let done = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(done, 1);
    let both = stage
        .order(&stage.olga, &[(limited, 1), (scarce, 2)], false)
        .await
        .expect(409);
    assert_eq!(both.pointers(), ["/items/1/quantity"]);
    assert_eq!(
        (stage.stock(limited).await, stage.stock(scarce).await),
        ((0, 3), (0, 0))
    );
    // The capacity can't be lower than the number of tickets sold.
    let path = format!("/ticket-types/{limited}");
    let shown = stage.olga.client.get(&path).await.expect(200);
    let lower = stage
        .olga
        .client
        .patch(&path, &shown.etag(), json!({"capacity": 2}))
        .await;
    let lower = lower.expect(409);
    assert_eq!(
        (lower.problem(), lower.pointers()),
        ("invalid-state", vec!["/capacity"])
    );
    // All mistakes of a cart are reported at once.
    let cart = json!({"event_id": stage.event, "items": [
        {"ticket_type_id": Uuid::now_v7(), "quantity": 1}, {"ticket_type_id": limited, "quantity": 0},
    ]});
    keyed(&stage.mira, "/orders", cart).await.expect(422);
    let nowhere =
        json!({"event_id": Uuid::now_v7(), "items": [{"ticket_type_id": limited, "quantity": 1}]});
    keyed(&stage.mira, "/orders", nowhere).await.expect(404);
    stage.sound().await;
}

#[tokio::test]
async fn o3_a_payment_that_comes_late_buys_what_is_left_or_goes_back() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 2).await;
    let order = stage
        .order(&stage.mira, &[(seat, 2)], false)
        .await
        .expect(201);
    // The order has expired, but no job has noticed: its tickets are not simply used, but taken again.
    stage.run_out(&order.id()).await;
    assert_eq!(stage.paid(&order.id()).await, Settled::Paid);
    assert_eq!(stage.paid(&order.id()).await, Settled::Before);
    assert_eq!(stage.stock(seat).await, (0, 2));
    stage.sound().await;

    let more = stage.tickets("More", 2_500, 2).await;
    let order = stage
        .order(&stage.mira, &[(more, 2)], false)
        .await
        .expect(201);
    stage.run_out(&order.id()).await;
    stage
        .server
        .built
        .app
        .modules
        .tickets
        .expire()
        .await
        .expect("swept");
    let other = stage
        .order(&stage.olga, &[(more, 1)], false)
        .await
        .expect(201);
    assert_eq!(stage.paid(&other.id()).await, Settled::Paid);
    let Settled::Owed(refund) = stage.paid(&order.id()).await else {
        panic!("one is left, and two were paid for");
    };
    assert_eq!(stage.state(&order.id()).await, "refund_pending");
    assert_eq!(stage.paid(&order.id()).await, Settled::Before);
    let shown = stage
        .mira
        .client
        .get(&format!("/refunds/{refund}"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&shown["card_cents"], &shown["reason"]),
        (&order.json["card_cents"], &json!("sold_out_meanwhile"))
    );
    assert_eq!(stage.stock(more).await, (0, 1));
    stage.sound().await;
}

#[tokio::test]
async fn o6_tickets_are_given_back_once_and_to_the_cent() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 3_333, 10).await;
    stage.credits(&stage.mira, 20_000).await;
    let order = stage
        .order(&stage.mira, &[(seat, 3)], true)
        .await
        .expect(201);
    let tickets = order.json["ticket_ids"]
        .as_array()
        .expect("tickets")
        .clone();
    let path = format!("/orders/{}/refunds", order.id());
    assert_eq!(stage.wallet(&stage.mira).await.0, 20_000 - 9_999);
    let one = json!({"ticket_ids": [tickets[1]]});
    let back = keyed(&stage.mira, &path, one.clone())
        .await
        .expect(201)
        .json;
    assert_eq!(
        (&back["wallet_cents"], &back["state"]),
        (&json!(3_333), &json!("succeeded"))
    );
    let again = keyed(&stage.mira, &path, one).await.expect(422);
    assert_eq!(again.pointers(), ["/ticket_ids/0"]);
    assert_eq!(
        (stage.stock(seat).await, stage.state(&order.id()).await),
        ((0, 2), "part_refunded".to_owned())
    );
    // The rest, requested twice at the same moment.
    let (first, second) = tokio::join!(
        keyed(&stage.mira, &path, json!({})),
        keyed(&stage.mira, &path, json!({"to": "wallet"})),
    );
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(stage.wallet(&stage.mira).await, (20_000, 0));
    assert_eq!(
        (stage.stock(seat).await, stage.state(&order.id()).await),
        ((0, 0), "refunded".to_owned())
    );
    // I-C3: each party has given back exactly what it had.
    let mut conn = stage.server.superuser().await;
    let differ: i64 = sqlx::query_scalar(
        "select count(*) from app.orders o join (
             select order_id, sum(organizer_cents) as organizer, sum(platform_fee_cents) as platform, sum(city_share_cents) as city
             from app.refunds group by 1
           ) r on r.order_id = o.id
         where o.id = $1::text::uuid
           and (o.organizer_cents <> r.organizer or o.platform_fee_cents <> r.platform or o.city_share_cents <> r.city)",
    )
    .bind(order.id())
    .fetch_one(&mut conn)
    .await
    .expect("a comparison");
    assert_eq!(differ, 0);
    stage.sound().await;
}

#[tokio::test]
async fn o6_who_may_give_back_and_until_when() {
    let stage = Stage::without_provider().await;
    let firm = stage
        .tickets_with(
            "Firm",
            1_000,
            10,
            json!({"refundable_until": "2020-01-01T00:00:00Z"}),
        )
        .await;
    stage.credits(&stage.mira, 5_000).await;
    let order = stage
        .order(&stage.mira, &[(firm, 2)], true)
        .await
        .expect(201);
    let path = format!("/orders/{}/refunds", order.id());
    keyed(&stage.mira, &path, json!({})).await.expect(409);
    let priya = stage.server.sign_in(server::seed::demo::PEOPLE[5].id).await;
    keyed(&priya, &path, json!({})).await.expect(404);
    // Those who run the event may refund it, even an order paid by card: the refund is recorded for the module of
    // payments.
    keyed(&stage.olga, &path, json!({"note": "Broken seat"}))
        .await
        .expect(201);
    assert_eq!(stage.wallet(&stage.mira).await.0, 5_000);
    let order = stage
        .order(&stage.mira, &[(firm, 1)], false)
        .await
        .expect(201);
    stage.paid(&order.id()).await;
    let path = format!("/orders/{}/refunds", order.id());
    let back = keyed(&stage.olga, &path, json!({})).await.expect(201).json;
    assert_eq!(
        (&back["card_cents"], &back["state"]),
        (&json!(1_000), &json!("pending"))
    );
    assert_eq!(stage.state(&order.id()).await, "refund_pending");
    stage.sound().await;
    // Refunded as credits at once, if the buyer prefers that. Nobody else decides that a card gets nothing back.
    let soft = stage.tickets("Soft", 1_000, 10).await;
    let order = stage
        .order(&stage.mira, &[(soft, 1)], false)
        .await
        .expect(201);
    stage.paid(&order.id()).await;
    let path = format!("/orders/{}/refunds", order.id());
    let wallet = json!({"to": "wallet"});
    let refused = keyed(&stage.olga, &path, wallet.clone()).await.expect(422);
    assert_eq!(refused.pointers(), ["/to"]);
    keyed(&stage.mira, &path, wallet.clone()).await.expect(201);
    assert_eq!(stage.wallet(&stage.mira).await.0, 6_000);
    // The control: what was paid by credits comes back as credits, whoever asks.
    let order = stage.order(&stage.mira, &[(soft, 1)], true).await;
    let path = format!("/orders/{}/refunds", order.expect(201).id());
    keyed(&stage.olga, &path, wallet).await.expect(201);
    assert_eq!(stage.wallet(&stage.mira).await.0, 6_000);
    stage.sound().await;
}

#[tokio::test]
async fn o10_the_door_sells_for_cash() {
    let stage = Stage::new().await;
    let seat = stage
        .tickets_with(
            "Seat",
            2_500,
            3,
            json!({"sales_end": "2020-01-01T00:00:00Z"}),
        )
        .await;
    let closed = stage
        .order(&stage.mira, &[(seat, 1)], false)
        .await
        .expect(409);
    assert_eq!(closed.problem(), "not-on-sale");
    keyed(&stage.mira, "/door-sales", stage.cart(&[(seat, 1)], false))
        .await
        .expect(403);
    let sold = keyed(&stage.olga, "/door-sales", stage.cart(&[(seat, 2)], false))
        .await
        .expect(201);
    assert_eq!(sold.json["state"], "paid");
    assert_eq!(stage.stock(seat).await, (0, 2));
    keyed(&stage.olga, "/door-sales", stage.cart(&[(seat, 2)], false))
        .await
        .expect(409);
    stage.sound().await;
}
