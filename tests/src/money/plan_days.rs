//! The featured days that a plan includes are used once, whatever becomes of the bookings.

use super::{market::Market, strangers::with_a_plan};
use crate::support::Member;
use serde_json::json;
use uuid::Uuid;

/// The days of a plan that another booking for the business would use.
async fn left(market: &Market, binh: &Member, business: Uuid) -> i64 {
    let mut body = market.body("business", business, 7);
    body["slot"] = json!("category");
    let price = binh.client.post("/promotions/price", body).await;
    price.expect(200).json["plan_days"].as_i64().expect("days")
}

/// A booking that was shown has used its days, also after what it showed is archived. One that was archived before it
/// was shown gives them back. The control: when only bookings that are not archived are counted, used days come back.
#[tokio::test]
async fn f1_days_that_were_used_do_not_come_back_with_an_archived_booking() {
    let market = Market::new(3).await;
    let (business, binh) = with_a_plan(&market).await;
    let venue = async |name: &str| -> Uuid {
        let body = json!({"name": name, "address": "1 Lane", "location": {"lat": -37.8, "lng": 144.9}, "city_id": market.city,
            "owner_type": "business", "owner_id": business});
        let made = binh.client.post("/venues", body).await.expect(201);
        made.id().parse().expect("an id")
    };
    let archive = async |venue: Uuid| {
        let path = format!("/venues/{venue}");
        binh.client.delete(&path).await.expect(204);
    };

    let early = venue("Never shown").await;
    let body = market.body("venue", early, 7);
    binh.client.post("/promotions", body).await.expect(201);
    assert_eq!(left(&market, &binh, business).await, 0);
    archive(early).await;
    market.deliver().await;
    assert_eq!(left(&market, &binh, business).await, 7);

    let shown = venue("Shown").await;
    let body = market.body("venue", shown, 7);
    let booked = binh.client.post("/promotions", body).await.expect(201);
    assert_eq!(booked.json["plan_days"], 7);
    let id = booked.id();
    market.decide(&id, "approve", None).await.expect(200);
    market
        .sql(
            "set session_replication_role = replica;
             update app.promotions set starts_at = now() - interval '1 hour' where state = 'approved';
             reset session_replication_role",
        )
        .await;
    assert_eq!(market.keep().await, 1);
    archive(shown).await;
    for _ in 0..2 {
        assert_eq!(left(&market, &binh, business).await, 0);
        market.deliver().await;
    }
    market.sound().await;

    market
        .sql(
            "do $$ begin execute replace(pg_get_functiondef('app.plan_days_used(uuid)'::regprocedure),
               'where p.plan_days > 0', 'where p.status <> ''archived'' and p.plan_days > 0'); end $$",
        )
        .await;
    assert_eq!(left(&market, &binh, business).await, 7);
}
