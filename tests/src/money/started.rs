//! Featured places that are booked from a time that is over: nobody pays for days on which nothing can be shown.

use super::{
    market::{DAY_PRICE, Market},
    subscriptions::time,
};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

#[tokio::test]
async fn f1_days_that_are_over_are_not_paid() {
    let market = Market::new(9).await;
    let olga = &market.stage.olga.client;
    let booked = async || {
        // A host has one booking at a time that is not paid.
        market
            .sql("set session_replication_role = replica; update app.promotions set paid_at = now() where paid_at is null")
            .await;
        let event = market.another_event().await;
        let mut body = market.body("event", event, 1);
        body["starts_at"] = json!(Utc::now() - TimeDelta::days(20));
        body["ends_at"] = json!(Utc::now() + TimeDelta::days(10) - TimeDelta::minutes(1));
        let price = olga.post("/promotions/price", body.clone()).await;
        let price = price.expect(200).json;
        let booked = olga.post("/promotions", body).await.expect(201).json;
        for field in ["days", "amount_cents"] {
            assert_eq!(price[field], booked[field], "{field}");
        }
        booked
    };
    let made = booked().await;
    assert_eq!(
        (&made["days"], &made["amount_cents"]),
        (&json!(10), &json!(10 * DAY_PRICE))
    );
    // It is shown from now on, and what is left of it when it ends is counted from there.
    let since = Utc::now() - time(&made, "starts_at");
    assert!(since < TimeDelta::minutes(5), "{since}");
    // The control: counted from where it should have begun, the days that are over cost as much as the others.
    let mut conn = market.stage.server.superuser().await;
    let text: String = sqlx::query_scalar(
        "select pg_get_functiondef('app.price_of_place(text, uuid, uuid, text, timestamptz, timestamptz)'::regprocedure)",
    )
    .fetch_one(&mut conn)
    .await
    .expect("the function");
    let careless = text.replace("greatest(p_starts_at, now())", "p_starts_at");
    assert_ne!(careless, text);
    sqlx::raw_sql(AssertSqlSafe(careless))
        .execute(&mut conn)
        .await
        .expect("replaced");
    assert_eq!(booked().await["days"], 30);
}

#[tokio::test]
async fn f1_the_price_says_that_the_target_has_the_place() {
    let market = Market::new(3).await;
    let olga = &market.stage.olga.client;
    let body = market.body("event", market.stage.event, 3);
    let room = async |body: &Value| {
        let price = olga.post("/promotions/price", body.clone()).await;
        price.expect(200).json["room"].clone()
    };
    assert_eq!(room(&body).await, 3);
    let booked = olga.post("/promotions", body.clone()).await.expect(201);
    assert_eq!(room(&body).await, 0, "as the booking says");
    olga.post("/promotions", body.clone()).await.expect(409);
    // Afterwards, and for another event, there is room.
    let mut later = body.clone();
    (later["starts_at"], later["ends_at"]) = (
        body["ends_at"].clone(),
        json!(time(&body, "ends_at") + TimeDelta::days(1)),
    );
    assert_eq!(room(&later).await, 3);
    let other = market.body("event", market.another_event().await, 3);
    assert_eq!(room(&other).await, 2);
    let path = format!("/promotions/{}/withdraw", booked.id());
    olga.act(&path).await.expect(200);
    assert_eq!(room(&body).await, 3);
}
