//! NO11 end to end: whatever mail services report, how often and in which order, the final state of a mail and its
//! address is the same.

use super::stage::Guests;
use crate::support::{Answer, people::mailed_token};
use delivery::webhooks::{ResendKey, SendgridKey};
use fake_messengers::{Config, feedback, server::Running};
use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};

/// The name of an event, and the headers and the body that it is posted with.
type Post = (&'static str, Vec<(String, String)>, Vec<u8>);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLJvw";
const ADDRESS: &str = "nora_bounces@example.org";

/// A mail service, each with its own format of reports.
#[derive(Clone, Copy, Debug)]
enum Service {
    Resend,
    Sendgrid,
}

/// The events that a service may report about one mail. Each of the last two alone puts the address on the suppression
/// list.
const TOLD: [&str; 5] = ["delivered", "deferred", "soft", "hard", "spam"];

struct Mailed {
    guests: Guests,
    fake: Running,
    delivery: String,
}

impl Mailed {
    /// A receipt that was mailed, and a server that takes webhooks of both services.
    async fn new() -> Self {
        let fake = Running::start(Config::default()).await.expect("a fake");
        let public = fake.fake.keys.sendgrid_public().expect("a key");
        let guests = Guests::with(|parts| {
            let resend = ResendKey::new(&SECRET.to_owned().into());
            parts.mail_webhooks.resend = Some(resend.expect("a secret"));
            parts.mail_webhooks.sendgrid = Some(SendgridKey::new(&public).expect("a key"));
        })
        .await;
        guests.guest("nora_bounces").await;
        guests.dispatch().await;
        let delivery = guests
            .one("select id::text from app.notification_deliveries where channel = 'email'")
            .await;
        Self {
            guests,
            fake,
            delivery,
        }
    }

    fn event(&self, service: Service, kind: &str) -> Value {
        match service {
            Service::Resend => {
                let name = match kind {
                    "delivered" => "email.delivered",
                    "deferred" => "email.delivery_delayed",
                    "spam" => "email.complained",
                    _ => "email.bounced",
                };
                let how = match kind {
                    "soft" => "Transient",
                    _ => "Permanent",
                };
                json!({"type": name, "created_at": "2026-11-28T10:00:00.000Z", "data": {"email_id": self.delivery,
                    "created_at": "2026-11-28T09:59:00.000Z", "to": [ADDRESS], "from": "x@example.org", "subject": "x",
                    "bounce": {"type": how, "subType": "General", "message": "no such mailbox"}}})
            }
            Service::Sendgrid => {
                let (name, how) = match kind {
                    "soft" => ("bounce", "blocked"),
                    "hard" => ("bounce", "bounce"),
                    "spam" => ("spamreport", ""),
                    other => (other, ""),
                };
                json!({"email": ADDRESS, "timestamp": 1513299569, "event": name, "type": how, "sg_event_id": format!("id-{kind}"),
                    "sg_message_id": "m1.recvd-x", "delivery_id": self.delivery})
            }
        }
    }

    /// Reports events of these kinds, signed `ago` seconds ago.
    async fn tell(&self, service: Service, kinds: &[&str], ago: i64) -> Vec<Answer> {
        let at = chrono::Utc::now().timestamp() - ago;
        let events: Vec<Value> = kinds.iter().map(|kind| self.event(service, kind)).collect();
        let posts: Vec<Post> = match service {
            Service::Resend => (events.iter().zip(kinds))
                .map(|(event, kind)| {
                    let body = event.to_string().into_bytes();
                    let secrets = [SECRET.to_owned()];
                    // A repeated event has the same id each time.
                    let headers = feedback::svix(&secrets, &format!("msg_{kind}"), at, &body);
                    ("/webhooks/resend", headers.expect("signed"), body)
                })
                .collect(),
            Service::Sendgrid => {
                let body = json!(events).to_string().into_bytes();
                let headers = feedback::twilio(&self.fake.fake, at, &body);
                vec![("/webhooks/sendgrid", headers.expect("signed"), body)]
            }
        };
        let mut answers = Vec::new();
        for (path, headers, body) in posts {
            let mut headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            headers.push(("content-type", "application/json"));
            let client = &self.guests.server.client;
            let answer = client.try_send(Method::POST, path, body, &headers).await;
            answers.push(answer.expect("an answer"));
        }
        answers
    }

    async fn reset(&self, state: &str) {
        let lease = match state {
            "sending" => "now() + interval '1 hour'",
            _ => "null",
        };
        self.guests
            .run(&format!(
                "delete from app.mail_suppressions;
                 update app.notification_deliveries set state = '{state}', error = null, lease_until = {lease} where channel = 'email'"
            ))
            .await;
    }

    /// The state of the mail, and the number of entries on the suppression list.
    async fn outcome(&self) -> (String, i64) {
        let state = "select state from app.notification_deliveries where channel = 'email'";
        let entries = "select count(*) from app.mail_suppressions";
        let guests = &self.guests;
        (guests.one(state).await, guests.count(entries).await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no11_order_and_repetition_of_events_change_nothing() {
    let mailed = Mailed::new().await;
    let mut random = Rng::with_seed(11);
    for service in [Service::Resend, Service::Sendgrid] {
        for round in 0..12 {
            // Each event once and up to seven random copies, in random order: one request each, or all in one,
            // depending on the service.
            let mut kinds: Vec<&str> = TOLD.to_vec();
            for _ in 0..random.usize(0..8) {
                kinds.extend(random.choice(TOLD));
            }
            random.shuffle(&mut kinds);
            mailed.reset("sent").await;
            for answer in mailed.tell(service, &kinds, 0).await {
                answer.expect(200);
            }
            let outcome = mailed.outcome().await;
            let ended = ("failed".to_owned(), 1);
            assert_eq!(outcome, ended, "{service:?} {round}: {kinds:?}");
            // All of the events are repeated, signed within the accepted time.
            for answer in mailed.tell(service, &kinds, 200).await {
                answer.expect(200);
            }
            assert_eq!(mailed.outcome().await, ended, "{service:?}: {kinds:?}");
        }
        // A delivery or a temporary failure, such as a full mailbox, does not put the address on the suppression list.
        mailed.reset("sent").await;
        mailed.tell(service, &["deferred", "delivered"], 0).await;
        assert_eq!(mailed.outcome().await, ("sent".to_owned(), 0));
        mailed.tell(service, &["soft", "delivered"], 0).await;
        assert_eq!(mailed.outcome().await, ("failed".to_owned(), 0));
        // A report that was signed too long ago is refused as a replay.
        mailed.reset("sent").await;
        for answer in mailed.tell(service, &["hard", "spam"], 301).await {
            answer.expect(400);
        }
        assert_eq!(mailed.outcome().await, ("sent".to_owned(), 0));
    }
}

/// Reports about addresses of another form, or with impossible times, are taken, and so is the rest of their batch.
#[tokio::test]
async fn no11_a_report_that_cannot_be_stored_keeps_no_other_away() {
    let mailed = Mailed::new().await;
    mailed.reset("sent").await;
    let mut events = Vec::new();
    for (address, timestamp) in [
        ("not an address", 1_513_299_569),
        ("grüezi@exämple.org", 1_513_299_569),
        ("a\0b@example.org", 1_513_299_569),
        ("later@example.org", 32_000_000_000_i64),
        ("earlier@example.org", -60_000_000_000),
    ] {
        events.push(
            json!({"email": address, "timestamp": timestamp, "event": "bounce", "type": "bounce",
            "sg_event_id": address, "delivery_id": "another\0"}),
        );
        events.push(
            json!({"email": address, "timestamp": timestamp, "event": "bounce", "type": "bounce",
            "sg_event_id": address, "delivery_id": "another"}),
        );
    }
    events.push(mailed.event(Service::Sendgrid, "hard"));
    let body = json!(events).to_string().into_bytes();
    let at = chrono::Utc::now().timestamp();
    let headers = feedback::twilio(&mailed.fake.fake, at, &body).expect("signed");
    let mut headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    headers.push(("content-type", "application/json"));
    let client = &mailed.guests.server.client;
    let answer = client.try_send(Method::POST, "/webhooks/sendgrid", body, &headers);
    answer.await.expect("an answer").expect(200);
    let told = "select string_agg(email::text, ' ' order by email) from app.mail_suppressions where said_at <= now()";
    assert_eq!(
        mailed.guests.one(told).await,
        format!("earlier@example.org later@example.org {ADDRESS}")
    );
    assert_eq!(mailed.outcome().await, ("failed".to_owned(), 3));
}

/// Mail about the account goes to every address: whoever opens a link in it has shown that mail arrives. A report of spam
/// stays.
#[tokio::test]
async fn no3_an_address_that_mail_reaches_again_is_mailed_again() {
    let guests = Guests::new().await;
    guests.guest("nils_is_back").await;
    let address = "nils_is_back@example.org";
    let kept =
        "select count(*) from app.mail_suppressions where email = 'nils_is_back@example.org'";
    for (reason, left) in [("complained", 1), ("bounced", 0)] {
        guests
            .run(&format!(
                "delete from app.mail_suppressions;
                 insert into app.mail_suppressions (email, reason) values ('nils_is_back@example.org', '{reason}'),
                   ('another@example.org', 'bounced')"
            ))
            .await;
        let client = &guests.server.client;
        let before = guests.server.mailer.count();
        let forgotten = json!({"email": address});
        client
            .post("/auth/forgot-password", forgotten)
            .await
            .expect(202);
        let token = mailed_token(&guests.server, address, before).await;
        assert_eq!(
            guests.count(kept).await,
            1,
            "asking for a mail shows nothing"
        );
        let body = json!({"token": token, "password": "nine lazy tortoises"});
        client.post("/auth/reset-password", body).await.expect(204);
        assert_eq!(guests.count(kept).await, left, "{reason}");
    }
    let others = "select count(*) from app.mail_suppressions where email = 'another@example.org'";
    assert_eq!(guests.count(others).await, 1);
}

/// Whoever has reported a mail as spam gets none until they turn mail on, which only they can; the settings say so. What
/// bounces is not sent because somebody wants it.
#[tokio::test]
async fn no3_whoever_reported_spam_can_turn_mail_on_again() {
    let guests = Guests::new().await;
    let member = guests.guest("sam_said_spam").await;
    let stopped = async |address: &str, reason: &str| {
        let text = format!(
            "insert into app.mail_suppressions (email, reason) values ('{address}@example.org', '{reason}')"
        );
        guests.run(&text).await;
    };
    let is_on = async |wanted: &str| {
        let shown = member.client.get("/notifications/settings").await;
        let shown = shown.expect(200).json;
        let types = shown["data"].as_array().expect("types").iter();
        let of = types
            .clone()
            .find(|ty| ty["type"] == wanted)
            .expect("a type");
        let channels = of["channels"].as_array().expect("channels").iter();
        let mail = channels.clone().find(|one| one["channel"] == "email");
        mail.expect("mail")["is_on"] == true
    };
    assert!(is_on("event_cancelled").await);
    let security = is_on("security").await;
    stopped("sam_said_spam", "complained").await;
    stopped("another", "complained").await;
    assert!(!is_on("event_cancelled").await);
    assert_eq!(is_on("security").await, security, "about the account");
    guests
        .change(json!({"starts_at": "2041-05-01T18:30:00Z"}))
        .await;
    guests.dispatch().await;
    let moved = guests.deliveries(&member, "event_moved").await;
    assert_eq!(moved, [("email".to_owned(), "dropped".to_owned())]);
    let wish = async |channel: &str, enabled: bool| {
        let body = json!({"channel": channel, "type": "all", "enabled": enabled});
        let made = member.client.post("/notification-preferences", body).await;
        format!("/notification-preferences/{}", made.expect(201).id())
    };
    wish("push", true).await;
    let mail = wish("email", false).await;
    assert!(!is_on("event_cancelled").await);
    let left = "select count(*) from app.mail_suppressions";
    assert_eq!(guests.count(left).await, 2);
    let on = json!({"enabled": true});
    member
        .client
        .patch(&mail, "*", on.clone())
        .await
        .expect(200);
    assert!(is_on("event_cancelled").await);
    assert_eq!(guests.count(left).await, 1, "another's stays");
    // A mailbox that does not exist is not mailed because its member wants it.
    stopped("sam_said_spam", "bounced").await;
    let off = json!({"enabled": false});
    member.client.patch(&mail, "*", off).await.expect(200);
    member.client.patch(&mail, "*", on).await.expect(200);
    assert_eq!(guests.count(left).await, 2);
}

/// A service may report a bounce before the result of the sending is stored.
#[tokio::test]
async fn no11_a_bounce_that_comes_before_the_mail_is_marked_counts() {
    let mailed = Mailed::new().await;
    for service in [Service::Resend, Service::Sendgrid] {
        mailed.reset("sending").await;
        for answer in mailed.tell(service, &["hard"], 0).await {
            answer.expect(200);
        }
        assert_eq!(mailed.outcome().await, ("failed".to_owned(), 1));
    }
    // All messages in one mail have failed, also those that are still `pending`, since nothing else would settle them.
    let carried = format!(
        "set session_replication_role = replica;
         insert into app.notification_deliveries (notification_id, user_id, channel, device_id, carrier_id)
         select notification_id, user_id, 'email', gen_random_uuid(), id from app.notification_deliveries where id = '{}'",
        mailed.delivery
    );
    mailed.reset("sending").await;
    mailed.guests.run(&carried).await;
    mailed.tell(Service::Sendgrid, &["hard"], 0).await;
    let failed = "select count(*) from app.notification_deliveries where state = 'failed' and lease_until is null";
    assert_eq!(mailed.guests.count(failed).await, 2);
}
