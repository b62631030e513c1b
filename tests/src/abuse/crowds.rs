//! Manipulating popularity: reviews, likes and trending events.

use crate::{
    support::Member,
    trending::stage::{Stage, ids},
};
use axum::http::Method;
use serde_json::json;

async fn put(member: &Member, path: &str) -> u16 {
    let answer = member.client.send(Method::PUT, path, None, &[]).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn abuse_50_one_review_of_each_and_none_of_ones_own() {
    let stage = Stage::new().await;
    let olga = stage.server.member("olga_who_runs_it").await;
    stage
        .server
        .grant(&olga, "orgAdmin", Some(("organization", stage.host)))
        .await;
    let mira = stage.server.member("mira_who_rates").await;
    let body = json!({"entity_type": "organization", "entity_id": stage.host, "rating": 5});
    olga.client.post("/reviews", body.clone()).await.expect(403);
    mira.client.post("/reviews", body.clone()).await.expect(201);
    mira.client.post("/reviews", body).await.expect(409);
    let event = stage.events(stage.host, 1).await[0];
    for _ in 0..3 {
        assert!([200, 201].contains(&put(&mira, &format!("/events/{event}/like")).await));
        assert!(
            [200, 201]
                .contains(&put(&mira, &format!("/organizations/{}/follow", stage.host)).await)
        );
    }
    let client = &stage.server.client;
    let one = client
        .get(&format!("/events/{event}"))
        .await
        .expect(200)
        .json;
    assert_eq!(one["like_count"], 1);
    let one = client
        .get(&format!("/organizations/{}", stage.host))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&one["follower_count"], &one["rating_count"]),
        (&json!(1), &json!(1))
    );
    let rows: i64 = stage
        .one("select (select count(*) from app.likes) + (select count(*) from app.follows)")
        .await;
    assert_eq!(rows, 2);
}

#[tokio::test]
async fn abuse_51_nobody_makes_an_event_trend_alone_suspended_or_in_the_dark() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 3).await;
    let people = stage.people(3).await;
    let mira = stage.server.sign_in(people[0]).await;
    // An older like by another member.
    stage
        .sql(format!(
            "insert into app.likes (user_id, event_id, created_at) values
               ('{}', '{}', now() - interval '1 hour'), ('{}', '{}', now() - interval '2 hours')",
            people[1], events[1], people[0], events[0]
        ))
        .await;
    stage.rank().await;
    let before = stage.rank_of(events[0]).await.expect("a rank");
    // Repeated liking and unliking changes neither the age nor the weight of the like.
    for _ in 0..10 {
        mira.client
            .delete(&format!("/events/{}/like", events[0]))
            .await
            .expect(204);
        stage.rank().await;
        assert_eq!(stage.rank_of(events[0]).await, None);
        assert_eq!(
            put(&mira, &format!("/events/{}/like", events[0])).await,
            201
        );
        stage.rank().await;
    }
    assert_eq!(stage.rank_of(events[0]).await, Some(before));
    assert_eq!(stage.trending("").await, [events[1], events[0]]);
    // Suspended accounts do not count, and hidden events are not listed whatever their rank.
    stage
        .sql(format!(
            "update app.users set status = 'suspended' where id = '{}'",
            people[1]
        ))
        .await;
    stage.rank().await;
    assert_eq!(stage.trending("").await, [events[0]]);
    stage.likes(&stage.people(30).await, events[2]).await;
    stage
        .sql(format!(
            "update app.events set status = 'suspended' where id = '{}'",
            events[2]
        ))
        .await;
    stage.rank().await;
    assert_eq!(
        ids(&mira.client.get(&stage.path("")).await.expect(200).json),
        [events[0]]
    );
    assert_eq!(stage.compare().await, 0);
}
