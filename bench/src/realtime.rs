//! Streams of notifications: `bench realtime`. How much listening clients slow down likes; how soon a notification
//! reaches its member; and how much memory and CPU time ten thousand idle listeners need.

use crate::{
    listeners::{DIGITS, Listeners, MARK},
    load::Load,
    prepare, process,
    rounds::middle,
    search::percentiles,
    servers::{GENERATED_SECURED, Server},
    world::{self, Aim, Line, World},
};
use anyhow::{Context, Result, ensure};
use sqlx::PgConnection;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

#[derive(clap::Args)]
pub struct Options {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    /// Rounds of likes with and without listeners, of which the median counts. With an even number, each order is used
    /// equally often.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// Length of each measurement of likes.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// Listeners while likes are measured, and while notifications are delivered.
    #[arg(long, default_value_t = 1_000)]
    listeners: usize,
    /// Idle listeners, who get no notifications.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// How long the idle listeners stay connected.
    #[arg(long, default_value_t = 60)]
    idle_seconds: u64,
    /// Notifications per second, each to another member.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Connections of the server to PostgreSQL.
    #[arg(long, default_value_t = 10)]
    pool: u32,
}

/// The three measurements of likes: without listeners, with idle listeners, and with listeners who get notifications.
const MODES: [&str; 3] = [
    "nobody listens",
    "MANY listen and hear nothing",
    "MANY listen and are told",
];

pub async fn run(options: Options) -> Result<String> {
    let world = World::make(&options.database_url, 50_000).await?;
    world::copy_scripts(&world.files)?;
    let mut conn = world.connect().await?;
    let many = options.idle.max(options.listeners);
    let members = world.members(&mut conn, many).await?;
    let mut realtime = Realtime {
        options: &options,
        world: &world,
        conn,
        members,
        next: 0,
    };
    let mut lines = realtime.likes().await?;
    lines.extend(realtime.delivery().await?);
    lines.extend(realtime.idle().await?);
    Ok(world::table(&lines))
}

struct Realtime<'a> {
    options: &'a Options,
    world: &'a World,
    conn: PgConnection,
    members: Vec<(Uuid, String)>,
    /// The number of the next notification.
    next: usize,
}

impl Realtime<'_> {
    fn server(&self) -> Result<Server> {
        let most = (self.members.len() + 1_000).to_string();
        // Raises the limit for connections from one address, since all listeners connect from the same one.
        let settings = [
            ("MAX_CONNECTIONS", most.clone()),
            ("MAX_CONNECTIONS_PER_ADDRESS", most),
        ];
        let (admin, keys) = (&self.world.admin, &self.world.keys);
        Server::start_with(GENERATED_SECURED, admin, self.options.pool, keys, &settings)
    }

    fn tokens(&self, many: usize) -> Vec<&str> {
        let members = self.members.iter().take(many);
        members.map(|(_, token)| token.as_str()).collect()
    }

    /// Measures likes with wrk over HTTP, on the server to which the listeners are connected.
    async fn likes(&mut self) -> Result<Vec<Line>> {
        let server = self.server()?;
        let load = Load {
            scripts: &self.world.files,
            connections: 32,
            seconds: self.options.seconds,
            postmaster: self.world.prepared.postmaster,
        };
        let callers: Result<Vec<String>> = (self.world.prepared.of_none.iter())
            .map(|caller| self.world.token(*caller))
            .collect();
        let callers = callers?.join(",");
        let by = Some(callers.as_str());
        load.warm_up("like", server.port, server.pid(), by)?;
        let mut rates = vec![Vec::new(); MODES.len()];
        for round in 1..=self.options.rounds {
            let mut order: Vec<usize> = (0..MODES.len()).collect();
            if round.is_multiple_of(2) {
                order.reverse();
            }
            for mode in order {
                prepare::without_likes(&self.world.admin).await?;
                let listeners = match mode {
                    0 => None,
                    _ => Some(self.connect(&server, self.options.listeners).await?),
                };
                let liked = tokio::task::block_in_place(|| {
                    std::thread::scope(|scope| {
                        let liked = scope.spawn(|| load.run("like", server.port, server.pid(), by));
                        if mode == 2 {
                            let told = self.tell(self.options.seconds);
                            tokio::runtime::Handle::current().block_on(told)?;
                        }
                        liked.join().map_err(|_| anyhow::anyhow!("wrk"))?
                    })
                })?;
                if let Some(listeners) = listeners {
                    listeners.leave().await;
                    // The relay needs a moment to notice that all listeners have disconnected.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                let rate = liked.requests_per_second;
                eprintln!("round {round} {rate:8.0}/s {}", MODES[mode]);
                rates[mode].push(rate);
            }
        }
        let listeners = self.options.listeners;
        let mut lines = Vec::new();
        let named = |mode: usize| MODES[mode].replace("MANY", &listeners.to_string());
        for (mode, rates) in rates.iter().enumerate() {
            let what = format!("likes over HTTP, {}", named(mode));
            lines.push(Line::new(
                what,
                middle(rates.clone()),
                "a second",
                Aim::None,
            ));
        }
        for (mode, aim) in [(1, Aim::AtLeast(0.8)), (2, Aim::None)] {
            let ratios = rates[mode].iter().zip(&rates[0]).map(|(on, off)| on / off);
            let what = format!(
                "RE2: likes while {}, of those while {}",
                named(mode),
                MODES[0]
            );
            lines.push(Line::new(what, middle(ratios.collect()), "", aim));
        }
        Ok(lines)
    }

    async fn connect(&self, server: &Server, many: usize) -> Result<Listeners> {
        Listeners::connect(server.port, &self.tokens(many)).await
    }

    /// Creates notifications at a constant rate, for the listening members in turn. Returns the number of each and the
    /// time when its statement was sent; the commit is a little later.
    async fn tell(&mut self, seconds: u32) -> Result<Vec<(usize, Instant)>> {
        let mut clock = interval(Duration::from_secs(1) / self.options.rate);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut told = Vec::new();
        for _ in 0..self.options.rate * seconds {
            clock.tick().await;
            let number = self.next;
            self.next += 1;
            // Consecutive notifications are for distant members.
            let (member, _) = self.members[number * 7919 % self.options.listeners];
            told.push((number, Instant::now()));
            sqlx::query(
                "insert into app.notifications (user_id, title, message, type, dedupe_key) values ($1, $2, 'Hello', 'system', $2)",
            )
            .bind(member)
            .bind(format!("{MARK}{number:00$}", DIGITS))
            .execute(&mut self.conn)
            .await?;
        }
        Ok(told)
    }

    async fn delivery(&mut self) -> Result<Vec<Line>> {
        const SECONDS: u32 = 20;
        let server = self.server()?;
        let mut listeners = self.connect(&server, self.options.listeners).await?;
        let told = self.tell(SECONDS).await?;
        let first = told.first().context("nothing was told")?.0;
        let mut waits = Vec::new();
        while waits.len() < told.len() {
            let Ok(Some((number, at))) =
                timeout(Duration::from_secs(10), listeners.heard.recv()).await
            else {
                break;
            };
            let (_, sent) = told[number.checked_sub(first).context("an older one")?];
            waits.push(at.saturating_duration_since(sent).as_secs_f64() * 1e3);
        }
        ensure!(
            waits.len() == told.len(),
            "{} of {} arrived",
            waits.len(),
            told.len()
        );
        ensure!(listeners.ended() == 0, "streams ended");
        listeners.leave().await;
        let [p50, p95, p99] = percentiles(waits);
        let (many, rate) = (self.options.listeners, self.options.rate);
        let what = |part| {
            format!(
                "RE3: from the insert until the client has it, {many} listen, {rate} a second, {part}"
            )
        };
        Ok(vec![
            Line::new(what("p50"), p50, "ms", Aim::None),
            Line::new(what("p95"), p95, "ms", Aim::AtMost(1_000.0)),
            Line::new(what("p99"), p99, "ms", Aim::None),
        ])
    }

    async fn idle(&mut self) -> Result<Vec<Line>> {
        let many = self.options.idle;
        let server = self.server()?;
        let before = process::memory_mb(server.pid());
        let begun = Instant::now();
        let listeners = self.connect(&server, many).await?;
        let connected = begun.elapsed().as_secs_f64();
        let (cpu, database) = (process::cpu_seconds(server.pid()), self.database_cpu());
        tokio::time::sleep(Duration::from_secs(self.options.idle_seconds)).await;
        let share = |used: f64| used * 100.0 / self.options.idle_seconds as f64;
        let cpu = share(process::cpu_seconds(server.pid()) - cpu);
        let database = share(self.database_cpu() - database);
        ensure!(
            listeners.ended() == 0,
            "{} streams ended",
            listeners.ended()
        );
        let (now, peak) = (process::memory_mb(server.pid()), server.peak_memory_mb());
        listeners.leave().await;
        let what = |text: &str| format!("RE6: {many} listen and hear nothing, {text}");
        Ok(vec![
            Line::new(
                what("memory of the server (RSS)"),
                now,
                "MB",
                Aim::AtMost(500.0),
            ),
            Line::new(
                what("its most since the start"),
                peak,
                "MB",
                Aim::AtMost(500.0),
            ),
            Line::new("memory of the server before", before, "MB", Aim::None),
            Line::new(what("until all are connected"), connected, "s", Aim::None),
            Line::new(what("CPU of the server, of one core"), cpu, "%", Aim::None),
            Line::new(
                what("CPU of PostgreSQL, of one core"),
                database,
                "%",
                Aim::None,
            ),
        ])
    }

    fn database_cpu(&self) -> f64 {
        process::children_cpu_seconds(self.world.prepared.postmaster)
    }
}
