//! Notifying many members at once: `bench notifications`. An event about which a hundred thousand members are notified
//! in the app, by push and by mail; two hundred thousand reminders; and a hundred thousand notifications that one
//! member marks as read.
//!
//! The shipped server publishes, and the shipped worker creates and sends notifications; the services' response time
//! is fixed.

mod outbox;
mod reminders;

use crate::{
    prepare, process,
    search::percentiles,
    servers::{GENERATED_SECURED, Server, Worker},
    services::Services,
    world::{self, Aim, Line, World},
};
use anyhow::{Result, ensure};
use kernel::{Db, config::DbConfig};
use sqlx::PgConnection;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[derive(clap::Args)]
pub struct Options {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    /// Members who are notified about one event, each with a device and a mail address.
    #[arg(long, default_value_t = 100_000)]
    recipients: usize,
    /// Reminders, each to another member, for two hundred events.
    #[arg(long, default_value_t = 200_000)]
    reminders: usize,
    /// Concurrent requests of the worker to one service (`NOTIFICATIONS_SENDS_AT_ONCE`).
    #[arg(long, default_value_t = 128)]
    at_once: usize,
    /// Response time of the services.
    #[arg(long, default_value_t = 50)]
    answer_ms: u64,
}

/// The number of events that are published one after the other while no worker is running.
const PUBLISHED: usize = 20;

/// A host with followers and an administrator.
const HOST: &str = "
  set session_replication_role = replica;
  insert into app.organizations (id, city_id, name, slug, state)
    select 'a1000000-0000-7000-8000-000000000000', c.id, 'The house', 'the-house', 'approved' from app.cities c where c.slug = 'city-1';
  insert into app.role_assignments (role, user_id, scope_type, scope_id, state)
    values ('orgAdmin', 'd1000000-0000-7000-8000-000000000001', 'organization', 'a1000000-0000-7000-8000-000000000000', 'accepted');
  insert into app.follows (follower_id, entity_type, entity_id)
    select u.id, 'organization', 'a1000000-0000-7000-8000-000000000000' from app.users u
    where u.handle like 'bench_member_%' and u.id > 'd1000000-0000-7000-8000-000000000001'
      and u.id <= ('d1000000-0000-7000-8000-' || lpad((RECIPIENTS + 1)::text, 12, '0'))::uuid;
  insert into app.devices (user_id, platform, push_token)
    select f.follower_id, 'android', 'device-of-' || f.follower_id from app.follows f;
  reset session_replication_role;
  analyze app.follows, app.devices, app.users, app.role_assignments";

/// Drafts of a host, whose ids contain the numbers from `first` to `last`.
fn drafts(host: &str, first: usize, last: usize) -> String {
    format!(
        "alter table app.events disable trigger events_audit;
         insert into app.events (id, title, slug, starts_at, ends_at, timezone, online_url, city_id, host_type, host_id)
           select ('b1000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Everybody hears ' || n, 'everybody-hears-' || n,
             now() + interval '30 days', now() + interval '30 days 2 hours', 'UTC', 'https://example.org/live', o.city_id, 'organization', o.id
           from generate_series({first}, {last}) n, app.organizations o where o.slug = '{host}';
         alter table app.events enable trigger events_audit"
    )
}

const VACUUM: &str = "vacuum analyze app.notifications, app.notification_deliveries";

const PAUSE: &str = "insert into app.delivery_pauses (channel, until, reason)
  select c, now() + interval '1 hour', 'nothing leaves yet' from unnest(array['push', 'email']) c
  on conflict (channel) do update set until = excluded.until";

/// The statement by which a worker stores that messages were accepted, as in `notifications/dispatch.rs`.
const MARK: &str = "
  with marks as (
    select * from unnest($1::uuid[], $2::text[]) m(id, name)
  ), marked as (
    update app.notification_deliveries d
    set state = 'sent', next_attempt_at = now(), lease_until = null, error = null, provider_id = m.name, settled_at = now()
    from marks m where d.id = m.id and d.state = 'sending' and d.attempts = 1
    returning d.id, d.state, d.provider_id, d.error
  )
  update app.notification_deliveries d set state = m.state, provider_id = m.provider_id, error = m.error, settled_at = now()
  from marked m where d.carrier_id = m.id and d.state = 'pending'";

pub async fn run(options: Options) -> Result<String> {
    let world = World::make(&options.database_url, 100).await?;
    let mut conn = world.connect().await?;
    let many = options.reminders.max(options.recipients + 1);
    world.crowd(&mut conn, many).await?;
    let host = HOST.replace("RECIPIENTS", &options.recipients.to_string());
    world::run(&mut conn, &host).await?;
    world::run(&mut conn, &drafts("the-house", 1, 30)).await?;
    world::run(&mut conn, "analyze app.events").await?;
    let mut config =
        DbConfig::new(prepare::url(&world.admin, "culturepass_app", prepare::SECURED).into());
    config.job_url = Some(prepare::url(&world.admin, "culturepass_job", prepare::SECURED).into());
    let notifications = Notifications {
        server: Server::start(GENERATED_SECURED, &world.admin, 10, &world.keys)?,
        db: Db::connect(&config)?,
        services: Services::start().await?,
        client: reqwest::Client::builder().no_proxy().build()?,
        token: world.token_of_member(1)?,
        options: &options,
        world: &world,
    };
    let mut lines = notifications.read_all(&mut conn).await?;
    lines.extend(notifications.told(&mut conn).await?);
    lines.extend(notifications.outbox(&mut conn).await?);
    lines.extend(notifications.reminded(&mut conn).await?);
    Ok(world::table(&lines))
}

struct Notifications<'a> {
    options: &'a Options,
    world: &'a World,
    server: Server,
    db: Db,
    services: Services,
    client: reqwest::Client,
    /// The token of the host's administrator.
    token: String,
}

impl Notifications<'_> {
    async fn read_all(&self, conn: &mut PgConnection) -> Result<Vec<Line>> {
        let mine = "insert into app.notifications (user_id, title, message, type, dedupe_key)
          select 'd1000000-0000-7000-8000-000000000001', 'News ' || n, 'Hello', 'system', 'bench:' || n from generate_series(1, 100000) n;
          analyze app.notifications";
        world::run(conn, mine).await?;
        let took = self.post("/notifications/read-all").await?;
        world::run(
            conn,
            "truncate app.notifications, app.notification_deliveries",
        )
        .await?;
        let what = "NO8: 100,000 notifications of one member marked as read over HTTP";
        Ok(vec![Line::new(what, took / 1e3, "s", Aim::AtMost(2.0))])
    }

    /// Sends a request and returns its latency in milliseconds.
    async fn post(&self, path: &str) -> Result<f64> {
        let url = format!("http://127.0.0.1:{}{path}", self.server.port);
        let begun = Instant::now();
        let answer = self
            .client
            .post(url)
            .bearer_auth(&self.token)
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 200, "{path}: {status} {text}");
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }

    async fn publish(&self, number: usize) -> Result<f64> {
        self.post(&format!(
            "/events/b1000000-0000-7000-8000-{number:012}/publish"
        ))
        .await
    }

    fn worker(&self) -> Result<Worker> {
        let mut settings = self.services.settings()?;
        settings.push((
            "NOTIFICATIONS_SENDS_AT_ONCE",
            self.options.at_once.to_string(),
        ));
        // Otherwise mail would be collected for an hour, so that several messages become one mail.
        settings.push(("NOTIFICATIONS_DIGEST_MINUTES", "0".to_owned()));
        Worker::start(&self.world.admin, &self.world.keys, &settings)
    }

    async fn told(&self, conn: &mut PgConnection) -> Result<Vec<Line>> {
        let many = self.options.recipients;
        self.publish(30).await?;
        let mut requests = Vec::new();
        for number in 1..=PUBLISHED {
            requests.push(self.publish(number).await?);
        }
        let [_, p95, _] = percentiles(requests);
        let mut lines = vec![Line::new(
            format!("SG7: an event is published over HTTP by a host with {many} followers, p95"),
            p95,
            "ms",
            Aim::AtMost(100.0),
        )];
        lines.push(self.planned(conn).await?);
        lines.push(self.claimed(conn).await?);
        lines.extend(self.sent(conn, 22).await?);
        Ok(lines)
    }

    /// Creating all notifications and deliveries of an event, while sending is paused.
    async fn planned(&self, conn: &mut PgConnection) -> Result<Line> {
        let many = self.options.recipients;
        // Removes the jobs of events that were published before.
        world::run(conn, "truncate jobs.events").await?;
        world::run(conn, PAUSE).await?;

        let _worker = self.worker()?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        self.publish(21).await?;
        let begun = Instant::now();
        until(conn, &all_told(many, 21), 100).await?;
        let planned = begun.elapsed().as_secs_f64();
        self.are_there(conn, many as i64, many as i64 * 2).await?;
        let what =
            format!("NO13: from the answer until {many} have a row, a push and a mail that wait");
        Ok(Line::new(what, planned, "s", Aim::AtMost(5.0)))
    }

    async fn claimed(&self, conn: &mut PgConnection) -> Result<Line> {
        let many = self.options.recipients * 2;
        world::run(conn, "delete from app.delivery_pauses").await?;
        world::run(conn, VACUUM).await?;
        let (push, mail) = (self.claim_and_mark("push"), self.claim_and_mark("email"));
        let begun = Instant::now();
        let (push, mail) = tokio::try_join!(push, mail)?;
        let took = begun.elapsed().as_secs_f64();
        ensure!(push + mail == many, "{push} and {mail} were claimed");
        let at_once = self.options.at_once * 2;
        let what = format!(
            "NO13: {many} messages claimed and marked, {at_once} at once by one connection a channel"
        );
        Ok(Line::new(what, took, "s", Aim::AtMost(10.0)))
    }

    /// From publishing an event until all its messages have been sent.
    async fn sent(&self, conn: &mut PgConnection, event: usize) -> Result<Vec<Line>> {
        const DONE: &str = "select not exists (select from app.notification_deliveries where state in ('pending', 'sending'))";
        const FAILED: &str =
            "select count(*) from app.notification_deliveries where state <> 'sent'";
        let (many, at_once) = (self.options.recipients, self.options.at_once);
        let ms = self.options.answer_ms;
        world::run(conn, VACUUM).await?;
        self.services.answer_after_ms(ms);
        self.services.taken();
        let worker = self.worker()?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let begun = Instant::now();
        self.publish(event).await?;
        until(conn, &all_told(many, event), 100).await?;
        until(conn, DONE, 200).await?;
        let took = begun.elapsed().as_secs_f64();
        let failed: i64 = sqlx::query_scalar(FAILED).fetch_one(conn).await?;
        ensure!(failed == 0, "{failed} failed");
        let taken = self.services.taken();
        ensure!(taken == many as u64 * 2, "the services took {taken}");
        let what = format!(
            "NO13: from the request until both services have taken {many} messages, {ms} ms for each, {at_once} at once"
        );
        let peak = process::peak_memory_mb(worker.pid());
        Ok(vec![
            Line::new(what, took, "s", Aim::AtMost(120.0)),
            Line::new(
                "NO13: the worker's memory at most, meanwhile",
                peak,
                "MB",
                Aim::AtMost(300.0),
            ),
        ])
    }

    async fn are_there(&self, conn: &mut PgConnection, told: i64, sent: i64) -> Result<()> {
        let text = "select (select count(*) from app.notifications), (select count(*) from app.notification_deliveries where state = 'pending')";
        let counted: (i64, i64) = sqlx::query_as(text).fetch_one(conn).await?;
        ensure!(
            counted == (told, sent),
            "{counted:?} instead of {told} and {sent}"
        );
        Ok(())
    }

    /// Claims and marks all deliveries of a channel as the worker does, but without sending. Returns how many.
    async fn claim_and_mark(&self, channel: &str) -> Result<usize> {
        let most = i32::try_from(self.options.at_once * 2)?;
        let mut all = 0;
        loop {
            let claimed = self.claim(channel, most).await?;
            if claimed.is_empty() {
                return Ok(all);
            }
            all += claimed.len();
            let names: Vec<String> = claimed.iter().map(Uuid::to_string).collect();
            let mut cx = self.db.job("notifications", None, Uuid::now_v7()).await?;
            sqlx::query(MARK)
                .bind(claimed)
                .bind(names)
                .execute(cx.conn())
                .await?;
            cx.commit().await?;
        }
    }

    async fn claim(&self, channel: &str, most: i32) -> Result<Vec<Uuid>> {
        let mut cx = self.db.job("notifications", None, Uuid::now_v7()).await?;
        let claimed =
            sqlx::query_scalar("select app.claim_deliveries($1, $2, interval '180 seconds')")
                .bind(channel)
                .bind(most)
                .fetch_all(cx.conn())
                .await?;
        cx.commit().await?;
        Ok(claimed)
    }
}

/// Whether as many members have been told about the event. They are told in parts, each in a transaction of its own.
fn all_told(many: usize, event: usize) -> String {
    format!(
        "select count(*) = {many} from app.notifications where event_id = 'b1000000-0000-7000-8000-{event:012}'"
    )
}

/// Polls until the statement returns true, with so many milliseconds between polls, and for at most five minutes.
async fn until(conn: &mut PgConnection, text: &str, pause_ms: u64) -> Result<()> {
    let begun = Instant::now();
    loop {
        let done: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(text.to_owned()))
            .fetch_one(&mut *conn)
            .await?;
        if done {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(300), "never: {text}");
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}
