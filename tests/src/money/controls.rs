//! T16: guards of payments, each switched off to show that the fault then happens. A test that passes without its
//! guard proves nothing. Controls of other guards are beside their tests; `docs/money.md` lists them.

use super::stage::Stage;
use crate::support::stripe;
use fake_stripe::{
    Intent,
    fault::{Fault, Kind},
    webhook::{Post, Target},
};
use serde_json::json;

/// The number of payments at the service for an order whose first answer was lost.
async fn payments_after_a_lost_answer(stage: &Stage) -> usize {
    let kind = stage
        .tickets(&uuid::Uuid::now_v7().to_string(), 4_500, 10)
        .await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    let mut fault = Fault::new(Kind::DropAfter).on("POST", "/v1/payment_intents");
    fault.times = Some(1);
    stage.stripe.fake.add_fault(fault);
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let made = stage.stripe.fake.all("payment_intents").into_iter();
    made.filter(|made| made["metadata"]["order_id"] == *order)
        .count()
}

#[tokio::test]
async fn t16_a_key_that_is_new_each_time_makes_two_payments() {
    let stage = Stage::new().await;
    assert_eq!(payments_after_a_lost_answer(&stage).await, 1);
    stage.stripe.forget_keys();
    assert_eq!(payments_after_a_lost_answer(&stage).await, 2);
}

/// An event as the service would send it.
pub fn event(id: &str) -> Vec<u8> {
    let body = json!({"id": id, "object": "event", "type": "payment_intent.succeeded", "api_version": fake_stripe::API_VERSION,
        "created": chrono::Utc::now().timestamp(), "livemode": false, "pending_webhooks": 1, "request": null,
        "data": {"object": {"id": "pi_of_nobody", "object": "payment_intent"}}});
    body.to_string().into_bytes()
}

/// The event, signed with this secret.
pub fn signed(id: &str, secret: &str) -> Post {
    let body = event(id);
    Post {
        delivery: 0,
        target: Target::Platform,
        url: "/webhooks/stripe".to_owned(),
        signature: gateway::sign(&body, secret, chrono::Utc::now()),
        body,
    }
}

async fn kept(stage: &Stage, event: &str) -> i64 {
    let mut conn = stage.server.superuser().await;
    sqlx::query_scalar("select count(*) from app.stripe_events where stripe_event_id = $1")
        .bind(event)
        .fetch_one(&mut conn)
        .await
        .expect("a count")
}

/// A server that stores events before verifying them trusts every sender.
#[tokio::test]
async fn t16_whoever_is_believed_can_tell() {
    let attacker = "whsec_of_somebody_else";
    for is_believed in [false, true] {
        let stage = Stage::changed(true, |parts| {
            let secrets = &mut parts.modules.payments.stripe_webhook_secrets;
            if is_believed {
                secrets.push(attacker.to_owned().into());
            }
        })
        .await;
        let status = stripe::send(&stage.server, &signed("evt_forged", attacker)).await;
        assert_eq!(status, if is_believed { 200 } else { 400 });
        assert_eq!(kept(&stage, "evt_forged").await, i64::from(is_believed));
    }
}

#[tokio::test]
async fn t16_an_event_is_worked_on_again_if_nobody_remembers_it() {
    let stage = Stage::new().await;
    for (id, has_guard) in [("evt_one", true), ("evt_two", false)] {
        if !has_guard {
            sqlx::raw_sql("drop index app.stripe_events_stripe_event_id_key")
                .execute(&mut stage.server.superuser().await)
                .await
                .expect("dropped");
        }
        for _ in 0..2 {
            let status = stripe::send(&stage.server, &signed(id, stripe::SECRET)).await;
            assert_eq!(status, 200);
        }
        assert_eq!(kept(&stage, id).await, if has_guard { 1 } else { 2 });
    }
}

/// The service doesn't send an event again that was acknowledged. If a server acknowledges it before it is verified
/// and stored, and dies then, it never hears of the payment.
#[tokio::test]
async fn t16_an_event_that_is_acknowledged_before_it_is_kept_is_lost() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    for is_kept in [true, false] {
        let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
        let order = order.expect(201).id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        stage.stripe.deliver(&stage.server).await;
        let payment = stage.payment_of(&order).await;
        let fake = &stage.stripe.fake;
        fake.pay_as_buyer(Intent::Payment, &payment, "4242424242424242")
            .expect("paid");
        if !is_kept {
            for post in fake.due_webhooks() {
                fake.webhook_answered(post.delivery, Some(200));
            }
        }
        fake.advance(4 * 86_400);
        stage.stripe.deliver(&stage.server).await;
        let state = if is_kept { "paid" } else { "pending" };
        assert_eq!(stage.state(&order).await, state);
    }
}

/// Of two statuses the one of higher rank wins, whichever arrives last. Without that, an old failure overwrites a
/// payment.
#[tokio::test]
async fn t16_without_a_rank_an_old_failure_takes_a_payment_away() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    stage.sound().await;
    let mut conn = stage.server.superuser().await;
    let failed = "update app.transactions set status = 'failed' where status = 'succeeded'";
    sqlx::raw_sql(failed)
        .execute(&mut conn)
        .await
        .expect_err("it has succeeded");
    for text in [
        "alter table app.transactions disable trigger status_goes_on",
        failed,
    ] {
        sqlx::raw_sql(text).execute(&mut conn).await.expect(text);
    }
    let found = super::all_faults(&mut conn).await;
    let expected = "paid by card without a payment";
    assert!(
        found.iter().any(|fault| fault.starts_with(expected)),
        "{found:?}"
    );
}
