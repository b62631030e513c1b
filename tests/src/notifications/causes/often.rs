//! What is ended and done again all day long: whoever is told of it is told a few times.

use super::world::World;
use crate::support::Member;
use serde_json::{Value, json};

const TIMES: usize = 6;

async fn told(world: &World, member: &Member) -> usize {
    let count: i64 =
        sqlx::query_scalar("select count(*) from app.notifications where user_id = $1")
            .bind(member.id)
            .fetch_one(&mut world.stage.server.superuser().await)
            .await
            .expect("a count");
    usize::try_from(count).expect("a count")
}

/// Creates a row and ends it again, many times. Returns how often somebody was told.
async fn pestered(world: &World, by: &Member, path: &str, body: &Value, whom: &Member) -> usize {
    let before = told(world, whom).await;
    for _ in 0..TIMES {
        let row = by.client.post(path, body.clone()).await.expect(201).id();
        world.stage.server.settled().await;
        let path = format!("{path}/{row}");
        by.client.delete(&path).await.expect(204);
        world.stage.server.settled().await;
    }
    told(world, whom).await - before
}

#[tokio::test]
async fn no1_what_is_done_again_and_again_is_told_a_few_times() {
    let world = World::new().await;
    let (head, other, third) = (
        world.member("head").await,
        world.member("other").await,
        world.member("third").await,
    );
    let more = json!({"join_policy": "request"});
    let community = world.founded(&head, "communities", "Owls", more).await;
    let membership = json!({"community_id": community, "user_id": other.id});
    let wish = json!({"community_id": community, "user_id": third.id});
    let role = json!({"user_id": other.id, "role": "orgAdmin", "scope_type": "community", "scope_id": community});
    let review = json!({"entity_type": "business", "entity_id": world.bakery, "rating": 1});
    let request = json!({"host_type": "community", "host_id": community, "city_id": world.city, "title": "Two hundred",
        "category": "printing", "description": "In colour"});
    let request = head.client.post("/service-requests", request).await;
    let lead = json!({"service_request_id": request.expect(201).id(), "business_id": world.bakery, "title": "Bread",
        "details": "Two"});
    for (by, path, body, whom, most) in [
        (&head, "/community-members", &membership, &other, 3),
        (&third, "/community-members", &wish, &head, 3),
        (&head, "/role-assignments", &role, &other, 3),
        (&other, "/reviews", &review, &world.berta, 3),
        (&head, "/leads", &lead, &world.berta, 1),
    ] {
        let times = pestered(&world, by, path, body, whom).await;
        assert_eq!(times, most, "{path}");
    }
}
