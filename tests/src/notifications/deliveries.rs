//! NO1, NO6, NO9, NO10: how deliveries are sent, or not.

use super::stage::Guests;
use crate::support::Member;
use delivery::{
    mail::{Mail, Mailer, Undelivered},
    push::{Push, Pusher, Unpushed},
};
use futures_util::future::{BoxFuture, join_all};
use kernel::messages::Channel;
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

/// A mailer that answers what the test sets, and remembers ids.
#[derive(Default)]
struct Moody {
    answers: Mutex<Vec<Result<(), Undelivered>>>,
    seen: Mutex<Vec<Uuid>>,
    hangs: Mutex<Option<Duration>>,
}

impl Mailer for Moody {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>> {
        Box::pin(async move {
            let hangs = *self.hangs.lock().expect("hangs");
            if let Some(hang) = hangs {
                tokio::time::sleep(hang).await;
            }
            self.seen.lock().expect("seen").push(mail.id);
            let answer = self.answers.lock().expect("answers").pop();
            answer.unwrap_or(Ok(())).map(|()| Some("name".to_owned()))
        })
    }
}

#[derive(Default)]
struct MoodyPusher(Mutex<Vec<Unpushed>>);

impl Pusher for MoodyPusher {
    fn send(&self, _: Push) -> BoxFuture<'_, Result<Option<String>, Unpushed>> {
        let answer = self.0.lock().expect("answers").pop();
        Box::pin(std::future::ready(answer.map_or(Ok(None), Err)))
    }
}

fn state(channel: &str, state: &str) -> (String, String) {
    (channel.to_owned(), state.to_owned())
}

/// NO1: while waiting for a service that hangs, the sender holds no connection.
#[tokio::test]
async fn no1_a_service_that_hangs_keeps_nobody_from_the_database() {
    let mailer = Arc::new(Moody::default());
    let guests = Guests::with(|parts| parts.mailer = mailer.clone()).await;
    let member = guests.server.member("una_waits").await;
    keep_workers_away(&guests).await;
    let made = guests.ticket(&member).await;
    *mailer.hangs.lock().expect("hangs") = Some(Duration::from_secs(30));
    guests.run("delete from app.delivery_pauses").await;
    let module = guests.module().clone();
    let hanging = tokio::spawn(async move { module.dispatch(Channel::Email).await });
    wait_until(
        &guests,
        "select count(*) from app.notification_deliveries where state = 'sending'",
        1,
    )
    .await;
    let open = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
    assert_eq!(guests.count(open).await, 0, "{made}");
    // Both connections for jobs are available.
    let db = &guests.server.built.app.db;
    let both = join_all((0..2).map(|_| db.job("notifications", None, Uuid::now_v7())));
    let both = tokio::time::timeout(Duration::from_secs(5), both)
        .await
        .expect("two connections");
    assert!(both.iter().all(Result::is_ok));
    hanging.abort();
}

/// NO1, RM3: each delivery is claimed by one of two concurrent senders; if that one dies, another sends it with the
/// same id.
#[tokio::test]
async fn no1_a_delivery_is_claimed_once_and_again_when_its_sender_is_dead() {
    let mailer = Arc::new(Moody::default());
    let guests = Guests::with(|parts| parts.mailer = mailer.clone()).await;
    keep_workers_away(&guests).await;
    mailer.seen.lock().expect("seen").clear();
    for n in 0..12 {
        guests.guest(&format!("una_{n}")).await;
    }
    guests.run("delete from app.delivery_pauses").await;
    let sent: usize = join_all((0..4).map(|_| guests.module().dispatch(Channel::Email)))
        .await
        .into_iter()
        .map(|sent| sent.expect("sent"))
        .sum();
    let seen = mailer.seen.lock().expect("seen").clone();
    assert_eq!((sent, seen.len()), (12, 12));
    // The sender died after the service accepted the mail: it is sent again, with the same id.
    guests.run("update app.notification_deliveries set state = 'sending', lease_until = now() - interval '1 s', settled_at = null where id = (select min(id::text)::uuid from app.notification_deliveries)").await;
    assert_eq!(
        guests
            .module()
            .dispatch(Channel::Email)
            .await
            .expect("sent"),
        1
    );
    let seen = mailer.seen.lock().expect("seen").clone();
    let again = seen.last().expect("an id");
    assert_eq!(seen.iter().filter(|id| *id == again).count(), 2);
    // A late result of a sender that was believed dead changes nothing.
    guests.run("update app.notification_deliveries set state = 'sending', attempts = attempts + 1, lease_until = now() + interval '1 hour'").await;
    assert_eq!(
        guests
            .module()
            .dispatch(Channel::Email)
            .await
            .expect("none"),
        0
    );
}

#[tokio::test]
async fn no9_what_a_service_says_decides_what_becomes_of_a_message() {
    let mailer = Arc::new(Moody::default());
    let guests = Guests::with(|parts| parts.mailer = mailer.clone()).await;
    keep_workers_away(&guests).await;
    let member = guests.guest("uri_hears").await;
    guests.run("delete from app.delivery_pauses").await;
    let say = |answer| mailer.answers.lock().expect("answers").push(answer);
    say(Err(Undelivered::NotNow("busy".to_owned())));
    assert_eq!(guests.dispatch().await, 0);
    assert_eq!(
        guests.deliveries(&member, "order_paid").await,
        [state("email", "pending")]
    );
    let due = "update app.notification_deliveries set next_attempt_at = now()";
    // A pause applies to the whole channel, not only to the message.
    guests.run(due).await;
    let wait = Duration::from_secs(600);
    say(Err(Undelivered::Paused {
        reason: "slow down".to_owned(),
        wait,
    }));
    assert_eq!(guests.dispatch().await, 0);
    let other = guests.guest("ulf_hears").await;
    guests.run(due).await;
    assert_eq!(guests.dispatch().await, 0);
    assert_eq!(
        guests.deliveries(&other, "order_paid").await,
        [state("email", "pending")]
    );
    guests.run("delete from app.delivery_pauses").await;
    say(Err(Undelivered::Never("no such address".to_owned())));
    assert_eq!(guests.dispatch().await, 1, "one fails, the other is sent");
    let failed = "select count(*) from app.notification_deliveries where state = 'failed' and error = 'no such address' and settled_at is not null";
    assert_eq!(guests.count(failed).await, 1);
    // A message is tried ten times.
    keep_workers_away(&guests).await;
    let third = guests.guest("uma_hears").await;
    guests
        .run(&format!("{due}, attempts = 9 where state = 'pending'"))
        .await;
    say(Err(Undelivered::NotNow("busy".to_owned())));
    guests.run("delete from app.delivery_pauses").await;
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&third, "order_paid").await,
        [state("email", "failed")]
    );
}

/// A token that the service no longer knows is not tried again, and the device is archived.
#[tokio::test]
async fn no9_a_device_that_is_gone_is_forgotten_once() {
    let pusher = Arc::new(MoodyPusher::default());
    let guests = Guests::with(|parts| parts.pusher = pusher.clone()).await;
    let member = guests.server.member("ugo_pushes").await;
    for _ in 0..2 {
        guests.device(&member).await;
    }
    keep_workers_away(&guests).await;
    guests.ticket(&member).await;
    guests.run("delete from app.delivery_pauses").await;
    let pushed = || async {
        guests
            .deliveries(&member, "order_paid")
            .await
            .into_iter()
            .filter(|(channel, _)| channel == "push")
            .collect::<Vec<_>>()
    };
    pusher.0.lock().expect("answers").push(Unpushed::Gone);
    assert_eq!(
        guests.module().dispatch(Channel::Push).await.expect("sent"),
        1
    );
    let mut states = pushed().await;
    states.sort();
    assert_eq!(states, [state("push", "failed"), state("push", "sent")]);
    assert_eq!(
        guests
            .count("select count(*) from app.devices where status = 'active'")
            .await,
        1
    );
    // The payload was invalid, so the device stays.
    guests.ticket(&member).await;
    pusher
        .0
        .lock()
        .expect("answers")
        .push(Unpushed::Never("too long".to_owned()));
    guests.module().dispatch(Channel::Push).await.expect("none");
    assert_eq!(
        guests
            .count("select count(*) from app.devices where status = 'active'")
            .await,
        1
    );
}

/// A service that requests a pause has not tried the message, and gets no other one before the pause ends.
#[tokio::test]
async fn no9_a_pause_is_no_attempt_and_ends_the_round() {
    let mailer = Arc::new(Moody::default());
    let guests = Guests::with(|parts| {
        parts.mailer = mailer.clone();
        parts.modules.notifications.notifications_sends_at_once = 1;
    })
    .await;
    keep_workers_away(&guests).await;
    let members = [
        guests.guest("ute_hears").await,
        guests.guest("uwe_hears").await,
    ];
    let due = "delete from app.delivery_pauses; update app.notification_deliveries set next_attempt_at = now()";
    // More often than a message is tried.
    for _ in 0..12 {
        guests.run(due).await;
        let paused = Undelivered::Paused {
            reason: "slow down".to_owned(),
            wait: Duration::from_secs(600),
        };
        mailer.answers.lock().expect("answers").push(Err(paused));
        let sent = guests.module().dispatch(Channel::Email).await;
        assert_eq!(sent.expect("none"), 0);
    }
    for member in &members {
        assert_eq!(
            guests.deliveries(member, "order_paid").await,
            [state("email", "pending")]
        );
    }
    let attempts = "select max(attempts)::int8 from app.notification_deliveries";
    assert_eq!(guests.count(attempts).await, 0);
    guests.run(due).await;
    let sent = guests.module().dispatch(Channel::Email).await;
    assert_eq!(sent.expect("sent"), 2);
}

/// A push contains what the app needs to show it and open the right page; its id is that of its delivery.
#[tokio::test]
async fn no9_a_push_says_what_the_app_needs() {
    let guests = Guests::new().await;
    let member = guests.server.member("ursa_pushes").await;
    guests.device(&member).await;
    guests.ticket(&member).await;
    guests.dispatch().await;
    let pushed = guests.server.pusher.all();
    let push = pushed
        .iter()
        .find(|push| push.title == "Your tickets to A full house");
    let push = push.expect("a receipt");
    assert_eq!(push.data["type"], "order");
    assert_eq!(push.data["message"], "order_paid");
    assert_eq!(push.data["event"], guests.event.to_string());
    assert!(
        push.urgent && push.body.starts_with("Tickets: 1."),
        "{push:?}"
    );
    let known = format!(
        "select count(*) from app.notification_deliveries where id = '{}' and state = 'sent'",
        push.id
    );
    assert_eq!(guests.count(&known).await, 1);
    let listed = member.client.get("/notifications").await.expect(200);
    assert_eq!(
        listed.json["data"][0]["id"].as_str(),
        Some(push.data["notification"].as_str())
    );
    // A signed-out device gets nothing more.
    guests
        .run("update app.devices set status = 'archived'")
        .await;
    let before = guests.server.pusher.all().len();
    guests.ticket(&member).await;
    guests.dispatch().await;
    assert_eq!(guests.server.pusher.all().len(), before);
}

/// NO6: the first message opens a window, and all messages within it are sent in one mail.
#[tokio::test]
async fn no6_what_comes_within_a_window_is_one_mail() {
    let guests = Guests::with(|parts| {
        parts.modules.notifications.notifications_digest_minutes = 30;
    })
    .await;
    let member = guests.follower("dora_follows").await;
    for n in 0..3 {
        published(&guests, &format!("Number {n}")).await;
    }
    guests.dispatch().await;
    let address = "dora_follows@example.org";
    assert_eq!(guests.server.mailer.count_to(address), 0);
    let over = "update app.notification_deliveries set next_attempt_at = now() where state = 'pending' and carrier_id is null";
    guests.run(over).await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to(address);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "3 news from CulturePass");
    for n in 0..3 {
        assert!(
            mails[0].text.contains(&format!("Number {n}")),
            "{}",
            mails[0].text
        );
    }
    let sent = guests.deliveries(&member, "event_published").await;
    assert_eq!(sent, vec![state("email", "sent"); 3]);
    // Later messages open another window; one that is being sent accepts no more.
    keep_workers_away(&guests).await;
    published(&guests, "Number 3").await;
    guests
        .run(&format!(
            "{over}; update app.notification_deliveries set attempts = 1 where state = 'pending'"
        ))
        .await;
    published(&guests, "Number 4").await;
    let windows = format!(
        "select count(*) from app.notification_deliveries where user_id = '{}' and state = 'pending' and carrier_id is null",
        member.id
    );
    assert_eq!(guests.count(&windows).await, 2);
    guests.run("delete from app.delivery_pauses").await;
    guests.run(over).await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to(address);
    let mut subjects: Vec<&str> = mails
        .iter()
        .skip(1)
        .map(|mail| mail.subject.as_str())
        .collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["New: Number 3", "New: Number 4"]);
}

/// NO4: one click in a mail with several types turns off all of them.
#[tokio::test]
async fn no4_one_click_stops_all_that_a_digest_holds() {
    let guests = Guests::with(|parts| {
        parts.modules.notifications.notifications_digest_minutes = 30;
    })
    .await;
    let member = guests.follower("dina_follows").await;
    // New followers are only mailed to members who want that.
    guests
        .run(&format!(
            "insert into app.notification_preferences (user_id, channel, type, enabled) values ('{}', 'email', 'follow', true)",
            member.id
        ))
        .await;
    let fan = guests.server.member("dina_s_fan").await;
    published(&guests, "A night").await;
    let follow = json!({"entity_type": "user", "entity_id": member.id});
    fan.client.post("/follows", follow).await.expect(201);
    guests.server.settled().await;
    guests
        .run("update app.notification_deliveries set next_attempt_at = now() where state = 'pending' and carrier_id is null")
        .await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("dina_follows@example.org");
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "2 news from CulturePass");
    let url = mails[0].unsubscribe.clone().expect("a way out");
    let path = format!("{}?{}", url.path(), url.query().expect("a token"));
    let client = &guests.server.client;
    let page = client.get(&path).await.expect(200).text;
    assert!(page.contains("follow, new event"), "{page}");
    for _ in 0..2 {
        client.act(&path).await.expect(200);
    }
    let off = format!(
        "select count(*) from app.notification_preferences where user_id = '{}' and not enabled and channel = 'email'",
        member.id
    );
    assert_eq!(guests.count(&off).await, 2);
    published(&guests, "Another night").await;
    let waits = format!(
        "select count(*) from app.notification_deliveries where user_id = '{}' and channel = 'email' and state = 'pending'",
        member.id
    );
    assert_eq!(guests.count(&waits).await, 0);
}

/// Concurrent notifications of one member open one window, and none is lost.
#[tokio::test]
async fn no6_many_who_tell_at_once_open_one_window() {
    let guests = Guests::with(|parts| {
        parts.modules.notifications.notifications_digest_minutes = 30;
    })
    .await;
    let members: Vec<Member> = vec![
        guests.follower("dirk_follows").await,
        guests.follower("dana_follows").await,
    ];
    join_all((0..8).map(|n| {
        let guests = &guests;
        async move { published(guests, &format!("At once {n}")).await }
    }))
    .await;
    guests.server.settled().await;
    for member in &members {
        let windows = format!(
            "select count(*) from app.notification_deliveries where user_id = '{}' and state = 'pending' and carrier_id is null",
            member.id
        );
        assert_eq!(guests.count(&windows).await, 1);
    }
    guests.run("update app.notification_deliveries set next_attempt_at = now() where state = 'pending'").await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("dana_follows@example.org");
    assert_eq!(
        mails
            .iter()
            .map(|mail| mail.subject.as_str())
            .collect::<Vec<_>>(),
        ["8 news from CulturePass"]
    );
}

/// NO10: texts written by members are escaped in a mail.
#[tokio::test]
async fn no10_what_members_write_is_no_markup_in_a_mail() {
    let guests = Guests::new().await;
    let member = guests.follower("dean_follows").await;
    published(&guests, "<img src=x onerror=alert(1)> & {{ 7 * 7 }}").await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("dean_follows@example.org");
    let html = mails[0].html.as_deref().expect("HTML");
    assert!(
        html.contains("&lt;img src=x") && !html.contains("<img") && html.contains("{{ 7 * 7 }}"),
        "{html}"
    );
    assert_eq!(guests.names(&member).await, ["event_published"]);
}

pub async fn published(guests: &Guests, title: &str) {
    let city = guests.server.city("melbourne").await;
    let host = crate::support::rows::host_of(&guests.server, guests.olga.id, city).await;
    let body = json!({"title": title, "starts_at": "2041-06-01T18:00:00Z", "ends_at": "2041-06-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "online_url": "https://example.org/stream", "host_type": "organization", "host_id": host, "city_id": city});
    let made = guests.olga.client.post("/events", body).await.expect(201);
    let publish = format!("/events/{}/publish", made.id());
    guests.olga.client.act(&publish).await.expect(200);
    guests.server.settled().await;
}

/// Pauses the channels, so that the worker sends nothing before the test does.
pub async fn keep_workers_away(guests: &Guests) {
    guests
        .run("insert into app.delivery_pauses (channel, until, reason) values ('email', now() + interval '1 hour', 'a test'), ('push', now() + interval '1 hour', 'a test')")
        .await;
}

pub async fn wait_until(guests: &Guests, text: &str, count: i64) {
    for _ in 0..400 {
        if guests.count(text).await == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{text} is not {count}");
}
