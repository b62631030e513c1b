//! The sales figures of an event equal the sums of the tables, whatever was bought, refunded and released.

use super::stage::{Stage, keyed};
use app::tickets::settle::Settled;
use fastrand::Rng;
use serde_json::{Value, json};
use sqlx::PgConnection;

async fn sum(conn: &mut PgConnection, stage: &Stage, text: &'static str) -> i64 {
    sqlx::query_scalar(text)
        .bind(stage.event)
        .fetch_one(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn total(figures: &Value, name: &str) -> i64 {
    let types = figures["ticket_types"].as_array().expect("types");
    types
        .iter()
        .map(|kind| kind[name].as_i64().unwrap_or_else(|| panic!("{name}")))
        .sum()
}

async fn figures(stage: &Stage) -> Value {
    let path = format!("/events/{}/sales", stage.event);
    stage.olga.client.get(&path).await.expect(200).json
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_what_the_tables_add_up_to() {
    let stage = Stage::without_provider().await;
    let kinds = [
        stage.tickets("Free", 0, 40).await,
        stage.tickets("Seat", 1_999, 40).await,
        stage.tickets("Box", 7_777, 40).await,
    ];
    stage.credits(&stage.mira, 60_000).await;
    let promo = json!({"event_id": stage.event, "code": "CHEAPER", "basis_points": 1_500, "per_user_limit": 100});
    let made = stage.olga.client.post("/promo-codes", promo).await;
    made.expect(201);
    let mut random = Rng::with_seed(super::seed());
    for n in 0..30 {
        let kind = kinds[random.usize(0..3)];
        let mut cart = stage.cart(&[(kind, random.i32(1..4))], random.bool());
        if random.bool() {
            cart["promo_code"] = json!("CHEAPER");
        }
        let at_door = n % 5 == 0;
        let order = match at_door {
            true => {
                cart["use_credits"] = json!(false);
                keyed(&stage.olga, "/door-sales", cart).await
            }
            false => keyed(&stage.mira, "/orders", cart).await,
        };
        if order.status != 201 {
            // The rest is too small for a card, or the tickets are sold out.
            assert!(
                [409, 422].contains(&order.status.as_u16()),
                "{}",
                order.text
            );
            continue;
        }
        let id = order.id();
        match random.u8(0..4) {
            // The order is left pending, if a card has to pay.
            0 => continue,
            1 if order.json["state"] == "pending" => stage.run_out(&id).await,
            _ => {}
        }
        stage.paid(&id).await;
        if random.bool() {
            let shown = stage
                .olga
                .client
                .get(&format!("/orders/{id}/tickets"))
                .await;
            let tickets = shown.expect(200).json["data"]
                .as_array()
                .expect("tickets")
                .clone();
            let some: Vec<&Value> = tickets.iter().map(|ticket| &ticket["id"]).take(1).collect();
            // What a card has paid goes back to the card, if the host refunds it.
            let has_card = order.json["card_cents"]
                .as_i64()
                .is_some_and(|cents| cents > 0);
            let to = match random.bool() && !has_card {
                true => "wallet",
                false => "source",
            };
            let body = match random.bool() {
                true => json!({"ticket_ids": some, "to": to}),
                false => json!({"to": to}),
            };
            keyed(&stage.olga, &format!("/orders/{id}/refunds"), body)
                .await
                .expect(201);
        }
    }
    let figures = figures(&stage).await;
    let mut conn = stage.server.superuser().await;
    let of_types = [
        ("sold", "select count(*) from app.tickets where event_id = $1 and state in ('valid', 'checked_in')"),
        ("refunded", "select count(*) from app.tickets where event_id = $1 and state = 'refunded'"),
        (
            "held",
            "select coalesce(sum(i.quantity), 0)::int8 from app.order_items i join app.orders o on o.id = i.order_id
             where o.event_id = $1 and o.state = 'pending'",
        ),
        ("paid_cents", "select coalesce(sum(paid_cents), 0)::int8 from app.tickets where event_id = $1"),
        (
            "refunded_cents",
            "select coalesce(sum(r.amount_cents), 0)::int8 from app.refunds r join app.orders o on o.id = r.order_id
             where o.event_id = $1 and r.reason = 'requested'",
        ),
        (
            "gross_cents",
            "select coalesce(sum(subtotal_cents), 0)::int8 from app.orders where event_id = $1 and paid_at is not null",
        ),
        (
            "discount_cents",
            "select coalesce(sum(discount_cents), 0)::int8 from app.orders where event_id = $1 and paid_at is not null",
        ),
    ];
    for (name, text) in of_types {
        assert_eq!(
            total(&figures, name),
            sum(&mut conn, &stage, text).await,
            "{name}"
        );
    }
    let money = &figures["currencies"][0];
    assert_eq!(money["currency"], "AUD");
    let of = |part: &str, name: &str| money[part][name].as_i64().expect("an amount");
    for (name, text) in [
        (
            "card_cents",
            "select sum(card_cents)::int8 from app.orders where event_id = $1 and paid_at is not null",
        ),
        (
            "wallet_cents",
            "select sum(wallet_cents)::int8 from app.orders where event_id = $1 and paid_at is not null",
        ),
        (
            "cash_cents",
            "select sum(cash_cents)::int8 from app.orders where event_id = $1 and paid_at is not null",
        ),
        (
            "organizer_cents",
            "select sum(organizer_cents)::int8 from app.orders where event_id = $1 and paid_at is not null",
        ),
    ] {
        assert_eq!(
            of("paid", name),
            sum(&mut conn, &stage, text).await,
            "{name}"
        );
    }
    // Each sum appears twice with the same value: by the way of payment, and by party.
    for part in ["paid", "refunded", "refunds_pending"] {
        let amount = of(part, "amount_cents");
        assert_eq!(
            of(part, "card_cents") + of(part, "wallet_cents") + of(part, "cash_cents"),
            amount,
            "{part}"
        );
        let parts = of(part, "organizer_cents")
            + of(part, "platform_fee_cents")
            + of(part, "city_share_cents");
        assert_eq!(parts, amount, "{part}");
    }
    let whole = |name: &str| money[name].as_i64().expect("an amount");
    assert_eq!(
        whole("gross_cents") - whole("discount_cents") + whole("fee_cents"),
        of("paid", "amount_cents")
    );
    assert_eq!(total(&figures, "paid_cents"), of("paid", "amount_cents"));
    assert_eq!(
        total(&figures, "refunded_cents"),
        of("refunded", "amount_cents") + of("refunds_pending", "amount_cents")
    );
    assert!(
        of("paid", "cash_cents") > 0 && of("paid", "wallet_cents") > 0,
        "{figures}"
    );
    stage.sound().await;
}

#[tokio::test]
async fn figures_are_for_the_host_and_leave_out_what_was_never_sold() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 1).await;
    let late = stage
        .order(&stage.mira, &[(seat, 1)], false)
        .await
        .expect(201)
        .id();
    stage.run_out(&late).await;
    let tickets = &stage.server.built.app.modules.tickets;
    tickets.expire().await.expect("swept");
    let sold = stage
        .order(&stage.mira, &[(seat, 1)], false)
        .await
        .expect(201)
        .id();
    stage.paid(&sold).await;
    // Paid too late: the money is refunded, and doesn't count as a sale.
    assert!(matches!(stage.paid(&late).await, Settled::Owed(_)));
    let figures = figures(&stage).await;
    assert_eq!(
        (total(&figures, "sold"), total(&figures, "paid_cents")),
        (1, 2_500)
    );
    let money = &figures["currencies"][0];
    assert_eq!(
        (&money["orders"], &money["paid"]["amount_cents"]),
        (&json!(1), &json!(2_500))
    );
    assert_eq!(money["refunds_pending"]["amount_cents"], 0);
    let path = format!("/events/{}/sales", stage.event);
    stage.mira.client.get(&path).await.expect(403);
    stage.server.client.get(&path).await.expect(401);
    stage.paula.client.get(&path).await.expect(200);
}
