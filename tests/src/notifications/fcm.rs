//! NO9 end to end: each answer of FCM, and its effect on the message, its device and the channel.

use super::{deliveries::keep_workers_away, stage::Guests};
use crate::{
    delivery::push::{error, of_fcm, pusher, violation},
    support::Member,
};
use fake_messengers::{
    Config,
    fault::{Fault, Service},
    server::Running,
};
use kernel::messages::Channel;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};
use std::sync::Arc;
use std::time::Duration;

/// The state of a message and its device after one attempt.
#[derive(Debug, PartialEq)]
struct After {
    state: String,
    attempts: i32,
    device: String,
    /// The remaining pause of the channel, in seconds. `None` if it is not paused.
    pause: Option<i64>,
    /// The time until the next attempt, in seconds.
    wait: Option<i64>,
}

struct Pushing {
    guests: Guests,
    fake: Running,
    member: Member,
}

impl Pushing {
    async fn new() -> Self {
        let fake = Running::start(Config::default()).await.expect("a fake");
        let sender = Arc::new(pusher(&fake));
        let guests = Guests::with(|parts| parts.pusher = sender).await;
        keep_workers_away(&guests).await;
        let member = guests.guest("uta_pushes").await;
        for _ in 0..2 {
            guests.device(&member).await;
        }
        Self {
            guests,
            fake,
            member,
        }
    }

    /// Inserts a message to one device, and one to another device that is due much later.
    async fn prepare(&self) {
        self.guests.run("delete from app.delivery_pauses").await;
        keep_workers_away(&self.guests).await;
        self.guests
            .run(&format!(
                "set session_replication_role = replica;
                 update app.devices set status = 'active';
                 delete from app.notification_deliveries;
                 insert into app.notification_deliveries (notification_id, user_id, channel, device_id, next_attempt_at)
                 select n.id, n.user_id, 'push', v.id, now() + interval '48 hours' * (row_number() over (order by v.id) - 1)
                 from (select * from app.notifications where user_id = '{}' limit 1) n join app.devices v on v.user_id = n.user_id",
                self.member.id
            ))
            .await;
    }

    /// Makes one attempt, which FCM answers with these faults, and returns the state of the first message afterwards.
    async fn attempt(&self, faults: Vec<Fault>) -> After {
        self.prepare().await;
        for fault in faults {
            self.fake.fake.add_fault(fault);
        }
        self.guests.run("delete from app.delivery_pauses").await;
        let module = self.guests.module();
        module.dispatch(Channel::Push).await.expect("a round");
        // The server's own worker may have made the attempt already.
        let attempted = "select count(*) from app.notification_deliveries where state in ('sent', 'failed') or error is not null and state = 'pending'";
        super::deliveries::wait_until(&self.guests, attempted, 1).await;
        self.fake.fake.clear_faults();
        let row = sqlx::query(AssertSqlSafe(
            "select d.state, d.attempts, v.status as device,
               (select extract(epoch from p.until - now())::int8 from app.delivery_pauses p where p.channel = 'push') as pause,
               case when d.state = 'pending' then extract(epoch from d.next_attempt_at - now())::int8 end as wait
             from app.notification_deliveries d join app.devices v on v.id = d.device_id order by d.next_attempt_at limit 1",
        ))
        .fetch_one(&mut self.guests.server.superuser().await)
        .await
        .expect("the message");
        After {
            state: row.get("state"),
            attempts: row.get("attempts"),
            device: row.get("device"),
            pause: row.get("pause"),
            wait: row.get("wait"),
        }
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    Fault::answer(Service::Fcm, status, headers, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no9_what_fcm_answers_ends_a_message_a_device_or_pauses_the_channel() {
    let pushing = Pushing::new().await;
    let page = "<!doctype html><title>502 Bad Gateway</title>";
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(1200))
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let unregistered = error("NOT_FOUND", "", of_fcm("UNREGISTERED"));
    let token = error("INVALID_ARGUMENT", "", violation("message.token"));
    let payload = error("INVALID_ARGUMENT", "", violation("message.data[0].value"));
    let refused = error("UNAUTHENTICATED", "", json!([]));
    let quota = error("", "", of_fcm("QUOTA_EXCEEDED"));
    let busy = error("UNAVAILABLE", "", of_fcm("UNAVAILABLE"));
    // Name, answer of FCM, state of the message, state of its device, number of counted attempts, pause in seconds.
    type Case<'a> = (&'a str, Vec<Fault>, &'a str, &'a str, i32, Option<i64>);
    let cases: Vec<Case> = vec![
        ("taken", vec![], "sent", "active", 1, None),
        (
            "404 UNREGISTERED",
            vec![answer(404, &[], &unregistered)],
            "failed",
            "archived",
            1,
            None,
        ),
        (
            "404 of a proxy",
            vec![answer(404, &[], page)],
            "pending",
            "active",
            1,
            None,
        ),
        (
            "400 token",
            vec![answer(400, &[], &token)],
            "failed",
            "archived",
            1,
            None,
        ),
        (
            "400 payload",
            vec![answer(400, &[], &payload)],
            "failed",
            "active",
            1,
            None,
        ),
        (
            "401 once",
            vec![answer(401, &[], &refused)],
            "sent",
            "active",
            1,
            None,
        ),
        (
            "401 twice",
            vec![answer(401, &[], &refused).times(2)],
            "pending",
            "active",
            0,
            Some(60),
        ),
        (
            "429 in seconds",
            vec![answer(429, &[("retry-after", "600")], &quota)],
            "pending",
            "active",
            0,
            Some(600),
        ),
        (
            "429 until a date",
            vec![answer(429, &[("retry-after", &soon)], page)],
            "pending",
            "active",
            0,
            Some(1200),
        ),
        (
            "429 alone",
            vec![answer(429, &[], &quota)],
            "pending",
            "active",
            0,
            Some(60),
        ),
        (
            "503 in seconds",
            vec![answer(503, &[("retry-after", "900")], &busy)],
            "pending",
            "active",
            0,
            Some(900),
        ),
        (
            "503 alone",
            vec![answer(503, &[], &busy)],
            "pending",
            "active",
            1,
            None,
        ),
        (
            "500",
            vec![answer(500, &[], page)],
            "pending",
            "active",
            1,
            None,
        ),
        (
            "502 as HTML",
            vec![answer(502, &[], page)],
            "pending",
            "active",
            1,
            None,
        ),
    ];
    for (name, faults, state, device, attempts, pause) in cases {
        let after = pushing.attempt(faults).await;
        let said = (&*after.state, &*after.device, after.attempts);
        assert_eq!(said, (state, device, attempts), "{name}: {after:?}");
        match (pause, after.pause) {
            (None, None) => {}
            // Some of the pause may have passed while the statements ran.
            (Some(pause), Some(left)) => {
                assert!((pause - 50..=pause).contains(&left), "{name}: {left}")
            }
            (expected, left) => panic!("{name}: {expected:?}, {left:?}"),
        }
        if after.state == "pending" && pause.is_none() {
            // The backoff is a random time between 30 and 60 seconds.
            let wait = after.wait.expect("a time");
            assert!((0..=60).contains(&wait), "{name}: {wait}");
        }
        is_held_up(&pushing, name, pause.is_some()).await;
    }
}

/// A pause applies to the whole channel: a message to another device waits too and is not attempted.
async fn is_held_up(pushing: &Pushing, name: &str, is_paused: bool) {
    let guests = &pushing.guests;
    let second = "(select id from app.notification_deliveries order by device_id desc limit 1)";
    guests
        .run(&format!("update app.notification_deliveries set next_attempt_at = now() + interval '1 hour' where id <> {second};
                       update app.notification_deliveries set next_attempt_at = now() where id = {second}"))
        .await;
    let before = pushing.fake.fake.calls(Service::Fcm);
    let module = guests.module();
    module.dispatch(Channel::Push).await.expect("a round");
    let state = format!(
        "select count(*) from app.notification_deliveries where id = {second} and state = 'sent'"
    );
    if is_paused {
        assert_eq!(guests.count(&state).await, 0, "{name}");
        assert_eq!(pushing.fake.fake.calls(Service::Fcm), before, "{name}");
    } else {
        super::deliveries::wait_until(guests, &state, 1).await;
    }
}

/// Messages waiting for a device are not sent to its push token if another member has registered the token since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no9_a_token_that_has_moved_on_gets_nothing_of_who_had_it() {
    let pushing = Pushing::new().await;
    pushing.prepare().await;
    let guests = &pushing.guests;
    let token = guests
        .one("select v.push_token from app.notification_deliveries d join app.devices v on v.id = d.device_id order by d.next_attempt_at limit 1")
        .await;
    let other = guests.server.member("ulla_has_it_now").await;
    let body = json!({"platform": "ios", "push_token": token});
    other.client.post("/devices", body).await.expect(201);
    guests.run("delete from app.delivery_pauses").await;
    guests
        .module()
        .dispatch(Channel::Push)
        .await
        .expect("a round");
    let dropped = "select count(*) from app.notification_deliveries where state = 'dropped' and error = 'the device is signed out'";
    super::deliveries::wait_until(guests, dropped, 1).await;
    let to_it = || {
        let sent = pushing.fake.fake.push().into_iter();
        sent.filter(|one| one.fields.to_string().contains(&token))
            .count()
    };
    assert_eq!(to_it(), 0);
    // Control: a message to the new owner of the token arrives.
    guests.ticket(&other).await;
    for _ in 0..100 {
        guests
            .module()
            .dispatch(Channel::Push)
            .await
            .expect("a round");
        if to_it() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(to_it(), 1);
}
