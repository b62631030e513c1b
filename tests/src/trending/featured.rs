//! Featured places beside trending events: labelled, separate, for their period, and sold by the city itself.

use super::stage::{Stage, ids};
use serde_json::json;
use uuid::Uuid;

async fn promote(stage: &Stage, event: Uuid, slot: &str, from: &str, until: &str) -> Uuid {
    stage
        .one(format!(
            "insert into app.promotions (target_type, target_id, city_id, slot, starts_at, ends_at, state)
             values ('event', '{event}', '{}', '{slot}', now() + interval '{from}', now() + interval '{until}', 'active') returning id",
            stage.city
        ))
        .await
}

#[tokio::test]
async fn tr10_featured_events_are_labelled_apart_and_over_in_time() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 4).await;
    let people = stage.people(5).await;
    stage.likes(&people, events[3]).await;
    stage.rank().await;
    let first = promote(&stage, events[0], "home", "-2 days", "1 day").await;
    promote(&stage, events[1], "home", "-1 day", "1 day").await;
    promote(&stage, events[2], "map", "-1 day", "1 day").await;
    // The booking has ended, but its state doesn't say so yet.
    promote(&stage, events[3], "home", "-3 days", "-1 second").await;
    let client = &stage.server.client;
    let path = format!("/events/featured?city_id={}", stage.city);
    let home = client
        .get(&format!("{path}&slot=home"))
        .await
        .expect(200)
        .json;
    let rows = home["data"].as_array().expect("a list");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["object"], "featured_event");
    assert_eq!(rows[0]["id"], json!(first));
    assert_eq!(rows[0]["slot"], "home");
    assert!(rows[0]["ends_at"].is_string());
    assert_eq!(rows[0]["event"]["object"], "event");
    assert_eq!(rows[0]["event"]["id"], json!(events[0]));
    assert_eq!(ids(&client.get(&path).await.expect(200).json).len(), 3);
    // The same page by page.
    let page = client
        .get(&format!("{path}&slot=home&limit=1"))
        .await
        .expect(200)
        .json;
    let cursor = page["next_cursor"].as_str().expect("more");
    let next = client
        .get(&format!("{path}&slot=home&limit=1&cursor={cursor}"))
        .await
        .expect(200)
        .json;
    assert_eq!(next["data"][0]["event"]["id"], json!(events[1]));
    // A paid place doesn't change the order of trending events, and a cancelled event isn't shown.
    assert_eq!(stage.trending("").await, [events[3]]);
    stage
        .sql(format!(
            "update app.events set state = 'cancelled' where id = '{}'",
            events[0]
        ))
        .await;
    let home = client
        .get(&format!("{path}&slot=home"))
        .await
        .expect(200)
        .json;
    assert_eq!(home["data"].as_array().map(Vec::len), Some(1));
    client.get("/events/featured").await.expect(422);
}

#[tokio::test]
async fn tr10_a_city_decides_about_its_own_places_only() {
    let stage = Stage::new().await;
    let event = stage.events(stage.host, 1).await[0];
    let auckland = stage.server.city("auckland").await;
    let carla = stage.server.member("carla_of_the_city").await;
    stage
        .server
        .grant(&carla, "cityAdmin", Some(("city", stage.city)))
        .await;
    let adam = stage.server.member("adam_of_auckland").await;
    stage
        .server
        .grant(&adam, "cityAdmin", Some(("city", auckland)))
        .await;
    let asked = promote(&stage, event, "home", "-1 day", "2 days").await;
    let approve = format!("/promotions/{asked}/approve");
    stage
        .sql(format!(
            "update app.promotions set state = 'requested' where id = '{asked}'"
        ))
        .await;
    adam.client.act(&approve).await.expect(404);
    carla.client.act(&approve).await.expect(200);
    // Nobody can offer a place of another city.
    let body =
        json!({"city_id": stage.city, "slot": "map", "day_price_cents": 100, "currency": "AUD"});
    adam.client
        .post("/featured-places", body.clone())
        .await
        .expect(403);
    carla
        .client
        .post("/featured-places", body)
        .await
        .expect(201);
}
