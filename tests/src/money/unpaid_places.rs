//! Featured places that are reserved and not paid.

use super::{
    market::{DAY_PRICE, Market},
    stage::keyed,
};
use serde_json::json;
use uuid::Uuid;

/// A host has one booking of a kind of place that is not paid: otherwise it could keep all of them from others for a day,
/// and again every day. The negative control: without the guard both are booked.
#[tokio::test]
async fn f1_unpaid_bookings_do_not_fill_the_places_of_a_city() {
    let market = Market::new(3).await;
    let (first, second) = (market.stage.event, market.another_event().await);
    let booked = market.book(first, 2).await.expect(201).id();
    let refused = market.book(second, 2).await.expect(409);
    assert_eq!(refused.problem(), "invalid-state");
    assert!(refused.text.contains("not paid yet"), "{}", refused.text);
    // Another kind of place is another matter, and so is another host.
    let mut elsewhere = market.body("event", second, 2);
    elsewhere["slot"] = json!("category");
    let olga = &market.stage.olga.client;
    olga.post("/promotions", elsewhere).await.expect(201);
    market.pay(&booked, "4242424242424242").await;
    let withdrawn = market.book(second, 2).await.expect(201).id();
    let third = market.another_event().await;
    market.book(third, 2).await.expect(409);
    let withdraw = format!("/promotions/{withdrawn}/withdraw");
    olga.act(&withdraw).await.expect(200);
    market.book(third, 2).await.expect(201);
    market
        .sql(
            "create or replace function app.has_unpaid_place(p_target_type text, p_target uuid, p_city uuid, p_slot text) returns boolean
               language sql security definer set search_path = pg_catalog, pg_temp as 'select false'",
        )
        .await;
    market.book(second, 2).await.expect(201);
}

#[tokio::test]
async fn f2_a_place_that_is_not_paid_in_time_is_free_again() {
    let market = Market::new(1).await;
    let id = market.booked(7).await;
    let path = format!("/promotions/{id}/payments");
    keyed(&market.stage.olga, &path, json!({}))
        .await
        .expect(200);
    let payment = market.payment_of(&id).await;
    market
        .sql("set session_replication_role = replica; update app.promotions set pay_by = now() - interval '1 second'")
        .await;
    // Another booking has the place before the sweeper ran, and the first buyer pays all the same.
    let other = market.another_event().await;
    let others = market.book(other, 7).await.expect(201).id();
    let refused = keyed(&market.stage.olga, &path, json!({})).await;
    assert_eq!(refused.expect(409).problem(), "invalid-state");
    let intent = fake_stripe::Intent::Payment;
    let fake = &market.stage.stripe.fake;
    fake.pay_as_buyer(intent, &payment, "4242424242424242")
        .expect("paid");
    market.deliver().await;
    market.deliver().await;
    assert_eq!(market.seen(&id).await["state"], "cancelled");
    assert_eq!(market.back(&id).await, (7 * DAY_PRICE, 0));
    assert_eq!(market.seen(&others).await["state"], "requested");
    market.sound().await;

    // The sweeper cancels its payment, and no money moves.
    keyed(
        &market.stage.olga,
        &format!("/promotions/{others}/payments"),
        json!({}),
    )
    .await
    .expect(200);
    market
        .sql("set session_replication_role = replica; update app.promotions set pay_by = now() - interval '1 second'")
        .await;
    assert_eq!(market.keep().await, 1);
    assert_eq!(market.seen(&others).await["state"], "cancelled");
    let payments = market.stage.payments();
    payments
        .cancel_abandoned(Uuid::now_v7())
        .await
        .expect("cancelled");
    let mut conn = market.stage.server.superuser().await;
    let status: String = sqlx::query_scalar(
        "select status from app.transactions where promotion_id = $1::text::uuid",
    )
    .bind(&others)
    .fetch_one(&mut conn)
    .await
    .expect("a payment");
    assert_eq!(status, "cancelled");
    market.sound().await;
}
