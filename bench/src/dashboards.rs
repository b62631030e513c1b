//! The event with the most tickets: `bench dashboards`. Its dashboard, the guest list as a file, and scans at the door
//! and at a checkpoint, with a hundred thousand tickets, over HTTP as its organizer.

use crate::{
    search::{latencies, percentiles},
    servers::{GENERATED_SECURED, Server},
    world::{self, Aim, Line, World},
};
use anyhow::{Result, ensure};
use app::tickets::code::{Claims, Keys};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

#[derive(clap::Args)]
pub struct Options {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    #[arg(long, default_value_t = 100_000)]
    tickets: usize,
    /// Requests of the dashboard.
    #[arg(long, default_value_t = 60)]
    requests: usize,
    /// Scans per second.
    #[arg(long, default_value_t = 100)]
    scans: u32,
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

/// The key that signs the tickets' QR codes.
const KEY: &str = "a key of the benchmark";

const EVENT: &str = "b3000000-0000-7000-8000-000000000000";

const CHECKPOINT: &str = "b4000000-0000-7000-8000-000000000000";

/// Orders of two tickets each, sold in the last four weeks; a fifth of the tickets has been scanned.
const SALES: &str = "
  set session_replication_role = replica;
  insert into app.organizations (id, city_id, name, slug, state)
    select 'a3000000-0000-7000-8000-000000000000', c.id, 'The arena', 'the-arena', 'approved' from app.cities c where c.slug = 'city-1';
  insert into app.role_assignments (role, user_id, scope_type, scope_id, state)
    values ('orgAdmin', 'd1000000-0000-7000-8000-000000000001', 'organization', 'a3000000-0000-7000-8000-000000000000', 'accepted');
  insert into app.events (id, title, slug, starts_at, ends_at, timezone, state, city_id, host_type, host_id, ticket_count)
    select 'b3000000-0000-7000-8000-000000000000', 'Everybody comes', 'everybody-comes', now() + interval '1 hour', now() + interval '5 hours',
      'Australia/Melbourne', 'published', o.city_id, 'organization', o.id, TICKETS
    from app.organizations o where o.slug = 'the-arena';
  insert into counters.events (id) values ('b3000000-0000-7000-8000-000000000000') on conflict do nothing;
  insert into app.checkpoints (id, event_id, name)
    values ('b4000000-0000-7000-8000-000000000000', 'b3000000-0000-7000-8000-000000000000', 'The main stage');
  insert into app.ticket_types (id, event_id, name, price_cents, currency, capacity, sold)
    select ('c3000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'b3000000-0000-7000-8000-000000000000', 'Stand ' || n, 4500, 'AUD',
      TICKETS / 8, TICKETS / 10
    from generate_series(0, 9) n;
  insert into app.orders (id, user_id, event_id, state, subtotal_cents, amount_cents, card_cents, platform_fee_cents, organizer_cents,
      currency, paid_at, ticket_count, idempotency_key)
    select ('f3000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, ('d1000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
      'b3000000-0000-7000-8000-000000000000', 'paid', 9000, 9000, 9000, 900, 8100, 'AUD', now() - random() * interval '28 days', 2, 'bench-' || gen_random_uuid()
    from generate_series(1, TICKETS / 2) n;
  insert into app.order_items (order_id, ticket_type_id, quantity, unit_price_cents, subtotal_cents, total_cents, currency)
    select ('f3000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, ('c3000000-0000-7000-8000-' || lpad((n % 10)::text, 12, '0'))::uuid,
      2, 4500, 9000, 9000, 'AUD'
    from generate_series(1, TICKETS / 2) n;
  insert into app.tickets (id, order_id, ticket_type_id, event_id, holder_id, buyer_id, state, code, position, paid_cents, currency)
    select ('e3000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, ('f3000000-0000-7000-8000-' || lpad(((n + 1) / 2)::text, 12, '0'))::uuid,
      ('c3000000-0000-7000-8000-' || lpad((((n + 1) / 2) % 10)::text, 12, '0'))::uuid, 'b3000000-0000-7000-8000-000000000000',
      ('d1000000-0000-7000-8000-' || lpad(((n + 1) / 2)::text, 12, '0'))::uuid, ('d1000000-0000-7000-8000-' || lpad(((n + 1) / 2)::text, 12, '0'))::uuid,
      case when n > TICKETS * 4 / 5 then 'checked_in' else 'valid' end, 'bench-' || gen_random_uuid(), (n + 1) % 2 + 1, 4500, 'AUD'
    from generate_series(1, TICKETS) n;
  insert into app.check_ins (ticket_id, event_id, scanned_by_id, nonce, at)
    select t.id, t.event_id, 'd1000000-0000-7000-8000-000000000001', 'bench-' || t.id, now() - random() * interval '3 hours'
    from app.tickets t where t.state = 'checked_in';
  insert into app.attendances (user_id, event_id)
    select distinct t.holder_id, t.event_id from app.tickets t where t.state = 'checked_in';
  insert into app.likes (user_id, event_id)
    select u.id, 'b3000000-0000-7000-8000-000000000000' from app.users u where u.handle like 'bench_member_%' limit 10000;
  reset session_replication_role";

pub async fn run(options: Options) -> Result<String> {
    let world = World::make(&options.database_url, 100).await?;
    let mut conn = world.connect().await?;
    world
        .crowd(&mut conn, options.tickets.div_ceil(2).max(10_000))
        .await?;
    let sales = SALES.replace("TICKETS", &options.tickets.to_string());
    for text in [sales.as_str(), "vacuum analyze"] {
        world::run(&mut conn, text).await?;
    }
    let dashboards = Dashboards {
        token: world.token_of_member(1)?,
        client: reqwest::Client::builder().no_proxy().build()?,
        options: &options,
        world: &world,
    };
    let mut lines = dashboards.screen().await?;
    lines.extend(dashboards.file().await?);
    lines.extend(dashboards.scans("at the door", None).await?);
    // The same tickets again, since admission at a checkpoint is independent of the door.
    let checkpoint = Some(CHECKPOINT);
    lines.extend(dashboards.scans("at a checkpoint", checkpoint).await?);
    Ok(world::table(&lines))
}

struct Dashboards<'a> {
    options: &'a Options,
    world: &'a World,
    client: reqwest::Client,
    token: String,
}

impl Dashboards<'_> {
    /// Starts a new server for each measurement, so that its peak memory is due to that measurement only.
    fn server(&self) -> Result<Server> {
        let settings = [("TICKET_KEYS", KEY.to_owned())];
        Server::start_with(
            GENERATED_SECURED,
            &self.world.admin,
            10,
            &self.world.keys,
            &settings,
        )
    }

    async fn screen(&self) -> Result<Vec<Line>> {
        let server = self.server()?;
        let url = format!("http://127.0.0.1:{}/events/{EVENT}/dashboard", server.port);
        let took = latencies(&self.client, &url, Some(&self.token), self.options.requests).await?;
        let [p50, p95, _] = took;
        let what = format!(
            "OD1: screen of an event with {} tickets, one after the other",
            self.options.tickets
        );
        Ok(vec![
            Line::new(format!("{what}, p50"), p50, "ms", Aim::None),
            Line::new(format!("{what}, p95"), p95, "ms", Aim::AtMost(200.0)),
        ])
    }

    async fn file(&self) -> Result<Vec<Line>> {
        let server = self.server()?;
        let url = format!(
            "http://127.0.0.1:{}/events/{EVENT}/attendees.csv",
            server.port
        );
        let begun = Instant::now();
        let mut answer = self.client.get(url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        ensure!(status == 200, "the file: {status} {}", answer.text().await?);
        let mut lines = 0;
        while let Some(chunk) = answer.chunk().await? {
            lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        }
        let took = begun.elapsed().as_secs_f64();
        ensure!(lines == self.options.tickets + 1, "{lines} lines");
        let what = format!(
            "OD2: file (CSV) of {} tickets with their holders",
            self.options.tickets
        );
        let peak = server.peak_memory_mb();
        Ok(vec![
            Line::new(what, took, "s", Aim::AtMost(10.0)),
            Line::new(
                "OD2: the server's memory at most, meanwhile",
                peak,
                "MB",
                Aim::AtMost(100.0),
            ),
        ])
    }

    /// Sends scans at a constant rate, whether earlier ones have been answered or not.
    async fn scans(&self, place: &str, checkpoint: Option<&str>) -> Result<Vec<Line>> {
        const WARM_UP: usize = 50;
        let server = self.server()?;
        let url = format!("http://127.0.0.1:{}/check-ins", server.port);
        let many = usize::try_from(self.options.scans * self.options.seconds)? + WARM_UP;
        ensure!(
            many <= self.options.tickets * 4 / 5,
            "more scans than tickets"
        );
        let scans = self.codes(many, checkpoint)?;
        for scan in &scans[..WARM_UP] {
            scanned(&self.client, &url, &self.token, scan).await?;
        }
        let mut clock = interval(Duration::from_secs(1) / self.options.scans);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut tasks = JoinSet::new();
        for scan in scans.into_iter().skip(WARM_UP) {
            let due = clock.tick().await;
            let (client, url, token) = (self.client.clone(), url.clone(), self.token.clone());
            tasks.spawn(async move {
                scanned(&client, &url, &token, &scan).await?;
                anyhow::Ok(due.elapsed().as_secs_f64() * 1e3)
            });
        }
        let mut took = Vec::new();
        while let Some(one) = tasks.join_next().await {
            took.push(one??);
        }
        let [p50, p95, p99] = percentiles(took);
        let what = format!("OD3: scans {place}, {} a second", self.options.scans);
        Ok(vec![
            Line::new(format!("{what}, p50"), p50, "ms", Aim::None),
            Line::new(format!("{what}, p95"), p95, "ms", Aim::AtMost(50.0)),
            Line::new(format!("{what}, p99"), p99, "ms", Aim::None),
        ])
    }

    /// The scans of the first `many` tickets, with the contents of their QR codes.
    fn codes(&self, many: usize, checkpoint: Option<&str>) -> Result<Vec<Value>> {
        let keys = Keys::new(&[KEY.to_owned().into()]);
        let keys = keys.ok_or_else(|| anyhow::anyhow!("a key"))?;
        let (event, now): (Uuid, _) = (EVENT.parse()?, Utc::now());
        (1..=many)
            .map(|number| {
                let ticket = format!("e3000000-0000-7000-8000-{number:012}").parse()?;
                let claims = Claims::new(ticket, event, 1, now, now + TimeDelta::hours(5));
                let nonce = format!("bench-scan-{number}-{}", checkpoint.unwrap_or("door"));
                let mut scan =
                    json!({"code": keys.sign(&claims), "event_id": EVENT, "nonce": nonce});
                if let Some(checkpoint) = checkpoint {
                    scan["checkpoint_id"] = json!(checkpoint);
                }
                Ok(scan)
            })
            .collect()
    }
}

async fn scanned(client: &reqwest::Client, url: &str, token: &str, scan: &Value) -> Result<()> {
    let answer = client
        .post(url)
        .bearer_auth(token)
        .json(scan)
        .send()
        .await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(
        status.is_success() && text.contains("\"ok\""),
        "a scan: {status} {text}"
    );
    Ok(())
}
