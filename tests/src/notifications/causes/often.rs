//! What is ended and done again all day long: whoever is told of it is told a few times.

use super::world::World;
use crate::support::Member;
use kernel::messages::Channel;
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
    // Invited and excluded again and again, by a community of strangers.
    let fourth = world.member("fourth").await;
    let body = json!({"community_id": community, "user_id": fourth.id});
    let head = &head.client;
    for _ in 0..TIMES {
        let row = head.post("/community-members", body.clone()).await;
        let row = format!("/community-members/{}", row.expect(201).id());
        world.stage.server.settled().await;
        let ban = format!("{row}/ban");
        head.post(&ban, json!({"reason": "Why not"}))
            .await
            .expect(200);
        world.stage.server.settled().await;
        head.delete(&row).await.expect(204);
    }
    let names: Vec<String> = sqlx::query_scalar(
        "select data ->> 'message' from app.notifications where user_id = $1 order by 1",
    )
    .bind(fourth.id)
    .fetch_all(&mut world.stage.server.superuser().await)
    .await
    .expect("names");
    let (invited, banned) = ("community_invited", "community_banned");
    assert_eq!(names, [banned, invited, invited, invited]);
}

/// The states of a member's mails about changes of events, oldest first.
async fn mails(world: &World, member: &Member) -> Vec<String> {
    sqlx::query_scalar(
        "select d.state from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
         where n.user_id = $1 and n.type = 'event_changed' and d.channel = 'email' order by n.id",
    )
    .bind(member.id)
    .fetch_all(&mut world.stage.server.superuser().await)
    .await
    .expect("states")
}

/// A host who changes their mind all day long: guests are told of the first change at once, and later of the last one.
#[tokio::test]
async fn no1_of_many_changes_the_first_and_the_last_are_sent() {
    let world = World::new().await;
    let notifications = &world.stage.server.built.app.modules.notifications;
    let night = world.night("A restless night", 5).await;
    let guest = world.guest(&night, "gil_goes").await;
    let move_to = async |starts: &str| {
        world.changed(night.id, json!({"starts_at": starts})).await;
        notifications.dispatch(Channel::Email).await.expect("sent");
    };
    for minute in [10, 20, 30] {
        move_to(&format!("2041-05-01T18:{minute}:00Z")).await;
    }
    assert_eq!(mails(&world, &guest).await, ["sent", "pending", "pending"]);
    // Somebody who has been told of none yet does not wait.
    let late = world.guest(&night, "lea_goes").await;
    move_to("2041-05-01T18:40:00Z").await;
    assert_eq!(mails(&world, &late).await, ["sent"]);
    assert_eq!(
        mails(&world, &guest).await,
        ["sent", "pending", "pending", "pending"]
    );
    let minutes: Vec<i64> = sqlx::query_scalar(
        "select ceil(extract(epoch from d.next_attempt_at - d.created_at) / 60)::int8
         from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
         where n.user_id = $1 and n.type = 'event_changed' and d.channel = 'email' and d.state = 'pending' order by n.id",
    )
    .bind(guest.id)
    .fetch_all(&mut world.stage.server.superuser().await)
    .await
    .expect("waits");
    assert!(minutes[0] <= 15 && minutes[1] <= 15, "{minutes:?}");
    assert!(minutes[2] > 15 && minutes[2] <= 60, "{minutes:?}");
    let due =
        "update app.notification_deliveries set next_attempt_at = now() where state = 'pending'";
    world.run(due.to_owned()).await;
    notifications.dispatch(Channel::Email).await.expect("sent");
    assert_eq!(
        mails(&world, &guest).await,
        ["sent", "dropped", "dropped", "sent"]
    );
    let mails = world.stage.server.mailer.all_to("gil_goes@example.org");
    let moved: Vec<&str> = (mails.iter())
        .filter(|mail| mail.subject.starts_with("New time"))
        .map(|mail| mail.text.as_str())
        .collect();
    assert_eq!(moved.len(), 2);
    assert!(
        moved[0].contains("18:10") && moved[1].contains("18:40"),
        "{moved:?}"
    );
}
