//! The payment service on bad days: answers that are lost, late, broken or refused, and events that come twice, in any
//! order or never. In all cases nobody is charged twice, no payment is lost, and the books agree in the end.

use super::stage::{Stage, keyed, keyed_by};
use axum::http::Method;
use fake_stripe::{
    Intent,
    fault::{Fault, Kind},
    webhook::Mischief,
};
use serde_json::json;
use uuid::Uuid;

/// The faults that can affect a single call, without the complete outage of the service.
fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| *kind != Kind::Away)
}

/// A payment is created once even if the answer is lost in any way, and repeating the request continues with it.
#[tokio::test]
async fn t6_an_answer_that_is_lost_charges_once() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 100).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    for call in ["/v1/payment_intents", "/v1/payment_intents/pi"] {
        for fault in kinds() {
            let order = stage
                .order(&stage.mira, &[(kind, 1)], false)
                .await
                .expect(201)
                .id();
            let before = stage.stripe.fake.all("charges").len();
            // The first call creates the payment, the second one confirms it.
            let skip = u32::from(call.ends_with("pi"));
            let mut script = Fault::new(fault).on("POST", "/v1/payment_intents");
            (script.skip, script.times) = (skip, Some(8));
            stage.stripe.fake.add_fault(script);
            let key = Uuid::now_v7().to_string();
            let path = format!("/orders/{order}/payments");
            let body = json!({"payment_method_id": card});
            let first = keyed_by(&stage.mira, &path, &key, body.clone()).await;
            assert!(
                [200, 503].contains(&first.status.as_u16()),
                "{fault:?} {}",
                first.text
            );
            stage.stripe.fake.clear_faults();
            if first.status == 503 {
                assert_eq!(first.problem(), "payment-provider-unavailable");
                let state = stage.state(&order).await;
                assert!(
                    ["pending", "paid"].contains(&state.as_str()),
                    "{fault:?} {state}"
                );
            }
            let again = keyed_by(&stage.mira, &path, &key, body).await;
            assert!(
                [200, 503].contains(&again.status.as_u16()),
                "{fault:?} {}",
                again.text
            );
            stage.stripe.deliver(&stage.server).await;
            stage
                .payments()
                .reconcile_all(Uuid::now_v7())
                .await
                .expect("a run");
            stage.stripe.deliver(&stage.server).await;
            if stage.state(&order).await != "paid" {
                // The service returns its stored 500 for the key again, so the buyer has to make another request.
                stage
                    .pay(&stage.mira, &order, json!({"payment_method_id": card}))
                    .await
                    .expect(200);
                stage.stripe.deliver(&stage.server).await;
            }
            assert_eq!(stage.state(&order).await, "paid", "{call} {fault:?}");
            let after = stage.stripe.fake.all("charges").len();
            assert_eq!(after - before, 1, "{call} {fault:?}");
        }
    }
    stage.books_agree().await;
}

/// The same for refunds: every refund, and its reversal of the host's part, is made once.
#[tokio::test]
async fn t6_a_refund_whose_answer_is_lost_is_made_once() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 100).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    for call in ["/v1/refunds", "/v1/transfers"] {
        for fault in kinds() {
            let order = stage
                .order(&stage.mira, &[(kind, 1)], false)
                .await
                .expect(201)
                .id();
            let body = json!({"payment_method_id": card});
            stage.pay(&stage.mira, &order, body).await.expect(200);
            let mut script = Fault::new(fault).on("POST", call);
            script.times = Some(4);
            stage.stripe.fake.add_fault(script);
            keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
                .await
                .expect(201);
            stage.stripe.deliver(&stage.server).await;
            stage.stripe.fake.clear_faults();
            stage.age().await;
            stage
                .payments()
                .reconcile_all(Uuid::now_v7())
                .await
                .expect("a run");
            stage.stripe.deliver(&stage.server).await;
            assert_eq!(stage.state(&order).await, "refunded", "{call} {fault:?}");
        }
    }
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

/// An hour without the service, in which orders expire: one was charged and the answer lost, one could not be paid, and one
/// is refunded. Afterwards everybody has either tickets or their money, and can see which.
#[tokio::test]
async fn a_service_that_is_away_for_an_hour_loses_nothing() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let body = json!({"payment_method_id": card});
    let ordered = async || {
        let placed = stage.order(&stage.mira, &[(kind, 1)], false).await;
        placed.expect(201).id()
    };
    let (paid, charged, waiting) = (ordered().await, ordered().await, ordered().await);
    let pay = async |order: &str| stage.pay(&stage.mira, order, body.clone()).await;
    pay(&paid).await.expect(200);
    let mut lost = Fault::new(Kind::DropAfter).on("POST", "/v1/payment_intents/");
    lost.times = Some(4);
    stage.stripe.fake.add_fault(lost);
    pay(&charged).await.expect(503);
    stage.stripe.fake.clear_faults();

    stage.stripe.fake.add_fault(Fault::new(Kind::Away));
    let away = pay(&waiting).await.expect(503);
    assert_eq!(away.problem(), "payment-provider-unavailable");
    assert!(away.header("retry-after").is_some());
    let refunds = format!("/orders/{paid}/refunds");
    keyed(&stage.mira, &refunds, json!({})).await.expect(201);
    stage.server.settled().await;
    let states = async |expected: [&str; 3]| {
        for (order, state) in [&paid, &charged, &waiting].into_iter().zip(expected) {
            assert_eq!(stage.state(order).await, state);
            let path = format!("/orders/{order}");
            let shown = stage.mira.client.get(&path).await.expect(200);
            assert_eq!(shown.json["state"], state, "what the buyer sees");
        }
    };
    states(["refund_pending", "pending", "pending"]).await;
    // The hour: orders are kept for fifteen minutes.
    stage.stripe.fake.advance(3_600);
    stage.age().await;
    for order in [&charged, &waiting] {
        stage.run_out(order).await;
    }
    let tickets = &stage.server.built.app.modules.tickets;
    assert_eq!(tickets.expire().await.expect("a run"), 2);
    let looked = stage.payments().reconcile_all(Uuid::now_v7()).await;
    assert!(looked.is_err(), "the service is away");
    states(["refund_pending", "expired", "expired"]).await;
    pay(&waiting).await.expect(409);

    stage.stripe.fake.clear_faults();
    stage.age().await;
    let looked = stage.payments().reconcile_all(Uuid::now_v7()).await;
    looked.expect("a run");
    stage.stripe.deliver(&stage.server).await;
    // The late payment has bought what was left.
    states(["refunded", "paid", "expired"]).await;
    let again = ordered().await;
    pay(&again).await.expect(200);
    assert_eq!(stage.state(&again).await, "paid");
    stage.books_agree().await;
}

/// H5 and T7: each event is delivered up to three times, in any order, or never.
#[tokio::test]
async fn t7_events_in_any_order_come_to_the_same() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 100).await;
    stage.stripe.fake.set_mischief(Mischief {
        copies: 3,
        delay_seconds: 0,
        shuffle_seconds: 20,
        drop_per_mille: 200,
        hold: false,
    });
    let cards = [
        "4242424242424242",
        "4000000000005126",
        "4000000000000259",
        "4000000000000002",
    ];
    let mut orders = Vec::new();
    for round in 0..12 {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], false)
            .await
            .expect(201)
            .id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        let payment = stage.payment_of(&order).await;
        let card = cards[round % cards.len()];
        let _ = stage
            .stripe
            .fake
            .pay_as_buyer(Intent::Payment, &payment, card);
        if round % 3 == 0 {
            stage.stripe.deliver(&stage.server).await;
            keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({})).await;
        }
        orders.push((order, card));
    }
    for _ in 0..4 {
        stage.stripe.fake.advance(30);
        stage.stripe.deliver(&stage.server).await;
    }
    stage.age().await;
    for _ in 0..2 {
        stage
            .payments()
            .reconcile_all(Uuid::now_v7())
            .await
            .expect("a run");
        stage.stripe.deliver(&stage.server).await;
    }
    for (order, card) in orders {
        let state = stage.state(&order).await;
        match card {
            "4000000000000002" => assert_eq!(state, "pending"),
            _ => assert!(
                ["paid", "refunded"].contains(&state.as_str()),
                "{card} {state}"
            ),
        }
    }
    stage.sound().await;
}

/// P5: an attacker who could alter a payment at the service gets no tickets for less money.
#[tokio::test]
async fn p5_a_payment_that_is_not_what_was_asked_for_is_put_aside() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let payment = stage.payment_of(&order).await;
    let mut conn = stage.server.superuser().await;
    let amount = |cents: i64| {
        sqlx::query("update app.transactions set amount_cents = $2 where order_id = $1::text::uuid")
            .bind(order.clone())
            .bind(cents)
    };
    amount(4600).execute(&mut conn).await.expect("altered");
    let _ = stage
        .stripe
        .fake
        .pay_as_buyer(Intent::Payment, &payment, "4242424242424242");
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "pending");
    let parked = stage
        .paula
        .client
        .get("/stripe-events?state=parked")
        .await
        .expect(200);
    let parked = parked.json["data"].as_array().expect("events").clone();
    assert!(!parked.is_empty());
    assert!(
        parked[0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("amount"))
    );
    stage.mira.client.get("/stripe-events").await.expect(403);
    let id = parked[0]["id"].as_str().expect("an id");
    let retry = format!("/stripe-events/{id}/retry");
    stage
        .mira
        .client
        .send(Method::POST, &retry, None, &[])
        .await
        .expect(403);
    amount(4500).execute(&mut conn).await.expect("put right");
    stage
        .paula
        .client
        .send(Method::POST, &retry, None, &[])
        .await
        .expect(202);
    stage.server.settled().await;
    assert_eq!(stage.state(&order).await, "paid");
    stage
        .paula
        .client
        .send(Method::POST, &retry, None, &[])
        .await
        .expect(409);
    stage.books_agree().await;
}

/// P1: if a process dies after the first step, the command that it has stored is carried out once.
#[tokio::test]
async fn p1_a_command_that_was_written_down_is_carried_out() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    for is_made in [false, true] {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], false)
            .await
            .expect(201)
            .id();
        let mut script = Fault::new(if is_made {
            Kind::DropAfter
        } else {
            Kind::DropBefore
        });
        script.times = Some(4);
        stage
            .stripe
            .fake
            .add_fault(script.on("POST", "/v1/payment_intents"));
        stage.pay(&stage.mira, &order, json!({})).await.expect(503);
        stage.stripe.fake.clear_faults();
        // After a day the service has forgotten the key: an existing payment is searched for, and a missing one is
        // given up.
        let mut conn = stage.server.superuser().await;
        sqlx::query("update app.transactions set created_at = now() - interval '25 hours' where order_id = $1::text::uuid")
            .bind(&order)
            .execute(&mut conn)
            .await
            .expect("older");
        let before = stage.stripe.fake.all("payment_intents").len();
        stage
            .payments()
            .reconcile_all(Uuid::now_v7())
            .await
            .expect("a run");
        let known: Option<String> = sqlx::query_scalar(
            "select coalesce(stripe_payment_intent_id, status) from app.transactions where order_id = $1::text::uuid",
        )
        .bind(&order)
        .fetch_one(&mut conn)
        .await
        .expect("a transaction");
        let known = known.expect("one or the other");
        assert_eq!(known.starts_with("pi_"), is_made, "{known}");
        assert_eq!(stage.stripe.fake.all("payment_intents").len(), before);
        // In both cases the buyer can pay, once.
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        stage.confirm(&order, "4242424242424242").await;
        assert_eq!(stage.state(&order).await, "paid");
    }
    stage.books_agree().await;
}

/// P4: received and cancelled stay so, whoever writes the status.
#[tokio::test]
async fn p4_a_status_never_goes_back() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    let mut conn = stage.server.superuser().await;
    let back = |status: &'static str| {
        sqlx::query("update app.transactions set status = $2 where order_id = $1::text::uuid")
            .bind(order.clone())
            .bind(status)
    };
    let open = [
        "created",
        "requires_action",
        "processing",
        "failed",
        "cancelled",
    ];
    for status in open {
        let refused = back(status).execute(&mut conn).await.expect_err(status);
        let constraint = kernel::error::violated(&refused);
        assert_eq!(constraint, Some("transactions_status_goes_on"), "{status}");
    }
    // The control: the trigger is what enforces that.
    sqlx::raw_sql("alter table app.transactions disable trigger status_goes_on")
        .execute(&mut conn)
        .await
        .expect("disabled");
    for status in open {
        back(status).execute(&mut conn).await.expect(status);
    }
}

/// M3: a call to the service inside a transaction is refused, in a debug build by a panic.
#[tokio::test]
async fn m3_no_transaction_is_open_while_the_service_is_asked() {
    let stage = Stage::new().await;
    let gateway = stage.stripe.gateway();
    gateway.balance(None).await.expect("a balance");
    let db = stage.server.built.app.db.clone();
    let inside = tokio::spawn(async move {
        let work = db.run("payments", None, Uuid::now_v7(), move |_| {
            let gateway = gateway.clone();
            Box::pin(async move {
                let asked = gateway.balance(None).await;
                asked.map(drop).map_err(kernel::Error::internal)
            })
        });
        work.await
    });
    assert!(inside.await.expect_err("stopped").is_panic());
}

/// Money that was refunded at the service by hand isn't refunded a second time as credits.
#[tokio::test]
async fn a_refund_that_somebody_made_by_hand_is_not_made_again() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    let key = gateway::Key::new("by-hand").expect("a key");
    let by_hand = gateway::NewRefund {
        payment: stage.payment_of(&order).await,
        amount: 4500,
        reverse_transfer: false,
        refund_application_fee: false,
        metadata: gateway::Metadata::new(),
    };
    let gateway = stage.stripe.gateway();
    gateway
        .create_refund(&key, &by_hand)
        .await
        .expect("a refund");
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    // The refund waits for a person to look at it; the buyer has the money once.
    assert_eq!(stage.state(&order).await, "refund_pending");
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
}
