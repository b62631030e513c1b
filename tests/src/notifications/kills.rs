//! RM3: the program is killed at each step of handing over, and nothing is lost or comes twice.

use super::stage::Guests;
use crate::{
    money::stage::Stage,
    support::{
        Database, TestServer,
        program::{Place, Program},
    },
};
use fake_messengers::{Config, server::Running};
use serde_json::Value;
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
    // At the first message, in the middle of many, and when all are handed over.
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
        world.until_sent().await;
        drop(next);
        // The program's own clock may tell others something meanwhile, such as that a promotion begins without approval.
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

/// Whoever did jobs in the test's own process is gone.
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

    /// Another fake: what was sent before does not count.
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
                // What programs of other tests leave by.
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

    async fn run(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
            .execute(&mut self.database.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
    }

    /// Leases of the dead end, as they would after three minutes, until nothing waits.
    async fn until_sent(&self) {
        let left = "select count(*) from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
            where n.type = 'event_reminder' and d.state <> 'sent'";
        for _ in 0..600 {
            self.run("update app.notification_deliveries set lease_until = now() where state = 'sending' and lease_until > now() + interval '3 seconds' and lease_until < now() + interval '177 seconds'").await;
            let left: i64 = sqlx::query_scalar(left)
                .fetch_one(&mut self.database.superuser().await)
                .await
                .expect("a number");
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let text = "select string_agg(distinct d.channel || ' ' || d.state || ' ' || d.attempts || ' ' || coalesce(d.error, ''), '; ') from app.notification_deliveries d
            join app.notifications n on n.id = d.notification_id where n.type = 'event_reminder'";
        let left: String = sqlx::query_scalar(text)
            .fetch_one(&mut self.database.superuser().await)
            .await
            .expect("some");
        panic!("reminders are left: {left}");
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.account);
    }
}
