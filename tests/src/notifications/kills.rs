//! RM3, NO6: the program is killed at each step of notifying and sending, and nothing is lost or sent twice.

use super::stage::Guests;
use crate::{
    money::stage::Stage,
    support::{
        Database, TestServer,
        program::{Place, Program},
    },
};
use fake_messengers::{Config, fault::Service, server::Running};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::time::Duration;

const GUESTS: i64 = 6;

#[tokio::test]
async fn rm3_who_is_killed_at_any_step_has_every_reminder_sent_once() {
    let guests = Guests::new().await;
    for n in 0..GUESTS {
        let member = guests.guest(&format!("rm3_{n}")).await;
        guests.device(&member).await;
    }
    guests.dispatch().await;
    guests.begins_in(23 * 60).await;
    guests
        .run("insert into app.delivery_pauses (channel, until, reason) select c, now() + interval '1 hour', 'a test' from unnest(array['email', 'push']) c")
        .await;
    assert_eq!(guests.module().remind().await.expect("reminded"), GUESTS);
    guests.server.settled().await;
    let database = database_of(guests).await;
    let mut world = World::new(&database).await;
    let reset = "delete from app.delivery_pauses; update app.notification_deliveries d
        set state = 'pending', attempts = 0, lease_until = null, settled_at = null, next_attempt_at = now()
        from app.notifications n where n.id = d.notification_id and n.type = 'event_reminder'";
    // At the first message, in the middle of many, and when all are sent.
    for point in [
        "delivery.claimed",
        "delivery.sent:1",
        "delivery.sent:4",
        "delivery.marked",
    ] {
        world.forget().await;
        world.run(reset).await;
        let mut killed = world.start(Some(point)).await;
        killed.ended().await;
        let mut next = world.start(None).await;
        assert!(next.is_ready().await, "it ended:\n{}", next.text());
        world.until_sent("event_reminder").await;
        drop(next);
        // The program's own periodic jobs may notify others meanwhile, such as that a promotion has ended, so only
        // these mails count.
        let (mut mail, push) = (world.fake.fake.mail(), world.fake.fake.push());
        mail.retain(|one| one.fields["to"].to_string().contains("rm3_"));
        for (sent, what) in [(&mail, "mail"), (&push, "push")] {
            assert_eq!(sent.len() as i64, GUESTS, "{point}: {what}: {sent:?}");
            let mut to: Vec<String> = sent
                .iter()
                .map(|one| one.fields["to"].to_string() + &one.fields["token"].to_string())
                .collect();
            to.sort();
            to.dedup();
            assert_eq!(to.len() as i64, GUESTS, "{point}: {what}: {sent:?}");
        }
        let calls = mail.len() + push.len();
        assert_eq!(calls as i64, 2 * GUESTS, "{point}");
    }
}

const READERS: i64 = 3;
const NEWS: i64 = 3;

/// Jobs that notify each reader of each piece of news, all within one window, which the first of them opens.
fn news() -> String {
    let jobs = (0..NEWS).map(|n| {
        let told = json!({"message": "event_published", "key": format!("no6:{n}"), "data": {}, "event": null, "revision": null,
            "values": {"event": format!("Number {n}"), "followed": "Olga", "starts": {"at": "2041-05-01T18:00:00Z", "zone": "UTC"}},
            "expires_at": null});
        format!(
            "select jobs.put('notifications.tell_part', '{told}'::jsonb || jsonb_build_object('members',
               (select jsonb_agg(id) from app.users where handle like 'no6\\_%')), null, null, 'keep', null, null, 1, null);"
        )
    });
    let clean = "delete from app.notification_deliveries; delete from app.notifications;";
    clean.to_owned() + &jobs.collect::<String>()
}

/// Killing the program while a window fills, or at any step of sending it, loses no message and sends none twice.
#[tokio::test]
async fn no6_who_is_killed_at_any_step_has_every_window_sent_once() {
    let guests = Guests::new().await;
    for n in 0..READERS {
        guests.server.member(&format!("no6_{n}")).await;
    }
    let database = database_of(guests).await;
    let mut world = World::new(&database).await;
    for (point, fills) in [
        ("notification.told", true),
        ("notification.told:2", true),
        ("delivery.claimed", false),
        ("delivery.rendered", false),
        ("delivery.sent:1", false),
        ("delivery.sent:2", false),
        ("delivery.marked", false),
    ] {
        world.forget().await;
        world.run(&news()).await;
        let mut telling = world.start(fills.then_some(point)).await;
        if fills {
            telling.ended().await;
            telling = world.again().await;
        }
        world.until_told().await;
        drop(telling);
        world.run("update app.notification_deliveries set next_attempt_at = now() where state = 'pending' and carrier_id is null").await;
        if !fills {
            world.start(Some(point)).await.ended().await;
        }
        let sending = world.again().await;
        world.until_sent("new_event").await;
        drop(sending);
        let (all, calls) = (
            world.fake.fake.mail(),
            world.fake.fake.calls(Service::Resend),
        );
        let mails: Vec<_> = all
            .iter()
            .filter(|one| one.fields["to"].to_string().contains("no6_"))
            .collect();
        assert_eq!(mails.len() as i64, READERS, "{point}: {mails:?}");
        for n in 0..READERS {
            let mut to = mails.iter().map(|one| one.fields["to"].to_string());
            assert!(
                to.any(|to| to.contains(&format!("no6_{n}@"))),
                "{point}: {n}"
            );
        }
        for mail in &mails {
            let text = mail.fields["text"].as_str().expect("a text");
            for n in 0..NEWS {
                let times = text.matches(&format!("announces Number {n}")).count();
                assert_eq!(times, 1, "{point}: {text}");
            }
        }
        // A mail that was sent without that being stored is sent again; the service recognizes its key.
        if point.starts_with("delivery.sent") {
            assert!(calls as usize > all.len(), "{point}: {calls}");
        }
    }
}

/// Stops the worker in the test's own process.
async fn database_of(guests: Guests) -> Database {
    let Stage { mut server, .. } = guests.into_stage();
    server.stop().await;
    let TestServer { database, .. } = server;
    database
}

struct World<'a> {
    database: &'a Database,
    fake: Running,
    place: Place,
    account: std::path::PathBuf,
}

impl<'a> World<'a> {
    async fn new(database: &'a Database) -> Self {
        let fake = Running::start(Config::default()).await.expect("a fake");
        let account = std::env::temp_dir().join(format!("{}.json", database.name()));
        let mut world = Self {
            database,
            fake,
            place: Place::free().await,
            account,
        };
        world.forget().await;
        world
    }

    /// Starts another fake service, so that mails sent before don't count.
    async fn forget(&mut self) {
        self.fake = Running::start(Config::default()).await.expect("a fake");
        let account: Value = self.fake.fake.service_account().expect("an account");
        std::fs::write(&self.account, account.to_string()).expect("written");
    }

    async fn start(&self, failpoint: Option<&str>) -> Program {
        Program::start(&self.place, self.database, |command| {
            command
                .arg("--with-worker")
                .env("CULTUREPASS_ENV", "development")
                // Settings that other tests' programs use.
                .env_remove("SMTP_HOST")
                .env_remove("SMTP_TLS")
                .env("RESEND_API_KEY", "re_fake")
                .env("RESEND_URL", &self.fake.url)
                .env("MAIL_FROM", "CulturePass <no-reply@culturepass.example>")
                .env("FCM_SERVICE_ACCOUNT_FILE", &self.account)
                .env("FCM_URL", &self.fake.url)
                .env("JOBS_LEASE_SECONDS", "3")
                .env("JOBS_POLL_MS", "100");
            if let Some(failpoint) = failpoint {
                command.env("FAILPOINT", failpoint);
            }
        })
        .await
    }

    async fn again(&self) -> Program {
        let mut program = self.start(None).await;
        assert!(program.is_ready().await, "it ended:\n{}", program.text());
        program
    }

    async fn count(&self, text: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(text.to_owned()))
            .fetch_one(&mut self.database.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Waits until every reader's window contains every message.
    async fn until_told(&self) {
        let told = "select count(*) from app.notifications where dedupe_key like 'no6:%'";
        for _ in 0..600 {
            if self.count(told).await == READERS * NEWS {
                let windows = "select count(*) from app.notification_deliveries where carrier_id is null
                    and notification_id in (select id from app.notifications where dedupe_key like 'no6:%')";
                assert_eq!(self.count(windows).await, READERS, "one window each");
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{} notifications", self.count(told).await);
    }

    async fn run(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
            .execute(&mut self.database.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
    }

    /// Expires the leases of dead senders, as they would after three minutes, until no delivery of this type waits.
    async fn until_sent(&self, ty: &str) {
        let of = format!(
            "from app.notification_deliveries d join app.notifications n on n.id = d.notification_id where n.type = '{ty}'"
        );
        let left = format!("select count(*) {of} and d.state <> 'sent'");
        for _ in 0..600 {
            self.run("update app.notification_deliveries set lease_until = now() where state = 'sending' and lease_until > now() + interval '3 seconds' and lease_until < now() + interval '177 seconds'").await;
            if self.count(&left).await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let left: String = sqlx::query_scalar(AssertSqlSafe(format!(
            "select string_agg(distinct d.channel || ' ' || d.state || ' ' || d.attempts || ' ' || coalesce(d.error, ''), '; ') {of}"
        )))
        .fetch_one(&mut self.database.superuser().await)
        .await
        .expect("some");
        panic!("some of {ty} are left: {left}");
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.account);
    }
}
