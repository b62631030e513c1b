//! NO8: the list of notifications in the app, and the number of unread ones.

use super::stage::Guests;
use crate::support::Member;
use futures_util::future::join_all;
use serde_json::json;

async fn unread(member: &Member) -> i64 {
    let answer = member.client.get("/notifications/unread").await.expect(200);
    answer.json["unread"].as_i64().expect("a number")
}

impl Guests {
    async fn have(&self, member: &Member, count: i64) {
        self.run(&format!(
            "insert into app.notifications (user_id, title, message, type, dedupe_key)
             select '{}', 'Number ' || n, 'Hello', 'system', 'test:' || n from generate_series(1, {count}) n",
            member.id
        ))
        .await;
    }
}

#[tokio::test]
async fn no8_the_number_of_unread_ones_is_exact_while_many_read() {
    let guests = Guests::new().await;
    let member = guests.server.member("ola_reads").await;
    let other = guests.server.member("otto_reads").await;
    guests.have(&member, 40).await;
    guests.have(&other, 3).await;
    assert_eq!(unread(&member).await, 40);
    let listed = member
        .client
        .get("/notifications?limit=100")
        .await
        .expect(200);
    let ids: Vec<String> = listed.json["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 40);
    // Each is marked three times, and some as unread again, all at once.
    let reads = ids.iter().take(20).flat_map(|id| [id; 3]);
    let reads = reads.map(|id| format!("/notifications/{id}/read"));
    let paths: Vec<String> = reads.collect();
    let answers = join_all(paths.iter().map(|path| member.client.act(path))).await;
    assert!(answers.iter().all(|answer| answer.status == 204));
    assert_eq!(unread(&member).await, 20);
    for id in &ids[..5] {
        member
            .client
            .act(&format!("/notifications/{id}/unread"))
            .await
            .expect(204);
    }
    assert_eq!(unread(&member).await, 25);
    // Notifications of others are neither changed nor revealed.
    other
        .client
        .act(&format!("/notifications/{}/read", ids[0]))
        .await
        .expect(404);
    guests
        .server
        .client
        .act(&format!("/notifications/{}/read", ids[0]))
        .await
        .expect(401);
    assert_eq!(unread(&other).await, 3);
    // One that is sent by mail only is in no list and counts nowhere.
    guests
        .run(&format!(
            "insert into app.notifications (user_id, title, message, type, dedupe_key, in_app)
             values ('{}', 'By mail', 'Hello', 'system', 'test:mail', false)",
            member.id
        ))
        .await;
    assert_eq!(unread(&member).await, 25);
    let read = member
        .client
        .act("/notifications/read-all")
        .await
        .expect(200);
    assert_eq!(read.json, json!({"read": 25}));
    assert_eq!((unread(&member).await, unread(&other).await), (0, 3));
}

/// A message that a member wants by mail only is not in the list, and isn't counted.
#[tokio::test]
async fn no8_what_is_not_wanted_in_the_app_is_not_there() {
    let guests = Guests::new().await;
    let member = guests.guest("odd_by_mail").await;
    let body = json!({"channel": "in_app", "type": "event_changed", "enabled": false});
    member
        .client
        .post("/notification-preferences", body)
        .await
        .expect(201);
    guests
        .change(json!({"starts_at": "2041-05-01T18:30:00Z"}))
        .await;
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&member, "event_moved").await,
        [("email".to_owned(), "sent".to_owned())]
    );
    assert_eq!(unread(&member).await, 1, "the receipt");
    let listed = member.client.get("/notifications").await.expect(200);
    assert_eq!(listed.json["data"].as_array().map(Vec::len), Some(1));
}

/// 100,000 notifications are marked in one statement, and old ones are deleted together with their deliveries.
#[tokio::test]
async fn no8_a_hundred_thousand_are_read_at_once_and_the_old_ones_go() {
    let guests = Guests::new().await;
    let member = guests.guest("olive_has_many").await;
    guests.dispatch().await;
    guests.have(&member, 100_000).await;
    let read = member
        .client
        .act("/notifications/read-all")
        .await
        .expect(200);
    assert_eq!(read.json, json!({"read": 100_001}));
    assert_eq!(unread(&member).await, 0);
    guests.run("set session_replication_role = replica; update app.notifications set created_at = now() - interval '181 days' where dedupe_key not like 'test:%' or length(dedupe_key) < 10").await;
    let gone = guests.module().purge().await.expect("purged");
    assert_eq!(gone, 10_000);
    assert_eq!(
        guests.count("select count(*) from app.notifications").await,
        90_001
    );
    assert_eq!(guests.count("select count(*) from app.notification_deliveries d where not exists (select from app.notifications n where n.id = d.notification_id)").await, 0);
}

#[tokio::test]
async fn no9_devices_that_were_not_seen_for_long_go() {
    let guests = Guests::new().await;
    let member = guests.server.member("ola_has_phones").await;
    let (old, new) = (guests.device(&member).await, guests.device(&member).await);
    for (device, days) in [(old, 271), (new, 269)] {
        guests
            .run(&format!("set session_replication_role = replica; update app.devices set last_seen_at = now() - interval '{days} days' where id = '{device}'"))
            .await;
    }
    // A client whose clock was wrong has written a time to come, long ago.
    let wrong = guests.device(&member).await;
    guests
        .run(&format!(
            "set session_replication_role = replica; update app.devices set last_seen_at = '2190-01-01', updated_at = now() - interval '271 days' where id = '{wrong}'"
        ))
        .await;
    assert_eq!(guests.module().forget_devices().await.expect("a run"), 2);
    let path = format!("/devices/{wrong}");
    member.client.get(&path).await.expect(404);
    member
        .client
        .get(&format!("/devices/{old}"))
        .await
        .expect(404);
    member
        .client
        .get(&format!("/devices/{new}"))
        .await
        .expect(200);
}
