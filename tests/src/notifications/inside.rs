//! What changes while an event is under way, or while it is suspended: guests who are inside already are guests, and a
//! suspension that ends takes no reminder along.

use super::{
    deliveries::{keep_workers_away, wait_until},
    stage::Guests,
};
use crate::support::Member;
use chrono::{Duration, Utc};
use kernel::messages::Channel;
use serde_json::json;

impl Guests {
    /// Scans the tickets of a member.
    async fn let_in(&self, member: &Member) {
        self.run(&format!(
            "set session_replication_role = replica;
             update app.tickets set state = 'checked_in' where event_id = '{}' and holder_id = '{}'",
            self.event, member.id
        ))
        .await;
    }

    async fn suspended(&self, what: &str) {
        let path = format!("/events/{}/{what}", self.event);
        self.paula.client.act(&path).await.expect(200);
        self.server.settled().await;
    }
}

/// A festival is moved, and then a concert put off, when some have been let in: all are told, and reminded of the new
/// time.
#[tokio::test]
async fn rm4_guests_who_are_inside_are_told_and_reminded() {
    let guests = Guests::new().await;
    let inside = guests.guest("ina_is_in").await;
    let outside = guests.guest("otto_is_out").await;
    let gone = guests.guest("gina_is_gone").await;
    guests.let_in(&inside).await;
    guests
        .run(&format!(
            "set session_replication_role = replica; update app.tickets set state = 'refunded' where holder_id = '{}'",
            gone.id
        ))
        .await;
    let later = |hours: i64| (Utc::now() + Duration::hours(hours)).to_rfc3339();
    guests
        .change(json!({"starts_at": later(47), "ends_at": later(49)}))
        .await;
    guests
        .change(json!({"location": {"lat": -37.8, "lng": 144.9}}))
        .await;
    for what in ["suspend", "unsuspend"] {
        guests.suspended(what).await;
    }
    guests.begins_in(23 * 60).await;
    assert_eq!(guests.module().remind().await.expect("a look"), 2);
    let told = [
        "order_paid",
        "event_moved",
        "event_elsewhere",
        "event_withheld",
        "event_back",
        "event_soon",
    ];
    assert_eq!(guests.names(&inside).await, told);
    assert_eq!(guests.names(&outside).await, told);
    assert_eq!(guests.names(&gone).await, ["order_paid"]);
    guests.dispatch().await;
    for message in ["event_moved", "event_back", "event_soon"] {
        assert_eq!(
            guests.deliveries(&inside, message).await,
            [("email".to_owned(), "sent".to_owned())],
            "{message}"
        );
    }
}

/// Whose reminder waits is reminded after the suspension, at the place that the event has by then; whoever was reminded
/// before is not reminded again.
#[tokio::test]
async fn rm4_a_suspension_that_ends_leaves_no_guest_without_a_reminder() {
    let guests = Guests::new().await;
    let told = guests.guest("tom_was_told").await;
    let waits = guests.guest("wanda_waits").await;
    guests.dispatch().await;
    guests.begins_in(23 * 60).await;
    keep_workers_away(&guests).await;
    assert_eq!(guests.module().remind().await.expect("a look"), 2);
    guests.server.settled().await;
    // Wanda's waits for the end of her quiet hours.
    guests
        .run(&format!(
            "update app.notification_deliveries set next_attempt_at = now() + interval '5 hours'
             where user_id = '{}' and state = 'pending'; delete from app.delivery_pauses",
            waits.id
        ))
        .await;
    guests.dispatch().await;
    let of = async |member: &Member| guests.deliveries(member, "event_soon").await;
    let mail = |state: &str| ("email".to_owned(), state.to_owned());
    assert_eq!(of(&told).await, [mail("sent")]);
    assert_eq!(of(&waits).await, [mail("pending")]);
    guests.suspended("suspend").await;
    assert_eq!(of(&waits).await, [mail("dropped")]);
    guests
        .run(&format!(
            "set session_replication_role = replica;
             update app.events set venue_id = null, location = null, online_url = 'https://example.org/after' where id = '{}'",
            guests.event
        ))
        .await;
    guests.suspended("unsuspend").await;
    guests.dispatch().await;
    assert_eq!(of(&told).await, [mail("sent")]);
    assert_eq!(of(&waits).await, [mail("sent")]);
    let mails = guests.server.mailer.all_to("wanda_waits@example.org");
    let soon: Vec<_> = (mails.iter())
        .filter(|mail| mail.subject.ends_with("is coming up"))
        .collect();
    assert_eq!(soon.len(), 1);
    assert!(
        soon[0].text.contains("https://example.org/after"),
        "{}",
        soon[0].text
    );
    // Of another time than the present one, nothing comes back.
    let later = |hours: i64| (Utc::now() + Duration::hours(hours)).to_rfc3339();
    guests
        .change(json!({"starts_at": later(47), "ends_at": later(49)}))
        .await;
    guests
        .run("update app.notification_deliveries d set state = 'dropped', error = 'the event has another time, or none'
              from app.notifications n where n.id = d.notification_id and n.type = 'event_reminder'")
        .await;
    for what in ["suspend", "unsuspend"] {
        guests.suspended(what).await;
    }
    let left = "select count(*) from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
        where n.type = 'event_reminder' and d.state <> 'dropped'";
    assert_eq!(guests.count(left).await, 0);
}

/// A host who edits the time of a new event again and again: followers with a device are told at once, and then of the
/// last time only.
#[tokio::test]
async fn no1_an_announcement_with_another_time_again_and_again_is_told_twice() {
    let guests = Guests::with(|parts| {
        parts.modules.notifications.notifications_digest_minutes = 60;
    })
    .await;
    let follower = guests.follower("fanny_follows").await;
    guests.device(&follower).await;
    let city = guests.server.city("melbourne").await;
    let host = crate::support::rows::host_of(&guests.server, guests.olga.id, city).await;
    let body = json!({"title": "A restless feast", "starts_at": "2041-06-01T18:00:00Z", "ends_at": "2041-06-01T23:00:00Z",
        "timezone": "Australia/Melbourne", "online_url": "https://example.org/stream", "host_type": "organization",
        "host_id": host, "city_id": city});
    let made = guests.olga.client.post("/events", body).await.expect(201);
    let path = format!("/events/{}", made.id());
    let publish = format!("{path}/publish");
    guests.olga.client.act(&publish).await.expect(200);
    guests.dispatch().await;
    for minute in [10, 20, 30, 40] {
        let etag = guests.olga.client.get(&path).await.expect(200).etag();
        let body = json!({"starts_at": format!("2041-06-01T18:{minute}:00Z")});
        guests
            .olga
            .client
            .patch(&path, &etag, body)
            .await
            .expect(200);
        guests.dispatch().await;
    }
    let pushed = || {
        let all = guests.server.pusher.all();
        let all = all.into_iter();
        all.filter(|push| push.title == "New: A restless feast")
            .map(|push| push.body)
            .collect::<Vec<_>>()
    };
    assert_eq!(pushed().len(), 1, "{:?}", pushed());
    guests
        .run("update app.notification_deliveries set next_attempt_at = now() where state = 'pending' and channel = 'push'")
        .await;
    guests.module().dispatch(Channel::Push).await.expect("sent");
    let left = "select count(*) from app.notification_deliveries where channel = 'push' and state in ('pending', 'sending')";
    wait_until(&guests, left, 0).await;
    let pushed = pushed();
    assert_eq!(pushed.len(), 2, "{pushed:?}");
    // In winter Melbourne is ten hours ahead.
    assert!(pushed[1].contains("04:40"), "{pushed:?}");
}

/// Who ordered after a change knows nothing else: only those are told who ordered or began to wait before it, also if the
/// job comes late.
#[tokio::test]
async fn no1_who_comes_after_a_change_is_not_told_of_it() {
    let guests = Guests::new().await;
    let early = guests.guest("early_emil").await;
    let late = guests.guest("late_lena").await;
    // Their order is made while the job has not looked at the change yet.
    guests
        .run(&format!(
            "set session_replication_role = replica;
             update app.orders set created_at = now() + interval '1 hour' where user_id = '{}'",
            late.id
        ))
        .await;
    guests
        .change(json!({"starts_at": "2041-05-01T18:30:00Z"}))
        .await;
    guests
        .change(json!({"location": {"lat": -37.8, "lng": 144.9}}))
        .await;
    guests.dispatch().await;
    let names = guests.names(&late).await;
    assert_eq!(names, ["order_paid"]);
    let names = guests.names(&early).await;
    for message in ["event_moved", "event_elsewhere"] {
        assert!(names.iter().any(|name| name == message), "{names:?}");
    }
}
